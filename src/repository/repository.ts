/**
 * Projects as Git repositories, each of them a log of entries in the store (design: `docs/design.md`).
 *
 * What this folder guarantees: writes of a project are linearizable and durable when they are answered; a read sees every
 * write that was answered, anywhere, before it began, unless its `Proof` says that it is stale; a request's effects come all
 * together or not at all; a keyed request takes effect once. What it does not: order between projects, progress of writers
 * while the store is away. It knows refs, trees and commits, and nothing of stages, services or HTTP.
 */

import type { Commit, Identity, Oid, Tree } from '../git/objects.ts'
import type { EntryKind, EntryObject, Outcome, SpilledPack } from './entry.ts'
import type { ProjectName } from './keys.ts'

export type { Outcome, ProjectName }

/** Objects by the buffer that they were made of, so that evaluating again neither hashes nor deflates again. */
export type BlobMemo = WeakMap<Buffer, EntryObject>

/** An immutable state of one project, and the objects that it reaches. */
export interface View {
  /** Sequence of the newest entry; 0 for an empty log. */
  readonly seq: number
  /** Kind of the newest entry; null for an empty log. */
  readonly lastKind: EntryKind | null
  /** Whether the project exists: its default branch does. */
  readonly exists: boolean
  /** The format of the tree layout, as the tail says. */
  readonly format: number
  readonly defaultBranch: string
  /** Full names (`refs/heads/main`) to objects. */
  readonly refs: ReadonlyMap<string, Oid>
  /** @throws store_unavailable where the object is not at hand and cannot be fetched. */
  readTree(oid: Oid): Promise<Tree>
  readBlob(oid: Oid): Promise<Buffer>
  readCommit(oid: Oid): Promise<Commit>
  /** Whether an entry of the current incarnation made or imported this commit. */
  hasCommit(oid: Oid): Promise<boolean>
}

/** A view that can be changed: what a write sees and makes. Every request has one of its own; it may be evaluated again. */
export interface Draft extends View {
  /** Time of the entry, milliseconds since the epoch, never before the entry before it. */
  readonly atMs: number
  writeBlob(content: Buffer): Oid
  /** @param entries in any order; an empty one is Git's empty tree */
  writeTree(entries: Iterable<readonly [string, { mode: string; oid: Oid }]>): Oid
  /** Makes a commit on top of a branch, or its first one, and moves the branch. The author is the request's. */
  commit(branch: string, change: { tree: Oid; message: string; parents?: Oid[] }): Oid
  /** Points a branch at a commit: how a stage is forked. */
  setBranch(branch: string, commit: Oid): void
  /** Deletes a branch; its tip stays reachable through `refs/meta/deleted`, or the tip that this request merged it into. */
  deleteBranch(branch: string): void
  /** Deletes every branch and tag: the project is gone until it is created again, or revived. */
  deleteAll(): void
  /**
   * Brings a deleted project back as it was: its refs and its format, and with its incarnation every commit of it.
   * @returns false where there is none to bring back @throws StoreError
   */
  revive(): Promise<boolean>
  /**
   * Takes over what an import brings: all branches and tags (others are deleted), whose objects lie in packs that are acknowledged
   * or in the log already. After `begin` it is what the incarnation begins with.
   * @param options.prerequisites parents of commits in the packs that lie outside of them
   */
  adopt(options: {
    refs: ReadonlyMap<string, Oid>
    packs: readonly SpilledPack[]
    prerequisites: readonly Oid[]
  }): void
  /** Begins an incarnation: sets the format and the default branch, which `commit` or `adopt` must then make. */
  begin(options: { format: number; defaultBranch: string }): void
  /** Says which layout the trees have from this entry on, and from which format on a build may read and write it. */
  setFormat(options: { format: number; minReader: number; minWriter: number }): void
}

/** How sure a read is. */
export interface Proof {
  /** Whole seconds since the state was last proven; 0 for a fresh one. */
  ageSeconds: number
  /** True where the store did not answer and the state was served all the same (`Warning: 110`). */
  stale: boolean
  /** True for a read at a commit: the answer can never change. */
  immutable: boolean
}

export interface ReadOptions {
  /** Milliseconds from now in which the answer is wanted, at most; 503 past it. */
  timeoutMs: number
  /** Answer from a state proven at most so many seconds ago, without asking the store. What it lacks takes the ordinary way. */
  maxStaleSeconds?: number
  /** This read is of a single file: while the store is away it may be answered from the state at hand (STALE_READS). */
  mayBeStale?: boolean
  /** Read as of this commit: `View` still is the current state, but no proof is asked for where the commit is known. */
  at?: Oid
}

/** What travels in an entry by itself, and what shares one. */
export type WriteKind = 'create' | 'import' | 'commit' | 'upgrade' | 'delete'

export interface WriteRequest {
  kind: WriteKind
  /**
   * Makes the change, or throws a refusal (a `ServiceError` of 4xx), or changes nothing. Called again whenever another writer was
   * first, so it depends on the draft alone.
   */
  evaluate(draft: Draft): Promise<Outcome>
  /** What `prepareBlobs` made of contents that `evaluate` writes. */
  blobs?: BlobMemo
  /** Idempotency: the client's key, and the digest of its request (`docs/entry-format.md`). */
  idempotency?: { key: string; digest: string }
  /** Who asked, empty where nobody authenticates. */
  principal: string
  author: Identity
  /** Size of the request's body. */
  sizeBytes: number
  /** Milliseconds from now until the client must have an answer. */
  timeoutMs: number
}

export interface Repositories {
  /**
   * Reads one project.
   * @param work reads from the view; it may be called twice (first on an older state, then on a proven one)
   * @throws store_unavailable, project_stopped, format_unsupported, commit_not_found (with `at`), and what `work` throws
   */
  read<T>(
    project: ProjectName,
    work: (view: View) => Promise<T>,
    options: ReadOptions,
  ): Promise<{ value: T; proof: Proof }>

  /**
   * Writes to one project: queued, committed together with what waits, answered once its entry is durable. A refusal is
   * an outcome too (status 4xx), not a throw.
   * @throws overloaded, outcome_unknown, not_written, store_unavailable, store_unfit, project_stopped, format_unsupported
   */
  write(project: ProjectName, request: WriteRequest): Promise<Outcome>

  /**
   * One page of the names of all projects that were ever created, in the order of their keys; whether each still exists a read tells.
   * @param options.after names after this one
   * @param options.limit 1 to 1,000
   */
  listNames(options: {
    after?: string
    limit: number
    signal?: AbortSignal
  }): Promise<{ names: ProjectName[]; more: boolean }>

  /** Projects that are stopped, with the reason, and the newest entry that was applied here (or lies in the cache folder). */
  stopped(): {
    project: ProjectName
    reason: string
    /** The key of the object that shows it. */
    object: string
    sinceMs: number
    applied: number
  }[]

  /** Projects that were asked for, the latest first. */
  recent(): ProjectName[]

  /** Ends timers and background work; what is queued is still finished by whoever awaits it. */
  close(): Promise<void>
}
