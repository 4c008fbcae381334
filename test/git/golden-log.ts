/** Builds logs for the golden entries: small, complete, and without time or chance. */
import { createHash } from 'node:crypto'
import { encodeBundle } from '../../src/git/bundle.ts'
import {
  emptyTreeOid,
  encodeCommit,
  encodeTree,
  hashObject,
  type Oid,
  type TreeEntry,
} from '../../src/git/objects.ts'
import { encodePack, type PackedObject, packObject } from '../../src/git/pack.ts'
import { toRfc3339 } from '../../src/git/time.ts'

export type Files = Record<string, string>

/** What a repository must hold after an entry: its refs, and the files (path to blob) of each commit that a head names. */
export interface Expected {
  seq: number
  defaultBranch: string
  refs: Record<string, Oid>
  files: Record<Oid, Record<string, Oid>>
}

export interface GoldenLog {
  /** Of the entry format; 0 has no hash of the header. */
  version: 0 | 1
  format: number
  /** By key below the project: `log/…bundle`, `packs/…pack`. */
  objects: Map<string, Buffer>
  expected: Expected[]
  defaultBranch: string
  refs: Map<string, Oid>
  /** Commits of annotated tags. */
  peeled: Map<Oid, Oid>
  files: Map<Oid, Files>
  /** What entries and packs hold by now. */
  known: Set<Oid>
  incarnation: number
  previous: string | null
}

/** One request of an entry, as its transaction keeps it. */
export interface GoldenRequest {
  key?: string
  digest?: string
  principal: string
  commits: Oid[]
  outcome: { status: number; code?: string; message?: string; commit?: Oid }
}

export interface EntryParts {
  kind: string
  requests: GoldenRequest[]
  /** What the entry carries beside its transaction. */
  objects?: PackedObject[]
  prerequisites?: Oid[]
  /** Packs that it names, by their file names. */
  packs?: Record<string, Buffer>
  /** Of packs whose indexes lie beside the checkpoints: sha256 of them, by the packs' names. */
  indexes?: Record<string, string>
  /** Fields that this build does not know, or others than an entry of its place would have. */
  fields?: Record<string, unknown>
}

const firstMs = Date.UTC(2026, 10, 21, 12)

export function emptyLog(defaultBranch: string, version: 0 | 1): GoldenLog {
  const refs = new Map<string, Oid>()
  const files = new Map<Oid, Files>()
  const known = new Set<Oid>()
  const state = {
    version,
    format: 1,
    refs,
    files,
    known,
    peeled: new Map(),
    defaultBranch,
    incarnation: 1,
    previous: null,
  }
  return { objects: new Map(), expected: [], ...state }
}

/** Seconds at which the next entry's commits are made. */
export function nextSeconds(log: GoldenLog): number {
  return (firstMs + 60_000 * log.expected.length) / 1000
}

/**
 * Makes a commit of whole files on top of others, and remembers its files.
 * @returns the commit, and every object that it takes
 */
export function commitFiles(
  log: GoldenLog,
  commit: { files: Files; parents: Oid[]; message: string; author: string },
): { oid: Oid; objects: PackedObject[] } {
  const objects = new Map<Oid, PackedObject>()
  const tree = packFolder(commit.files, objects)
  const seconds = nextSeconds(log)
  const made = packObject(
    'commit',
    encodeCommit({
      tree,
      parents: commit.parents,
      author: { name: commit.author, email: `${commit.author}@example.org`, seconds },
      committer: { name: 'keptn', email: 'keptn@keptn.sh', seconds },
      message: commit.message,
    }),
  )
  log.files.set(made.oid, commit.files)
  return { oid: made.oid, objects: [...objects.values(), made] }
}

/**
 * Makes the commit that keeps deleted tips reachable, and its tree: stock git knows the empty tree without having it, but
 * `fsck` calls it missing.
 */
export function deletionCommit(
  log: GoldenLog,
  deleted: readonly string[],
): { oid: Oid; objects: PackedObject[] } {
  const before = log.refs.get('refs/meta/deleted')
  const tips = [...new Set(deleted.map((name) => tipOf(log, name)))].sort()
  const by = { name: 'keptn', email: 'keptn@keptn.sh', seconds: nextSeconds(log) }
  const parents = before === undefined ? tips : [before, ...tips]
  const message = `deleted ${deleted.join(' ')}`
  const commit = { tree: emptyTreeOid, parents, author: by, committer: by, message }
  const made = packObject('commit', encodeCommit(commit))
  return { oid: made.oid, objects: [packObject('tree', encodeTree([])), made] }
}

/** The commit that a branch or tag names. */
export function tipOf(log: GoldenLog, name: string): Oid {
  const oid = log.refs.get(name) as Oid
  return log.peeled.get(oid) ?? oid
}

/** Appends an entry whose refs are those that `log.refs` holds by now. */
export function append(log: GoldenLog, parts: EntryParts): void {
  const seq = log.expected.length + 1
  const transaction = packObject('blob', transactionOf(log, seq, parts))
  log.refs.set('refs/meta/transaction', transaction.oid)
  const fresh = (parts.objects ?? []).filter((object) => !log.known.has(object.oid))
  for (const object of fresh) log.known.add(object.oid)
  const entry = encodeBundle({
    prerequisites: parts.prerequisites ?? [],
    refs: log.refs,
    defaultBranch: log.defaultBranch,
    pack: encodePack([transaction, ...fresh]),
  })
  log.objects.set(logKey(seq), entry)
  for (const [name, pack] of Object.entries(parts.packs ?? {}))
    log.objects.set(`packs/${name}`, pack)
  log.previous = sha256(entry)
  log.expected.push(expectedNow(log, seq))
}

export function sha256(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** When an entry was made, RFC 3339. */
export function atOf(seq: number): string {
  return toRfc3339(firstMs + 60_000 * (seq - 1) + 7)
}

/** A sequence number as keys have it. */
export function digitsOf(seq: number): string {
  return String(seq).padStart(20, '0')
}

/** The key of an entry below its project. */
export function logKey(seq: number): string {
  return `log/${digitsOf(seq)}.bundle`
}

function transactionOf(log: GoldenLog, seq: number, parts: EntryParts): Buffer {
  const packs = Object.entries(parts.packs ?? {}).map(([name, pack]) => {
    const indexSha256 = parts.indexes?.[name]
    return {
      name,
      bytes: pack.length,
      sha256: sha256(pack),
      ...(indexSha256 !== undefined && { indexSha256 }),
    }
  })
  const transaction = {
    version: log.version,
    seq,
    previous: log.previous,
    transactionId: `6f0c1d5e-0000-4000-8000-${String(seq).padStart(12, '0')}`,
    kind: parts.kind,
    format: log.format,
    minReader: log.format,
    minWriter: log.format,
    incarnation: log.incarnation,
    defaultBranch: log.defaultBranch,
    at: atOf(seq),
    build: log.version === 0 ? '0.1.0' : '0.4.0',
    packs,
    ...(log.version > 0 && parts.kind !== 'restore' && { header: hashOfHeader(log, parts) }),
    requests: parts.requests,
    ...parts.fields,
  }
  return Buffer.from(`${JSON.stringify(transaction)}\n`)
}

/** What no checksum of Git's covers, as docs/entry-format.md has it. */
function hashOfHeader(log: GoldenLog, { prerequisites = [] }: EntryParts): string {
  const refs = [...log.refs].filter(([name]) => name !== 'refs/meta/transaction')
  const named = refs.map(([name, oid]) => `${oid} ${name}\n`)
  return sha256([...prerequisites.map((oid) => `-${oid}\n`), ...named].sort(bytewise).join(''))
}

function bytewise(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right))
}

function expectedNow(log: GoldenLog, seq: number): Expected {
  const heads = [...log.refs].filter(([name]) => name.startsWith('refs/heads/'))
  const files = heads.map(([, oid]) => [oid, blobsOf(log.files.get(oid) ?? {})])
  return {
    seq,
    defaultBranch: log.defaultBranch,
    refs: Object.fromEntries(log.refs),
    files: Object.fromEntries(files),
  }
}

function blobsOf(files: Files): Record<string, Oid> {
  const rows = Object.entries(files).map(([path, text]) => [
    path,
    hashObject('blob', Buffer.from(text)),
  ])
  return Object.fromEntries(rows)
}

function packFolder(files: Files, objects: Map<Oid, PackedObject>): Oid {
  const entries = new Map<string, TreeEntry>()
  const folders = new Map<string, Files>()
  for (const [path, text] of Object.entries(files)) {
    const [name = '', ...rest] = path.split('/')
    if (rest.length === 0) {
      entries.set(name, {
        mode: '100644',
        oid: keep(packObject('blob', Buffer.from(text)), objects),
      })
    } else folders.set(name, { ...folders.get(name), [rest.join('/')]: text })
  }
  for (const [name, inside] of folders) {
    entries.set(name, { mode: '040000', oid: packFolder(inside, objects) })
  }
  return keep(packObject('tree', encodeTree(entries)), objects)
}

function keep(object: PackedObject, objects: Map<Oid, PackedObject>): Oid {
  objects.set(object.oid, object)
  return object.oid
}
