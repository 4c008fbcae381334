/**
 * One entry of a log: a Git bundle that names every ref, with the transaction as a blob. @see docs/entry-format.md
 */
import { hash } from 'node:crypto'

import type { ErrorCode } from '../errors.ts'
import { encodeBundle, parseBundle } from '../git/bundle.ts'
import { toByteString } from '../git/bytes.ts'
import { digest } from '../git/digest.ts'
import type { Oid } from '../git/objects.ts'
import { encodePack, type PackedObject, packObject, parsePack } from '../git/pack.ts'

/** What new entries, decisions and announcements say of their format. Readers ask `minReader`, not this. */
export const formatVersion = 1

export const transactionRef = 'refs/meta/transaction'
export const deletedRef = 'refs/meta/deleted'

export type EntryKind = 'create' | 'import' | 'commit' | 'upgrade' | 'delete' | 'restore'

export interface SpilledPack {
  /** File name under `packs/`. */
  name: string
  bytes: number
  sha256: string
  /** Of its index, where that lies beside the checkpoints: an import says so. */
  indexSha256?: string
}

/** The answer of a request, as the log keeps it. */
export interface Outcome {
  /** HTTP status, 200 to 499. */
  status: number
  code?: ErrorCode
  /** The sentence of a refusal. */
  message?: string
  /** The commit that the answer names. */
  commit?: Oid
}

export interface TransactionRequest {
  key?: string
  digest?: string
  principal: string
  commits: Oid[]
  outcome: Outcome
}

/** What the entry says of itself; the fields are those of docs/entry-format.md. */
export interface Transaction {
  version: number
  seq: number
  previous: string | null
  transactionId: string
  /** An unknown kind replays as its refs. */
  kind: EntryKind
  format: number
  minReader: number
  minWriter: number
  incarnation: number
  defaultBranch: string
  at: string
  build: string
  packs: SpilledPack[]
  /** `hashHeader` of the entry; absent in those of older builds, and of kind `restore`. */
  header?: string
  requests: TransactionRequest[]
}

/** An object that an entry carries. */
export interface EntryObject extends PackedObject {
  content: Buffer
}

export interface Entry {
  seq: number
  /** The whole object, as it lies in the bucket. */
  bytes: Buffer
  /** sha256 of `bytes`, hex: what the next entry names as `previous`. */
  hash: string
  /** Every ref of the repository, `refs/meta/transaction` left out. */
  refs: ReadonlyMap<string, Oid>
  transaction: Transaction
  objects: readonly EntryObject[]
}

/** An object of the bucket that is no entry of its log. */
export class EntryError extends Error {
  /** What its key says; null where only the bytes are known. */
  readonly seq: number | null

  constructor(message: string, seq: number | null = null) {
    super(message)
    this.seq = seq
  }
}

/** sha256 of a whole object, hex. */
export function sha256(bytes: Buffer): string {
  return hash('sha256', bytes)
}

/** The same, of a large object on another thread: it would keep this one for long. */
export async function sha256Aside(bytes: Buffer): Promise<string> {
  return (await digest('sha256', bytes)).toString('hex')
}

/**
 * sha256 of what an entry's header says, hex: no checksum of Git's covers it, and before there is a next entry nothing else does.
 * @param refs every ref but the transaction's
 */
export function hashHeader(prerequisites: readonly Oid[], refs: ReadonlyMap<string, Oid>): string {
  const commits = [...new Set(prerequisites)].map((oid) => `-${oid}\n`).sort()
  const lines = Array.from(refs, ([name, oid]) => `${oid} ${toByteString(name)}\n`).sort()
  return sha256(Buffer.from([...commits, ...lines].join(''), 'latin1'))
}

/**
 * Writes an entry.
 * @param parts.refs every ref but the transaction's
 * @param parts.prerequisites parents of commits in this entry (and its packs) that lie outside both
 * @param parts.objects what is new and not spilled, the transaction left out
 */
export function encodeEntry(parts: {
  transaction: Transaction
  refs: ReadonlyMap<string, Oid>
  prerequisites: readonly Oid[]
  objects: readonly EntryObject[]
}): Entry {
  const content = encodeTransaction(parts.transaction)
  const blob = packObject('blob', content)
  const bytes = encodeBundle({
    prerequisites: parts.prerequisites,
    refs: new Map([...parts.refs, [transactionRef, blob.oid]]),
    defaultBranch: parts.transaction.defaultBranch,
    pack: encodePack([blob, ...parts.objects]),
  })
  return {
    seq: parts.transaction.seq,
    bytes,
    hash: sha256(bytes),
    refs: parts.refs,
    transaction: parts.transaction,
    objects: parts.objects,
  }
}

/** The transaction as its blob: one line of JSON. */
export function encodeTransaction(transaction: Transaction): Buffer {
  return Buffer.from(`${JSON.stringify(transaction)}\n`, 'utf8')
}

/**
 * Reads an entry, every object of it checked against its name.
 * @param seq the sequence that its key names
 * @throws EntryError with a sentence
 */
export function decodeEntry(seq: number, bytes: Buffer): Entry {
  try {
    const bundle = parseBundle(bytes)
    const objects = parsePack(bytes.subarray(bundle.packOffset))
    const blobOid = bundle.refs.get(transactionRef)
    const blob = objects.find((object) => object.oid === blobOid && object.type === 'blob')
    if (!blob) throw new EntryError('its transaction is not in its pack')
    const transaction = parseTransaction(blob.content)
    if (transaction.seq !== seq) throw new EntryError(`it says sequence ${transaction.seq}`)
    const refs = new Map(bundle.refs)
    refs.delete(transactionRef)
    if (bundle.head !== (refs.get(`refs/heads/${transaction.defaultBranch}`) ?? null)) {
      throw new EntryError('its HEAD is not its default branch')
    }
    const { header } = transaction
    if (header !== undefined && header !== hashHeader(bundle.prerequisites, refs)) {
      throw new EntryError('its header is not the one that it was made with')
    }
    return {
      seq,
      bytes,
      hash: sha256(bytes),
      refs,
      transaction,
      objects: objects
        .filter((object) => object !== blob)
        .map((object) => ({ ...object, sizeBytes: object.content.length })),
    }
  } catch (error) {
    throw new EntryError(`entry ${seq} cannot be read: ${(error as Error).message}`, seq)
  }
}

function parseTransaction(content: Buffer): Transaction {
  const value = JSON.parse(content.toString('utf8')) as Partial<Transaction> | null
  if (typeof value !== 'object' || value === null)
    throw new EntryError('its transaction is no object')
  for (const field of ['seq', 'format', 'minReader', 'minWriter', 'incarnation'] as const) {
    if (!Number.isSafeInteger(value[field])) throw new EntryError(`its ${field} is no integer`)
  }
  for (const field of ['transactionId', 'kind', 'defaultBranch', 'at'] as const) {
    if (typeof value[field] !== 'string') throw new EntryError(`its ${field} is no text`)
  }
  if (value.previous !== null && typeof value.previous !== 'string') {
    throw new EntryError('its previous is neither a hash nor null')
  }
  if (!Array.isArray(value.packs) || !Array.isArray(value.requests)) {
    throw new EntryError('its packs or requests are no list')
  }
  return value as Transaction
}
