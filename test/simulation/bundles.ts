/**
 * A second reader of entries, made from `docs/entry-format.md` alone and sharing no line with `src/git`: what the audit says does
 * not rest on the code that it judges. Whole objects only; entries hold no deltas.
 */
import { createHash } from 'node:crypto'
import { inflateSync } from 'node:zlib'

export interface RawObject {
  type: 'commit' | 'tree' | 'blob'
  content: Buffer
}

export interface Transaction {
  version: number
  seq: number
  previous: string | null
  transactionId: string
  kind: string
  format: number
  incarnation: number
  defaultBranch: string
  at: string
  packs: { name: string; bytes: number; sha256: string }[]
  header?: string
  requests: {
    key?: string
    digest?: string
    commits: string[]
    outcome: { status: number; code?: string; commit?: string }
  }[]
}

export interface Entry {
  prerequisites: string[]
  refs: Map<string, string>
  objects: Map<string, RawObject>
  transaction: Transaction
}

/** @throws with a sentence where the bytes are no entry */
export function parseEntry(body: Buffer): Entry {
  const end = body.indexOf('\n\n')
  const [title, ...lines] = body.subarray(0, end).toString('utf8').split('\n')
  if (title !== '# v2 git bundle') throw new Error(`begins with ${title}`)
  const prerequisites = lines.filter((line) => line.startsWith('-')).map((line) => line.slice(1))
  const named = lines.filter((line) => !line.startsWith('-'))
  const refs = new Map(named.map((line) => [line.slice(41), line.slice(0, 40)]))
  const objects = parsePack(body.subarray(end + 2))
  const blob = objects.get(refs.get('refs/meta/transaction') ?? '')
  if (blob?.type !== 'blob') throw new Error('has no transaction')
  const transaction = JSON.parse(blob.content.toString('utf8')) as Transaction
  if ((transaction.header ?? headerOf(lines)) !== headerOf(lines))
    throw new Error('has another header than it was made with')
  return { prerequisites, refs, objects, transaction }
}

/** What the field `header` says of a bundle's lines. */
function headerOf(lines: readonly string[]): string {
  const covered = lines.filter((line) => !/ (HEAD|refs\/meta\/transaction)$/.test(line))
  const rows = covered.map((line) => Buffer.from(`${line}\n`)).sort(Buffer.compare)
  return sha256(Buffer.concat(rows))
}

const types: (RawObject['type'] | undefined)[] = [undefined, 'commit', 'tree', 'blob']

export function parsePack(pack: Buffer): Map<string, RawObject> {
  if (pack.toString('latin1', 0, 4) !== 'PACK' || pack.readUInt32BE(4) !== 2)
    throw new Error('holds no pack of version 2')
  const trailer = createHash('sha1').update(pack.subarray(0, -20)).digest()
  if (!trailer.equals(pack.subarray(-20))) throw new Error('its pack is broken')
  const objects = new Map<string, RawObject>()
  let at = 12
  for (let left = pack.readUInt32BE(8); left > 0; left--) {
    const type = types[((pack[at] as number) >> 4) & 7]
    if (!type) throw new Error('its pack holds what is no whole object')
    while ((pack[at++] as number) & 0x80);
    const { content, used } = inflate(pack.subarray(at))
    at += used
    objects.set(oidOf(type, content), { type, content })
  }
  if (at !== pack.length - 20) throw new Error('its pack holds more than it says')
  return objects
}

function inflate(bytes: Buffer): { content: Buffer; used: number } {
  const { buffer, engine } = inflateSync(bytes, { info: true }) as unknown as {
    buffer: Buffer
    engine: { bytesWritten: number }
  }
  return { content: buffer, used: engine.bytesWritten }
}

/** The id that Git gives an object. */
export function oidOf(type: string, content: Buffer): string {
  return createHash('sha1').update(`${type} ${content.length}\0`).update(content).digest('hex')
}

export function parseCommit(content: Buffer): { tree: string; parents: string[]; message: string } {
  const text = content.toString('utf8')
  const end = text.indexOf('\n\n')
  const lines = text.slice(0, end).split('\n')
  const of = (name: string) =>
    lines.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1))
  return { tree: of('tree')[0] ?? '', parents: of('parent'), message: text.slice(end + 2).trim() }
}

/** A tree's entries by name. */
export function parseTree(content: Buffer): Map<string, string> {
  const entries = new Map<string, string>()
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(' ', at)
    const nul = content.indexOf(0, space)
    at = nul + 21
    entries.set(content.toString('utf8', space + 1, nul), content.toString('hex', nul + 1, at))
  }
  return entries
}

export function sha256(body: Buffer): string {
  return createHash('sha256').update(body).digest('hex')
}
