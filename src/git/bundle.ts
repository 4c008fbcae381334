/**
 * Bundles that name every ref of a repository: the entries of the log. Git's own `bundle create` leaves out refs whose tip
 * is a prerequisite, so that `fetch --prune` would delete them. @see gitformat-bundle, docs/entry-format.md
 */
import { compareBytes, fromByteString, toByteString } from './bytes.ts'
import { type Oid, parseOid } from './objects.ts'
import { findRefConflict, isRefName } from './ref-name.ts'

export interface Bundle {
  /** Commits that must be there before: sorted. */
  prerequisites: Oid[]
  /** Full names to objects, sorted bytewise. */
  refs: Map<string, Oid>
  /** Tip of the default branch; null where it does not exist. */
  head: Oid | null
  /** Where the pack begins, bytes. */
  packOffset: number
}

/** An entry of the log is at most this long. */
export const entryMaxBytes = 65_536
/** The lines of refs of an entry, HEAD among them, are at most this long together. */
export const refListMaxBytes = 32_768

const signature = '# v2 git bundle\n'

/**
 * Writes a bundle. It does not look at how long it becomes: see `entryMaxBytes` and `refListSizeBytes`.
 * @param parts.refs full names, in any order
 * @param parts.defaultBranch its short name; there is a HEAD if and only if `refs` has it
 * @throws RangeError for refs that Git could not hold, or that an entry may not name
 */
export function encodeBundle(parts: {
  prerequisites: readonly Oid[]
  refs: ReadonlyMap<string, Oid>
  defaultBranch: string
  pack: Buffer
}): Buffer {
  const conflict = findRefConflict(parts.refs)
  if (conflict !== null) throw new RangeError(`a ref is the folder of another: ${conflict}`)
  const prerequisites = [...new Set(parts.prerequisites)].sort().map((oid) => `-${oid}\n`)
  const head = parts.refs.get(`refs/heads/${parts.defaultBranch}`)
  const headLine = head === undefined ? '' : `${head} HEAD\n`
  const header = `${signature}${prerequisites.join('')}${headLine}${refLines(parts.refs)}\n`
  return Buffer.concat([Buffer.from(header, 'latin1'), parts.pack])
}

/** How many bytes the refs of an entry take, HEAD included; at most `refListMaxBytes` may. */
export function refListSizeBytes(refs: ReadonlyMap<string, Oid>): number {
  let sizeBytes = 'HEAD'.length + 42
  for (const name of refs.keys()) sizeBytes += toByteString(name).length + 42
  return sizeBytes
}

/**
 * Reads the header of an entry of the log, strictly: what `encodeBundle` would not write is refused. The pack is not read.
 * @throws Error with a sentence that says what is wrong
 */
export function parseBundle(bytes: Buffer): Bundle {
  if (bytes.length > entryMaxBytes) throw new Error('an entry is longer than 65,536 bytes')
  const end = bytes.indexOf('\n\n')
  const header = bytes.toString('latin1', 0, end + 1)
  if (end < 0 || !header.startsWith(signature)) throw new Error('this is no bundle of version 2')
  if (bytes.toString('latin1', end + 2, end + 6) !== 'PACK') throw new Error('a bundle has no pack')
  const lines = header.slice(signature.length, -1).split('\n')
  const prerequisiteCount = lines.findIndex((line) => !line.startsWith('-'))
  if (prerequisiteCount < 0) throw new Error('a bundle has no refs')
  const prerequisites = lines.slice(0, prerequisiteCount).map((line) => oidOf(line.slice(1)))
  requireSorted(prerequisites, 'the prerequisites of a bundle are not sorted')
  return { prerequisites, ...parseRefs(lines.slice(prerequisiteCount)), packOffset: end + 2 }
}

function refLines(refs: ReadonlyMap<string, Oid>): string {
  const rows = Array.from(refs, ([name, oid]) => {
    if (!isEntryRef(name)) throw new RangeError(`an entry does not name this ref: ${name}`)
    return { bytes: toByteString(name), oid }
  })
  rows.sort((left, right) => compareBytes(left.bytes, right.bytes))
  return rows.map((row) => `${row.oid} ${row.bytes}\n`).join('')
}

function parseRefs(lines: string[]): { refs: Map<string, Oid>; head: Oid | null } {
  const rows = lines.map((line) => ({ oid: oidOf(line.slice(0, 40)), name: nameOf(line) }))
  const head = rows[0]?.name === 'HEAD' ? (rows.shift()?.oid ?? null) : null
  requireSorted(
    rows.map((row) => row.name),
    'the refs of a bundle are not sorted',
  )
  const refs = new Map(rows.map((row) => [fromByteString(row.name), row.oid]))
  const bad = Array.from(refs.keys()).find((name) => !isEntryRef(name))
  if (bad !== undefined) throw new Error(`an entry does not name this ref: ${bad}`)
  const conflict = findRefConflict(refs)
  if (conflict !== null) throw new Error(`a ref is the folder of another: ${conflict}`)
  requireTransaction(refs)
  requireHead(refs, head)
  return { refs, head }
}

function requireTransaction(refs: ReadonlyMap<string, Oid>): void {
  if (!refs.has('refs/meta/transaction')) throw new Error('a bundle names no transaction')
  if (refListSizeBytes(refs) > refListMaxBytes) {
    throw new Error('the refs of a bundle are longer than 32 KiB')
  }
}

/** The default branch's name stands in the transaction, so what can be asked for here is that some branch is at HEAD. */
function requireHead(refs: ReadonlyMap<string, Oid>, head: Oid | null): void {
  if (head === null) return
  const isTip = Array.from(refs).some(
    ([name, oid]) => oid === head && name.startsWith('refs/heads/'),
  )
  if (!isTip) throw new Error('the HEAD of a bundle is at no branch')
}

function isEntryRef(name: string): boolean {
  const known = /^refs\/(heads|tags)\/./.test(name)
  if (!known && name !== 'refs/meta/transaction' && name !== 'refs/meta/deleted') return false
  return isRefName(name)
}

function oidOf(text: string): Oid {
  const oid = parseOid(text)
  if (oid === null) throw new Error('a line of a bundle has no object name')
  return oid
}

function nameOf(line: string): string {
  if (line[40] !== ' ') throw new Error('a line of a bundle names no ref')
  return line.slice(41)
}

function requireSorted(texts: readonly string[], otherwise: string): void {
  texts.forEach((text, index) => {
    const before = texts[index - 1]
    if (before !== undefined && compareBytes(before, text) >= 0) throw new Error(otherwise)
  })
}
