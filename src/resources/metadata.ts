/** `metadata.yaml`: what Keptn keeps in each scope to tell that it is there. */
import { parse, stringify } from 'yaml'
import { toRfc3339 } from '../git/time.ts'

export const metadataFile = 'metadata.yaml'

/** No `metadata.yaml` is larger; a larger file says nothing, since reading YAML costs time. */
export const maxMetadataBytes = 64 * 1024

export interface Metadata {
  /** Milliseconds since the epoch. */
  createdAtMs?: number
  /** The format of the tree whose root the file stands in. */
  format: number
}

/** The file of a new project in format 1. @param atMs milliseconds since the epoch */
export function projectMetadata(name: string, atMs: number): Buffer {
  const creationTimestamp = toRfc3339(atMs)
  const fields = { projectName: name, creationTimestamp, isUsingDirectoryStructure: false }
  return Buffer.from(stringify(fields))
}

/** The file of a new service. @param atMs milliseconds since the epoch */
export function serviceMetadata(name: string, atMs: number): Buffer {
  const fields = { servicename: name, creationtimestamp: toRfc3339(atMs) }
  return Buffer.from(stringify(fields))
}

/** Reads a file that anybody may have written: keys in any case, times in RFC 3339 or as Go prints them. */
export function readMetadata(content: Buffer): Metadata {
  const fields = readFields(content)
  const createdAtMs = parseTime(fields.get('creationtimestamp'))
  const format = isTrue(fields.get('isusingdirectorystructure')) ? 2 : 1
  return createdAtMs === undefined ? { format } : { createdAtMs, format }
}

function readFields(content: Buffer): Map<string, unknown> {
  if (content.length > maxMetadataBytes) return new Map()
  try {
    const value: unknown = parse(content.toString(), { maxAliasCount: 0, logLevel: 'silent' })
    if (typeof value !== 'object' || value === null) return new Map()
    return new Map(Object.entries(value).map(([key, field]) => [key.toLowerCase(), field]))
  } catch {
    return new Map()
  }
}

function parseTime(value: unknown): number | undefined {
  if (typeof value !== 'string') return undefined
  const asGoPrints = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?) \+0000 UTC/.exec(value)
  const ms = Date.parse(asGoPrints ? `${asGoPrints[1]}T${asGoPrints[2]}Z` : value)
  return Number.isNaN(ms) ? undefined : ms
}

/** As Go reads a boolean field: the words of YAML 1.1 too. */
function isTrue(value: unknown): boolean {
  return value === true || (typeof value === 'string' && /^(?:y|yes|on|true)$/i.test(value))
}
