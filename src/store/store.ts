/**
 * The port to object storage. What every adapter guarantees:
 *
 * - `create` is the one strong primitive: of any number of concurrent creators of a key, over any number of processes,
 *   exactly one is told `created`; the body of a key that exists never changes by it.
 * - What was acknowledged is durable and is seen by every `get` and `list` that starts later, from any process.
 * - Absence is `null`, and only the store's own "no such key" is absence: a missing bucket, a refused credential, an
 *   unknown failure is an error.
 * - A call never retries by itself. It ends by its answer, by its deadline (`timeoutMs`) or by its signal; ending it ends the
 *   request beneath, though what was sent may still take effect later.
 *
 * Every failure is a `StoreError`. `definite` tells that the call had no effect and never will (refused before it was sent,
 * or refused by the store with an answer that proves it); everything else is ambiguous: a PUT may have landed or may yet land.
 *
 * Keys are relative to the adapter's prefix, UTF-8 without NUL, segments separated by `/`, none empty, `.` or `..`.
 * All methods are safe for concurrent use.
 */
export interface Store {
  /**
   * Reads an object, or a range of its bytes.
   * @param options.range bytes `start` to `end`, both included, from 0; past the end it is cut short, and where it begins
   *   at the end or past it the call fails with reason `InvalidRange`
   * @param options.ifNoneMatch an ETag as this store gave it
   * @returns the object, `null` when absent, `'not-modified'` when its ETag equals `ifNoneMatch`
   */
  get(
    key: string,
    options: CallOptions & { range?: ByteRange; ifNoneMatch?: string },
  ): Promise<StoredObject | 'not-modified' | null>

  /**
   * Creates an object that must not exist yet, sent in one write. Meant for small objects (64 KiB): a store may refuse a
   * large one before it has read it, and the refusal may then be lost.
   * @returns `exists` where the key is taken (412; its content is unchanged), `conflict` where the store could not
   *   decide and wrote nothing (409: repeat identically)
   */
  create(key: string, body: Buffer, options: CallOptions): Promise<CreateResult>

  /** Writes an object whether it exists or not. */
  put(key: string, body: Buffer, options: CallOptions): Promise<{ etag: string }>

  /**
   * Lists one page of keys in bytewise order of their UTF-8.
   * @param options.prefix keys that begin with it; `''` for all
   * @param options.startAfter only keys and rolled-up prefixes that are themselves after it
   * @param options.delimiter keys that hold it after the prefix are rolled up into `prefixes`
   * @param options.limit 1 to 1,000, default 1,000
   * @returns `more` tells that the page was cut; go on with `startAfter: next`
   */
  list(options: CallOptions & ListOptions): Promise<ListPage>

  /** Deletes an object; deleting what is absent is no error. */
  delete(key: string, options: CallOptions): Promise<void>

  /** Ends every connection; calls under way fail. */
  close(): Promise<void>
}

export interface CallOptions {
  /** 1 to 600,000 milliseconds; past it the call is aborted and fails, as ambiguous unless nothing was sent yet. */
  timeoutMs: number
  /** Any number of calls may share one; an aborted call fails as one past its deadline does. */
  signal?: AbortSignal
}

export interface ByteRange {
  start: number
  end: number
}

export interface StoredObject {
  body: Buffer
  /** Opaque, quotes included if the store sends them; never computed, never compared with another object's. */
  etag: string
  /** The store's clock, milliseconds since the epoch; whole seconds on most stores. */
  lastModifiedMs: number
  /** The store's clock when it answered (the Date header), milliseconds since the epoch. */
  dateMs: number
}

export type CreateResult =
  | { result: 'created'; etag: string }
  | { result: 'exists' }
  | { result: 'conflict' }

export interface ListOptions {
  prefix: string
  startAfter?: string
  delimiter?: '/'
  limit?: number
}

export interface ListPage {
  objects: ListedObject[]
  /** Rolled-up prefixes, each ending in the delimiter. */
  prefixes: string[]
  /** The last key or prefix of a page that was cut, else null. */
  next: string | null
  /** The store's clock when it answered, milliseconds since the epoch. */
  dateMs: number
}

export interface ListedObject {
  key: string
  etag: string
  sizeBytes: number
  lastModifiedMs: number
}

/** A call that failed. */
export class StoreError extends Error {
  /** True where the call had no effect and never will. */
  readonly definite: boolean
  /** The store's own error code (`AccessDenied`), or `timeout`, `aborted`, `closed`, or Node's (`ECONNREFUSED`). */
  readonly reason: string

  constructor(message: string, options: { definite: boolean; reason: string; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'StoreError'
    this.definite = options.definite
    this.reason = options.reason
  }
}
