/** What a request sees and makes while it is evaluated: a view of the state before it, with its own changes on top. */
import {
  type Commit,
  emptyTreeOid,
  encodeCommit,
  encodeTree,
  hashObject,
  hashObjectAside,
  type Identity,
  type ObjectType,
  type Oid,
} from '../git/objects.ts'
import { packObject } from '../git/pack.ts'
import { deflateAside } from '../git/pack-entry.ts'
import { deletedRef, type EntryObject, type SpilledPack } from './entry.ts'
import { commitOf, treeOf } from './object-cache.ts'
import type { Objects } from './objects.ts'
import type { BlobMemo, Draft } from './repository.ts'
import type { Snapshot } from './snapshot.ts'

/** The refs and the layout of a repository, between two requests of a batch. */
export interface DraftState {
  refs: ReadonlyMap<string, Oid>
  format: number
  minReader: number
  minWriter: number
  defaultBranch: string
  /** Whether an incarnation was begun or brought back, its layout turned, or all was deleted, since the snapshot. */
  change: 'none' | 'begun' | 'revived' | 'upgraded' | 'ended'
  /** What an import brought; null for none. */
  adopted: Adopted | null
}

/** Packs that lie in the bucket already, and the commits from before that those in them stand on. */
export interface Adopted {
  packs: readonly SpilledPack[]
  prerequisites: readonly Oid[]
}

/** What a request made. */
export interface DraftResult {
  state: DraftState
  /** New objects, in the order in which they were made. */
  made: Map<Oid, EntryObject>
  /** Commits of the request, oldest first; deletion commits are not among them. */
  commits: Oid[]
  /** Whether any ref moved, or the format. */
  isChanged: boolean
}

/** A smaller content keeps this thread for 6 ms at the most. */
const asideFromBytes = 256 * 1024

/** Makes the blobs of large contents ahead of their request, on other threads: 10 MiB take 60 to 190 ms. */
export async function prepareBlobs(contents: Iterable<Buffer>): Promise<BlobMemo> {
  const blobs: BlobMemo = new WeakMap()
  for (const content of contents) {
    if (content.length < asideFromBytes) continue
    const [oid, deflated] = await Promise.all([
      hashObjectAside('blob', content),
      deflateAside(content),
    ])
    blobs.set(content, { oid, type: 'blob', sizeBytes: content.length, deflated, content })
  }
  return blobs
}

export interface DraftOptions {
  snapshot: Snapshot
  objects: Objects
  /** What the requests before this one in the batch left, and made. */
  before: DraftState
  madeBefore: ReadonlyMap<Oid, EntryObject>
  blobs: BlobMemo
  author: Identity
  committer: Identity
  atMs: number
  /** The newest state of the log in which the project was there; null for none. */
  findLastExisting: () => Promise<Snapshot | null>
}

/** The state that a batch begins with. */
export function stateOf(snapshot: Snapshot): DraftState {
  const { refs, format, minReader, minWriter, defaultBranch } = snapshot
  return { refs, format, minReader, minWriter, defaultBranch, change: 'none', adopted: null }
}

/** Makes the draft of one request; `result` is asked once, after its evaluation. */
export function createDraft(options: DraftOptions): {
  draft: Draft
  result(): Promise<DraftResult>
} {
  const { snapshot, objects, before } = options
  const made = new Map<Oid, EntryObject>()
  const commits: Oid[] = []
  const deleted: { name: string; tip: Oid }[] = []
  const seconds = Math.floor(options.atMs / 1000)
  let refs = new Map(before.refs)
  let { format, minReader, minWriter, defaultBranch, change, adopted } = before

  const own = (oid: Oid) => made.get(oid) ?? options.madeBefore.get(oid)

  const make = (type: ObjectType, content: Buffer, oid?: Oid): EntryObject => ({
    ...packObject(type, content, oid),
    content,
  })

  /** Makes an object, unless it is known to lie in the log or comes with a request before. */
  const keep = (type: ObjectType, content: Buffer): Oid => {
    const oid = hashObject(type, content)
    if (!isAtHand(oid)) made.set(oid, make(type, content, oid))
    return oid
  }

  const isAtHand = (oid: Oid) => objects.knows(oid) || own(oid) !== undefined

  /** Commits always travel: which incarnation made one is told by where it lies. */
  const writeCommit = (commit: Omit<Commit, 'committer'>): Oid => {
    const committer = { ...options.committer, seconds }
    const object = make('commit', encodeCommit({ ...commit, committer }))
    made.set(object.oid, object)
    return object.oid
  }

  const refName = (branch: string) => `refs/heads/${branch}`

  const remove = (name: string) => {
    const tip = refs.get(name)
    if (tip === undefined) return
    refs.delete(name)
    deleted.push({ name, tip })
  }

  /** Parents of branches' tips that were made here: what they reach needs nothing else to stay reachable. */
  const mergedTips = () => {
    const tips = commits.filter((oid) => [...refs.values()].includes(oid))
    return new Set(tips.flatMap((oid) => commitOf(made.get(oid) as EntryObject).parents))
  }

  /** A tag may be an object of its own, and may stand for something else than a commit, which no commit can have as its parent. */
  const peel = async ({ name, tip }: { name: string; tip: Oid }) => {
    return { name, tip: name.startsWith('refs/tags/') ? await objects.peel(tip) : tip }
  }

  /** Keeps deleted tips reachable for ever. @see docs/entry-format.md, "Deletion commit" */
  const writeDeletion = async () => {
    const merged = deleted.length === 0 ? new Set() : mergedTips()
    const peeled = await Promise.all(deleted.map(peel))
    const lost = peeled.flatMap(({ name, tip }) =>
      tip === null || merged.has(tip) ? [] : [{ name, tip }],
    )
    if (lost.length === 0) return
    const previous = refs.get(deletedRef)
    const tips = [...new Set(lost.map(({ tip }) => tip))].sort()
    const names = lost.map(({ name }) => name).sort()
    keep('tree', Buffer.alloc(0))
    const oid = writeCommit({
      tree: emptyTreeOid,
      parents:
        previous === undefined ? tips : [previous, ...tips.filter((tip) => tip !== previous)],
      author: { ...options.committer, seconds },
      message: `deleted ${names.join(' ')}`,
    })
    refs.set(deletedRef, oid)
  }

  const draft: Draft = {
    seq: snapshot.seq,
    lastKind: snapshot.kind,
    get exists() {
      return refs.has(refName(defaultBranch))
    },
    get format() {
      return format
    },
    get defaultBranch() {
      return defaultBranch
    },
    get refs() {
      return refs
    },
    atMs: options.atMs,
    async readTree(oid) {
      const object = own(oid)
      return object ? treeOf(object) : objects.readTree(oid)
    },
    async readBlob(oid) {
      return own(oid)?.content ?? objects.readBlob(oid)
    },
    async readCommit(oid) {
      const object = own(oid)
      return object ? commitOf(object) : objects.readCommit(oid)
    },
    async hasCommit(oid) {
      if (own(oid)?.type === 'commit') return true
      const isAnother = change === 'begun' || change === 'ended'
      return !isAnother && objects.hasCommit(oid, snapshot.incarnation)
    },
    writeBlob(content) {
      const memo = options.blobs.get(content)
      const oid = memo?.oid ?? hashObject('blob', content)
      if (isAtHand(oid)) return oid
      const object = memo ?? make('blob', content, oid)
      options.blobs.set(content, object)
      made.set(oid, object)
      return oid
    },
    writeTree: (entries) => keep('tree', encodeTree(entries)),
    commit(branch, change) {
      const tip = refs.get(refName(branch))
      const parents = change.parents ?? (tip === undefined ? [] : [tip])
      const author = { ...options.author, seconds }
      const oid = writeCommit({ tree: change.tree, parents, author, message: change.message })
      commits.push(oid)
      refs.set(refName(branch), oid)
      return oid
    },
    setBranch(branch, commit) {
      refs.set(refName(branch), commit)
    },
    deleteBranch(branch) {
      remove(refName(branch))
    },
    deleteAll() {
      for (const name of [...refs.keys()]) if (!name.startsWith('refs/meta/')) remove(name)
      change = 'ended'
    },
    async revive() {
      const last = await options.findLastExisting()
      if (last === null) return false
      refs = new Map([...last.refs, ...refs])
      ;({ format, minReader, minWriter } = last)
      change = 'revived'
      return true
    },
    setFormat(next) {
      format = next.format
      minReader = next.minReader
      minWriter = next.minWriter
      if (change === 'none') change = 'upgraded'
    },
    adopt(next) {
      for (const name of [...refs.keys()]) {
        if (!name.startsWith('refs/meta/') && !next.refs.has(name)) remove(name)
      }
      for (const [name, oid] of next.refs) refs.set(name, oid)
      adopted = { packs: next.packs, prerequisites: next.prerequisites }
    },
    begin(begun) {
      format = begun.format
      minReader = begun.format
      minWriter = begun.format
      defaultBranch = begun.defaultBranch
      change = 'begun'
    },
  }

  return {
    draft,
    async result() {
      await writeDeletion()
      const state = { refs, format, minReader, minWriter, defaultBranch, change, adopted }
      const isChanged = !sameFormat(before, state) || !sameRefs(before.refs, refs)
      refs = new Map(refs)
      return { state, made, commits, isChanged }
    },
  }
}

function sameFormat(left: DraftState, right: DraftState): boolean {
  return (
    left.format === right.format &&
    left.minReader === right.minReader &&
    left.minWriter === right.minWriter
  )
}

function sameRefs(left: ReadonlyMap<string, Oid>, right: ReadonlyMap<string, Oid>): boolean {
  if (left.size !== right.size) return false
  for (const [name, oid] of left) if (right.get(name) !== oid) return false
  return true
}
