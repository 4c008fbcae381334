/** `metadata.yaml`: what Keptn keeps in each scope to tell that it is there. */
import { isMap, isScalar, parse, parseDocument, stringify } from 'yaml'
import { toRfc3339 } from '../git/time.ts'

export const metadataFile = 'metadata.yaml'

/** No `metadata.yaml` is larger; a larger file says nothing, since reading YAML costs time. */
export const maxMetadataBytes = 64 * 1024

export interface Metadata {
  /** Milliseconds since the epoch. */
  createdAtMs?: number
  /** Of a file at the root of a tree: whether stages are folders of it. */
  isUsingDirectoryStructure: boolean
}

const structureKey = 'isUsingDirectoryStructure'

/** The file of a new project. @param atMs milliseconds since the epoch */
export function projectMetadata(
  name: string,
  atMs: number,
  isUsingDirectoryStructure: boolean,
): Buffer {
  const creationTimestamp = toRfc3339(atMs)
  return Buffer.from(stringify({ projectName: name, creationTimestamp, isUsingDirectoryStructure }))
}

/** The file of a new stage that is a folder. @param atMs milliseconds since the epoch */
export function stageMetadata(name: string, atMs: number): Buffer {
  return Buffer.from(stringify({ stagename: name, creationtimestamp: toRfc3339(atMs) }))
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
  const isUsingDirectoryStructure = isTrue(fields.get(structureKey.toLowerCase()))
  const said = { isUsingDirectoryStructure }
  return createdAtMs === undefined ? said : { createdAtMs, ...said }
}

/** Turns the key that tells where stages are; a file that cannot be read is replaced by one that says nothing else. */
export function turnStructure(content: Buffer, isUsingDirectoryStructure: boolean): Buffer {
  if (readMetadata(content).isUsingDirectoryStructure === isUsingDirectoryStructure) return content
  const turned = setKey(content.toString(), isUsingDirectoryStructure)
  const isTurned = readMetadata(turned).isUsingDirectoryStructure === isUsingDirectoryStructure
  return isTurned ? turned : Buffer.from(stringify({ [structureKey]: isUsingDirectoryStructure }))
}

/** Sets the key, however it is spelled, and leaves everything else, comments too; nothing where there is no map. */
function setKey(text: string, value: boolean): Buffer {
  try {
    const document = parseDocument(text, { logLevel: 'silent' })
    const items = isMap(document.contents) ? document.contents.items : []
    const spelled = items
      .map(({ key }) => (isScalar(key) ? String(key.value) : ''))
      .filter((key) => key.toLowerCase() === structureKey.toLowerCase())
    for (const key of spelled.length > 0 ? spelled : [structureKey]) document.set(key, value)
    return Buffer.from(document.toString({ lineWidth: 0 }))
  } catch {
    return Buffer.alloc(0)
  }
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
