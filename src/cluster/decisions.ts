/** Entries of the cluster log as bytes. @see docs/entry-format.md, "Cluster log" */
import { fromCopy, inWords } from '../repository/damage.ts'
import { formatVersion } from '../repository/entry.ts'
import { sequenceDigits } from '../repository/keys.ts'
import type { Decision } from './state.ts'

export const clusterLogPrefix = 'cluster/log/'

/** The key of an entry. */
export function clusterLogKey(seq: number): string {
  return `${clusterLogPrefix}${sequenceDigits(seq)}.json`
}

/** A cluster log that is not what this service writes; a person has to look. */
export class ClusterLogError extends Error {
  readonly problem: string

  /** @param seq the entry that shows it */
  constructor(problem: string, seq: number) {
    super(inWords({ object: clusterLogKey(seq), problem, remedy: fromCopy }))
    this.problem = problem
  }
}

export interface ClusterEntry {
  seq: number
  /** sha256 of the whole entry before, hex; null at 1. */
  previous: string | null
  transactionId: string
  /** RFC 3339. */
  at: string
  build: string
  /** Null for a kind that this build does not know. */
  decision: Decision | null
}

/** Writes an entry: one line of JSON. */
export function encodeClusterEntry(entry: ClusterEntry & { decision: Decision }): Buffer {
  const { decision, ...envelope } = entry
  return Buffer.from(`${JSON.stringify({ version: formatVersion, ...envelope, ...decision })}\n`)
}

/**
 * Reads an entry.
 * @param seq the sequence that its key names
 * @throws ClusterLogError with a sentence
 */
export function decodeClusterEntry(seq: number, bytes: Buffer): ClusterEntry {
  const broken = (what: string) =>
    new ClusterLogError(`entry ${seq} of the cluster log cannot be read: ${what}`, seq)
  let fields: Record<string, unknown>
  try {
    fields = Object(JSON.parse(bytes.toString('utf8')))
  } catch {
    throw broken('it is no JSON')
  }
  const { previous, transactionId, at, build } = fields
  if (fields.seq !== seq) throw broken(`it says sequence ${fields.seq}`)
  if (previous !== null && typeof previous !== 'string') throw broken('it names no predecessor')
  if (typeof transactionId !== 'string' || typeof at !== 'string') throw broken('its frame')
  const decision = decisionOf(fields)
  if (decision === undefined) throw broken(`its fields are none of a ${fields.kind}`)
  return { seq, previous, transactionId, at, build: String(build), decision }
}

const isFormat = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) > 0

/** @returns null for an unknown kind, undefined for a known one with fields that cannot be */
function decisionOf(fields: Record<string, unknown>): Decision | null | undefined {
  const { kind, format, formats, replicaId, because } = fields
  switch (kind) {
    case 'expanded': {
      const isList = Array.isArray(formats) && formats.every(isFormat)
      return isFormat(format) && isList ? { kind, format, formats } : undefined
    }
    case 'target': {
      const acceptIrreversible = fields.acceptIrreversible === true
      return isFormat(format) ? { kind, format, acceptIrreversible } : undefined
    }
    case 'withdrawn':
      return isFormat(format) ? { kind, format, because: String(because ?? '') } : undefined
    case 'agreed':
    case 'permitted':
    case 'reached':
      return isFormat(format) ? { kind, format } : undefined
    case 'forget':
      return typeof replicaId === 'string' ? { kind, replicaId } : undefined
    default:
      return null
  }
}
