/** What a process says of itself for as long as it runs. @see docs/entry-format.md, "Replica announcement" */
import { formatVersion } from '../repository/entry.ts'
import { listAll, mapParallel, storeTimeoutMs } from '../repository/environment.ts'
import type { Store } from '../store/store.ts'
import type { FormatRange } from './formats.ts'

export interface Announcement {
  replicaId: string
  /** `migrate` for the verbs: seen by others, but serving nobody. */
  role: 'replica' | 'migrate'
  build: string
  reads: FormatRange
  writes: FormatRange
  /** It knows the cluster log up to here, and nothing that it began on an earlier state goes on. */
  clusterSeq: number
  /** RFC 3339, by its own clock; for people only. */
  startedAt: string
  at: string
  draining: boolean
  /** Projects that are stopped there, and the newest entry that it applied of each. */
  stopped: readonly StoppedProject[]
  /** Projects that it was asked for, the latest first. */
  recent: readonly string[]
}

export interface StoppedProject {
  project: string
  applied: number
}

/** An announcement as it was found. */
export interface Announced extends Announcement {
  /** Since it was last written, milliseconds, by the store's clock alone. */
  ageMs: number
}

/** How long things last; all of it in proportion to the heartbeat. */
export interface ClusterTimes {
  heartbeatMs: number
  /** An announcement is valid for so long; then its replica was killed, or is cut off. */
  validMs: number
  /** One that is neither valid nor removed blocks for so long. */
  blocksMs: number
  /** A process that is out of range waits for so long before it gives up. */
  patienceMs: number
}

/** @param heartbeatSeconds HEARTBEAT_SECONDS */
export function clusterTimes(heartbeatSeconds: number): ClusterTimes {
  const heartbeatMs = heartbeatSeconds * 1_000
  return {
    heartbeatMs,
    validMs: 6 * heartbeatMs,
    blocksMs: 720 * heartbeatMs,
    patienceMs: 12 * heartbeatMs,
  }
}

export const replicasPrefix = 'cluster/replicas/'
const atOnce = 16

/** The key of a replica's announcement. @param replicaId letters, digits, `.`, `_` and `-` */
export function announcementKey(replicaId: string): string {
  return `${replicasPrefix}${replicaId}.json`
}

/** Writes an announcement: one line of JSON. */
export function encodeAnnouncement(announcement: Announcement): Buffer {
  return Buffer.from(`${JSON.stringify({ version: formatVersion, ...announcement })}\n`)
}

/**
 * Reads every announcement there is.
 * @returns in the order of their ids
 * @throws StoreError; an announcement that cannot be read counts as one that can do nothing
 */
export async function listAnnouncements(store: Store): Promise<Announced[]> {
  const ids: string[] = []
  for await (const { key } of listAll(store, replicasPrefix)) ids.push(...idOf(key))
  const found = await mapParallel(ids, atOnce, async (replicaId) => {
    const object = await store.get(announcementKey(replicaId), { timeoutMs: storeTimeoutMs })
    // Left since the list.
    if (object === null || object === 'not-modified') return []
    const ageMs = Math.max(0, object.dateMs - object.lastModifiedMs)
    return [{ ...decodeAnnouncement(replicaId, object.body), ageMs }]
  })
  return found.flat()
}

/**
 * Takes away what processes announced that were killed so long ago that they block nobody any more. Whoever is heard from after so
 * long a silence has taken another name (`membership.ts`), so nothing that lives is taken away.
 * @returns the ids of those that it took away
 * @throws StoreError
 */
export async function sweepAnnouncements(store: Store, times: ClusterTimes): Promise<string[]> {
  const gone: string[] = []
  for (const { replicaId, ageMs } of await listAnnouncements(store)) {
    if (ageMs < times.blocksMs || !(await isGone(store, replicaId, times))) continue
    await store.delete(announcementKey(replicaId), { timeoutMs: storeTimeoutMs })
    gone.push(replicaId)
  }
  return gone
}

/** A list may be old by the time that its last name is looked at. */
async function isGone(store: Store, replicaId: string, times: ClusterTimes): Promise<boolean> {
  const found = await store.get(announcementKey(replicaId), { timeoutMs: storeTimeoutMs })
  if (found === null || found === 'not-modified') return false
  return found.dateMs - found.lastModifiedMs >= times.blocksMs
}

function idOf(key: string): string[] {
  const name = key.slice(replicasPrefix.length)
  return name.endsWith('.json') ? [name.slice(0, -'.json'.length)] : []
}

const nothing: FormatRange = [0, 0]

function decodeAnnouncement(replicaId: string, body: Buffer): Announcement {
  let fields: Record<string, unknown> = {}
  try {
    fields = Object(JSON.parse(body.toString('utf8')))
  } catch {
    // Somebody else's file in our place: it blocks by its name until it is forgotten.
  }
  return {
    replicaId,
    role: fields.role === 'migrate' ? 'migrate' : 'replica',
    build: String(fields.build ?? 'unknown'),
    reads: isRange(fields.reads) ? fields.reads : nothing,
    writes: isRange(fields.writes) ? fields.writes : nothing,
    clusterSeq: Number.isSafeInteger(fields.clusterSeq) ? Number(fields.clusterSeq) : 0,
    startedAt: String(fields.startedAt ?? ''),
    at: String(fields.at ?? ''),
    draining: fields.draining === true,
    stopped: Array.isArray(fields.stopped) ? fields.stopped.flatMap(stoppedOf) : [],
    recent: Array.isArray(fields.recent) ? fields.recent.filter(isString) : [],
  }
}

function stoppedOf(value: unknown): StoppedProject[] {
  const { project, applied } = Object(value)
  const isSaid = typeof project === 'string' && Number.isSafeInteger(applied) && applied >= 0
  return isSaid ? [{ project, applied }] : []
}

function isString(value: unknown): value is string {
  return typeof value === 'string'
}

function isRange(value: unknown): value is FormatRange {
  return Array.isArray(value) && value.length === 2 && value.every(Number.isSafeInteger)
}
