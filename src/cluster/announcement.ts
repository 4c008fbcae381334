/** What a process says of itself for as long as it runs. @see docs/entry-format.md, "Replica announcement" */
import { mapParallel, storeTimeoutMs } from '../repository/environment.ts'
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
  /** Projects that it was asked for, the latest first. */
  recent: readonly string[]
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
const listPage = 1_000
const atOnce = 16

/** The key of a replica's announcement. @param replicaId letters, digits, `.`, `_` and `-` */
export function announcementKey(replicaId: string): string {
  return `${replicasPrefix}${replicaId}.json`
}

/** Writes an announcement: one line of JSON. */
export function encodeAnnouncement(announcement: Announcement): Buffer {
  return Buffer.from(`${JSON.stringify({ version: 0, ...announcement })}\n`)
}

/**
 * Reads every announcement there is.
 * @returns in the order of their ids
 * @throws StoreError; an announcement that cannot be read counts as one that can do nothing
 */
export async function listAnnouncements(store: Store): Promise<Announced[]> {
  const ids: string[] = []
  let startAfter: string | undefined
  do {
    const page = await store.list({
      prefix: replicasPrefix,
      ...(startAfter !== undefined && { startAfter }),
      limit: listPage,
      timeoutMs: storeTimeoutMs,
    })
    ids.push(...page.objects.flatMap(({ key }) => idOf(key)))
    startAfter = page.next ?? undefined
  } while (startAfter !== undefined)
  const found = await mapParallel(ids, atOnce, async (replicaId) => {
    const object = await store.get(announcementKey(replicaId), { timeoutMs: storeTimeoutMs })
    // Left since the list.
    if (object === null || object === 'not-modified') return []
    const ageMs = Math.max(0, object.dateMs - object.lastModifiedMs)
    return [{ ...decodeAnnouncement(replicaId, object.body), ageMs }]
  })
  return found.flat()
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
    recent: Array.isArray(fields.recent) ? fields.recent.filter(isString) : [],
  }
}

function isString(value: unknown): value is string {
  return typeof value === 'string'
}

function isRange(value: unknown): value is FormatRange {
  return Array.isArray(value) && value.length === 2 && value.every(Number.isSafeInteger)
}
