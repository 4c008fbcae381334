/**
 * `accept-restore`: a person decides that a log which lost entries goes on from what is left of it.
 *
 * The decision is in the log itself, as entries of kind `restore` that change no ref: they fill every slot that was once taken, up to
 * one above all that any replica is known to have applied. So a slot stays taken, the chain holds again, stock Git replays it, and a
 * replica that finds a `restore` entry above everything that it applied knows that the log it sees was accepted without what it
 * knows. An entry beyond the gap is copied aside before a `restore` entry takes its place: nothing is deleted.
 */
import { createHash } from 'node:crypto'
import type { Clock, Randomness } from '../clock.ts'
import { toRfc3339 } from '../git/time.ts'
import type { Store } from '../store/store.ts'
import { decodeEntry, type Entry, EntryError, encodeEntry, formatVersion, sha256 } from './entry.ts'
import { fetchWhole, listAll, mapParallel, storeTimeoutMs } from './environment.ts'
import { insist, undecided } from './insist.ts'
import type { ProjectKeys } from './keys.ts'
import { emptySnapshot, follow, type Snapshot } from './snapshot.ts'

const fetchAtOnce = 16
const patienceMs = 30_000

interface Place {
  store: Store
  keys: ProjectKeys
}

/** An entry behind the end of what is whole. */
export interface Stray {
  seq: number
  sha256: string
  /** What it says of itself; absent where it cannot be read. */
  kind?: string
  at?: string
  transactionId?: string
  requests?: number
}

/** A log as it stands. */
export interface Findings {
  /** Entries 1 to this one are there and follow each other. */
  intact: number
  /** Why no more of them do; null where nothing stands behind. */
  because: string | null
  beyond: Stray[]
  /** Checkpoints show that the log once reached so far; 0 for none. */
  checkpointed: number
  /** The newest entry that says that a log was accepted; 0 for none. */
  acceptedAt: number
  /** Packs that an entry names and that are not there, or not whole. */
  missingPacks: string[]
}

/** Told of an entry that is intact, and how many there are about. */
type OnEntry = (entry: Entry, total: number) => Promise<void>

/** Reads a whole log, and changes nothing. @throws StoreError */
export async function inspectLog(place: Place, onEntry?: OnEntry): Promise<Findings> {
  return (await inspect(place, onEntry)).findings
}

/**
 * Makes a log go on from its intact entries. It may be killed anywhere and run again, also twice at once.
 * @param options.applied what replicas that are stopped say they applied, or their cache folders hold; 0 for nobody
 * @param options.format of a project of which nothing is left
 * @returns what was found in the beginning, and where the log ends now; `acceptedUpTo` is null where nothing had to be accepted
 * @throws StoreError: run it again
 */
export async function acceptRestore(
  options: Place & {
    clock: Clock
    random: Randomness
    build: string
    applied: number
    format: number
  },
): Promise<Findings & { acceptedUpTo: number | null }> {
  const { clock, applied } = options
  let first: Findings | undefined
  let acceptedUpTo: number | null = null
  for (;;) {
    const { findings, tail, strays } = await inspect(options)
    first ??= findings
    if (!isBroken(findings, applied)) return { ...first, acceptedUpTo }
    const lastKnown = Math.max(applied, findings.checkpointed, findings.intact, ...strays.keys())
    const giveUpMs = () => clock.monotonicMs() + patienceMs
    let snapshot = tail
    while (snapshot.seq <= lastKnown) {
      const next = await fillSlot(options, snapshot, strays, giveUpMs())
      // Somebody wrote an entry that does not follow: looked at anew.
      if (next === null) break
      snapshot = next
    }
    acceptedUpTo = snapshot.seq
  }
}

/** Whether there is something to accept. */
export function isBroken(findings: Findings, applied: number): boolean {
  const { intact, beyond, checkpointed, acceptedAt } = findings
  return beyond.length > 0 || checkpointed > intact || applied >= Math.max(acceptedAt, 1)
}

/** @returns the state after the slot, or null where it holds what does not follow */
async function fillSlot(
  options: Place & { clock: Clock; random: Randomness; build: string; format: number },
  snapshot: Snapshot,
  strays: ReadonlyMap<number, Buffer>,
  giveUpMs: number,
): Promise<Snapshot | null> {
  const { store, keys, clock, random, build, format } = options
  const seq = snapshot.seq + 1
  const key = keys.entry(seq)
  const call = { timeoutMs: storeTimeoutMs }
  const stray = strays.get(seq)
  if (stray !== undefined) {
    // Whoever runs this at the same time must write the very same bytes, so they follow from the entry before alone.
    const entry = restoreEntry(snapshot, { ...derivedFrom(snapshot), format })
    const aside = keys.setAside(seq, sha256(stray))
    await insist(options, giveUpMs, () => store.put(aside, stray, call))
    await insist(options, giveUpMs, () => store.put(key, entry.bytes, call))
    return follow(snapshot, entry)
  }
  const atMs = Math.max(snapshot.atMs, clock.nowMs())
  const made = { version: formatVersion, atMs, build, transactionId: random.uuid(), format }
  const entry = restoreEntry(snapshot, made)
  const taken = await insist(options, giveUpMs, async () => {
    const { result } = await store.create(key, entry.bytes, call)
    if (result === 'conflict') throw undecided
    return result === 'created' ? entry.bytes : fetch(options, seq)
  })
  return taken === null ? null : followed(snapshot, taken)
}

/** What a `restore` entry says of its making where two makers must say the same. */
function derivedFrom({ seq, hash, atMs }: Snapshot) {
  const digest = createHash('sha256')
    .update(`restore ${seq + 1} ${hash}`)
    .digest('hex')
  const [, a, b, c, d, e] = /^(.{8})(.{4}).(.{3}).(.{3})(.{12})/.exec(digest) as RegExpExecArray
  const transactionId = `${a}-${b}-4${c}-8${d}-${e}`
  // Builds of before version 1 make them too.
  return { version: 0, atMs, build: 'accept-restore', transactionId }
}

function restoreEntry(
  snapshot: Snapshot,
  made: { version: number; atMs: number; build: string; transactionId: string; format: number },
): Entry {
  const isEmpty = snapshot.seq === 0
  return encodeEntry({
    transaction: {
      version: made.version,
      seq: snapshot.seq + 1,
      previous: snapshot.hash,
      transactionId: made.transactionId,
      kind: 'restore',
      format: isEmpty ? made.format : snapshot.format,
      minReader: isEmpty ? made.format : snapshot.minReader,
      minWriter: isEmpty ? made.format : snapshot.minWriter,
      incarnation: snapshot.incarnation,
      defaultBranch: snapshot.defaultBranch,
      at: toRfc3339(made.atMs),
      build: made.build,
      packs: [],
      requests: [],
    },
    refs: snapshot.refs,
    prerequisites: [],
    objects: [],
  })
}

async function inspect(
  place: Place,
  onEntry?: OnEntry,
): Promise<{ findings: Findings; tail: Snapshot; strays: Map<number, Buffer> }> {
  const { keys } = place
  const listed = new Set<number>()
  for await (const { key } of listAll(place.store, keys.logPrefix)) {
    const seq = keys.parseEntry(key)
    if (seq !== null) listed.add(seq)
  }
  const packs = new Map<string, number>()
  let tail = emptySnapshot
  let acceptedAt = 0
  let because: string | null = null
  while (because === null) {
    const seqs = Array.from({ length: 4 * fetchAtOnce }, (_, at) => tail.seq + 1 + at)
    // A list may miss an entry beside a busy writer, a GET may not: the first that is not listed is asked for.
    const wanted = seqs.filter((seq) => seq === tail.seq + 1 || listed.has(seq))
    const bodies = await mapParallel(wanted, fetchAtOnce, (seq) => fetch(place, seq))
    for (const [at, body] of bodies.entries()) {
      const isNext = wanted[at] === tail.seq + 1
      const step = isNext && body !== null ? stepFrom(tail, body) : absence(tail)
      if (typeof step === 'string') {
        because = step
        break
      }
      const { entry } = step
      tail = step.tail
      if (entry.transaction.kind === 'restore') acceptedAt = tail.seq
      for (const { name, bytes } of entry.transaction.packs) packs.set(name, bytes)
      await onEntry?.(entry, listed.size)
    }
  }
  const strays = new Map<number, Buffer>()
  for (const seq of [...listed].sort((a, b) => a - b)) {
    if (seq <= tail.seq) continue
    const body = await fetch(place, seq)
    if (body !== null) strays.set(seq, body)
  }
  let checkpointed = 0
  for await (const { key } of listAll(place.store, keys.checkpointPrefix)) {
    checkpointed = Math.max(checkpointed, keys.parseCheckpoint(key) ?? 0)
  }
  const findings: Findings = {
    intact: tail.seq,
    because: strays.size === 0 ? null : because,
    beyond: [...strays].map(([seq, body]) => strayOf(seq, body)),
    checkpointed,
    acceptedAt,
    missingPacks: await missing(place, packs),
  }
  return { findings, tail, strays }
}

const absence = ({ seq }: Snapshot) => `entry ${seq + 1} is absent`

/** @returns the state after an entry, or why it cannot stand there */
function stepFrom(tail: Snapshot, body: Buffer): { tail: Snapshot; entry: Entry } | string {
  try {
    const entry = decodeEntry(tail.seq + 1, body)
    return { tail: follow(tail, entry), entry }
  } catch (error) {
    if (!(error instanceof EntryError)) throw error
    return error.message
  }
}

function followed(tail: Snapshot, body: Buffer): Snapshot | null {
  const step = stepFrom(tail, body)
  return typeof step === 'string' ? null : step.tail
}

function strayOf(seq: number, body: Buffer): Stray {
  const hash = { seq, sha256: sha256(body) }
  try {
    const { kind, at, transactionId, requests } = decodeEntry(seq, body).transaction
    return { ...hash, kind, at, transactionId, requests: requests.length }
  } catch (error) {
    if (!(error instanceof EntryError)) throw error
    return hash
  }
}

async function missing(place: Place, packs: ReadonlyMap<string, number>): Promise<string[]> {
  if (packs.size === 0) return []
  const { keys } = place
  const there = new Map<string, number>()
  for await (const { key, sizeBytes } of listAll(place.store, keys.packPrefix)) {
    there.set(key, sizeBytes)
  }
  return [...packs].flatMap(([name, bytes]) =>
    there.get(keys.spilledPack(name)) === bytes ? [] : [name],
  )
}

const fetch = ({ store, keys }: Place, seq: number) => fetchWhole(store, keys.entry(seq))

/** Finds out, again and again, whether a person accepted a log without what a replica applied. */
export interface Acceptance {
  /** Whether the log has a `restore` entry behind a sequence. @throws StoreError */
  isAbove(seq: number): Promise<boolean>
}

/** Reads each entry once, as long as its ETag stays the same. */
export function createAcceptance(place: Place): Acceptance {
  const ordinary = new Set<string>()
  return {
    async isAbove(seq) {
      const { keys } = place
      const after = seq > 0 ? keys.entry(seq) : undefined
      for await (const { key, etag } of listAll(place.store, keys.logPrefix, after)) {
        const at = keys.parseEntry(key)
        if (at === null || ordinary.has(`${at} ${etag}`)) continue
        const body = await fetch(place, at)
        if (body !== null && kindOf(at, body) === 'restore') return true
        ordinary.add(`${at} ${etag}`)
      }
      return false
    },
  }
}

function kindOf(seq: number, body: Buffer): string | null {
  try {
    return decodeEntry(seq, body).transaction.kind
  } catch (error) {
    if (!(error instanceof EntryError)) throw error
    return null
  }
}
