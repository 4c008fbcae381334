/** Git's objects: their names, and the three kinds that we write. @see gitformat-pack, git-hash-object */

import { hash } from 'node:crypto'
import { compareBytes, fromByteString, toByteString } from './bytes.ts'
import { digest } from './digest.ts'

declare const oidBrand: unique symbol
/** The name of an object: 40 lower-case hex digits. */
export type Oid = string & { readonly [oidBrand]: true }

export type ObjectType = 'commit' | 'tree' | 'blob' | 'tag'

export interface GitObject {
  type: ObjectType
  content: Buffer
}

export interface TreeEntry {
  /** As Git prints it, six digits: 100644, 100755, 120000 (link), 160000 (submodule), 040000 (folder). */
  mode: string
  oid: Oid
}

/**
 * A folder: its entries by name, in Git's order. A name that is not UTF-8 holds a lone surrogate (U+DC80 to U+DCFF) for
 * each byte that is not, and `encodeTree` turns it back into that byte.
 */
export type Tree = ReadonlyMap<string, TreeEntry>

export interface Identity {
  name: string
  email: string
}

export interface Commit {
  tree: Oid
  parents: Oid[]
  author: Identity & { seconds: number }
  committer: Identity & { seconds: number }
  message: string
}

/** Of what stands for a commit of another repository. */
export const submoduleMode = '160000'

/** Git's empty tree, which every repository may refer to. */
export const emptyTreeOid = '4b825dc642cb6eb9a060e54bf8d69288fbee4904' as Oid

/** Reads the name of an object; null where the text is not 40 lower-case hex digits. */
export function parseOid(text: string): Oid | null {
  return /^[0-9a-f]{40}$/.test(text) ? (text as Oid) : null
}

/** Names an object by its type and content. @see git-hash-object */
export function hashObject(type: ObjectType, content: Buffer): Oid {
  return hash('sha1', framed(type, content)) as Oid
}

/** Does the same, a large content on another thread: it would keep this one for long. */
export async function hashObjectAside(type: ObjectType, content: Buffer): Promise<Oid> {
  return (await digest('sha1', framed(type, content))).toString('hex') as Oid
}

function framed(type: ObjectType, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${type} ${content.length}\0`, 'latin1'), content])
}

/**
 * Writes a folder, sorted as Git sorts it (a folder as if its name ended in a slash).
 * @param entries in any order, each name once
 * @throws RangeError for a name that no tree may hold (empty, doubled, with a slash or NUL) and for a bad mode
 * @see gitformat-pack
 */
export function encodeTree(entries: Iterable<readonly [string, TreeEntry]>): Buffer {
  const rows = Array.from(entries, ([name, entry]) => toRow(name, entry))
  if (new Set(rows.map((row) => row.bytes)).size < rows.length) {
    throw new RangeError('a name stands twice in a tree')
  }
  rows.sort((left, right) => compareBytes(left.key, right.key))
  const lengthBytes = rows.reduce((sum, row) => sum + row.head.length + 20, 0)
  const content = Buffer.allocUnsafe(lengthBytes)
  let at = 0
  for (const row of rows) {
    at += content.write(row.head, at, 'latin1')
    at += content.write(row.oid, at, 'hex')
  }
  return content
}

/**
 * Reads a folder.
 * @throws Error where the bytes are no tree
 */
export function parseTree(content: Buffer): Tree {
  const tree = new Map<string, TreeEntry>()
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(0x20, at)
    const nul = content.indexOf(0, at)
    if (space < 0 || nul < space || nul + 21 > content.length) throw new Error('a tree is cut off')
    const mode = content.toString('latin1', at, space)
    if (!/^[0-7]{5,6}$/.test(mode)) throw new Error('a tree has a bad file mode')
    const oid = content.toString('hex', nul + 1, nul + 21) as Oid
    const name = fromByteString(content.toString('latin1', space + 1, nul))
    tree.set(name, { mode: mode.padStart(6, '0'), oid })
    at = nul + 21
  }
  return tree
}

/**
 * Writes a commit, its times in zone +0000. What would break a header line is left out of names and addresses, and NUL
 * out of the message.
 * @throws RangeError for a time that is not a whole number of seconds since the epoch
 * @see git-commit-tree, git-fsck
 */
export function encodeCommit(commit: Commit): Buffer {
  const parents = commit.parents.map((parent) => `parent ${parent}\n`).join('')
  const author = `author ${signature(commit.author)}\n`
  const committer = `committer ${signature(commit.committer)}\n`
  const message = commit.message.replaceAll('\0', '')
  return Buffer.from(`tree ${commit.tree}\n${parents}${author}${committer}\n${message}`, 'utf8')
}

/**
 * Reads any commit: signatures, merge tags and unknown headers are passed over, other encodings are decoded, and times
 * lose their zone.
 * @throws Error where the bytes are no commit
 */
export function parseCommit(content: Buffer): Commit {
  const blank = content.indexOf('\n\n')
  const end = blank < 0 ? content.length : blank
  const decode = decoderFor(content.subarray(0, end))
  const lines = decode(content.subarray(0, end)).split('\n')
  const values = (name: string) =>
    lines.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1))
  return {
    tree: requireOid(values('tree')[0]),
    parents: values('parent').map(requireOid),
    author: parseSignature(values('author')[0]),
    committer: parseSignature(values('committer')[0]),
    message: blank < 0 ? '' : decode(content.subarray(blank + 2)),
  }
}

/** Reads which object a tag stands for. @throws Error where the bytes are no tag */
export function parseTag(content: Buffer): Oid {
  const [, text = ''] = /^object (.*)\n/.exec(content.toString('latin1', 0, 48)) ?? []
  const oid = parseOid(text)
  if (oid === null) throw new Error('a tag with a bad object name')
  return oid
}

function toRow(name: string, entry: TreeEntry) {
  const bytes = toByteString(name)
  if (bytes === '' || bytes.includes('/') || bytes.includes('\0')) {
    throw new RangeError('a name that no tree can hold')
  }
  if (!/^[01][0-7]{5}$/.test(entry.mode)) throw new RangeError(`no file mode: ${entry.mode}`)
  const isFolder = entry.mode === '040000'
  const mode = isFolder ? '40000' : entry.mode
  return { bytes, key: isFolder ? `${bytes}/` : bytes, head: `${mode} ${bytes}\0`, oid: entry.oid }
}

function signature(by: Commit['author']): string {
  if (!Number.isSafeInteger(by.seconds) || by.seconds < 0) {
    throw new RangeError(`no time of a commit: ${by.seconds}`)
  }
  return `${cleanIdentity(by.name)} <${cleanIdentity(by.email)}> ${by.seconds} +0000`
}

/** U+2028 and U+2029 go as well: Git lets them pass, and isomorphic-git then cannot read the commit. */
function cleanIdentity(text: string): string {
  return text
    .replace(/[<>\r\n\u2028\u2029]/g, '')
    .replaceAll('\0', '')
    .trim()
}

function parseSignature(text: string | undefined): Commit['author'] {
  if (text === undefined) throw new Error('a commit without author or committer')
  const open = text.indexOf('<')
  const close = text.lastIndexOf('>')
  const named = open >= 0 && close > open
  const seconds = Number.parseInt(text.slice(close + 1), 10)
  return {
    name: (named ? text.slice(0, open) : text).trim(),
    email: named ? text.slice(open + 1, close).trim() : '',
    seconds: Number.isSafeInteger(seconds) && seconds > 0 ? seconds : 0,
  }
}

function requireOid(text: string | undefined): Oid {
  const oid = parseOid(text ?? '')
  if (oid === null) throw new Error('a commit with a bad object name')
  return oid
}

function decoderFor(header: Buffer): (bytes: Buffer) => string {
  const label = /^encoding (\S+)$/m.exec(header.toString('latin1'))?.[1]
  if (label === undefined) return (bytes) => bytes.toString('utf8')
  try {
    const decoder = new TextDecoder(label)
    return (bytes) => decoder.decode(bytes)
  } catch {
    return (bytes) => bytes.toString('utf8')
  }
}
