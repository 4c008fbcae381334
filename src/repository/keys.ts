/** Where things lie in the bucket. @see docs/entry-format.md, "Keys" */

declare const projectBrand: unique symbol
/** A project's name as people know it, already checked (`parseProjectName`). */
export type ProjectName = string & { readonly [projectBrand]: true }

export const projectsPrefix = 'projects/'

const safeByte = /^[A-Za-z0-9._-]$/

/** Writes a project's name as a key's segment: every byte outside `A-Z a-z 0-9 . _ -` becomes `%XX`. */
export function escapeProject(name: string): string {
  let escaped = ''
  for (const byte of Buffer.from(name, 'utf8')) {
    const character = String.fromCharCode(byte)
    escaped += safeByte.test(character)
      ? character
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return escaped
}

/** Reads a key's segment back. @returns null where `escapeProject` cannot have written it */
export function unescapeProject(segment: string): ProjectName | null {
  const bytes: number[] = []
  for (let at = 0; at < segment.length; at++) {
    if (segment[at] !== '%') {
      bytes.push(segment.charCodeAt(at))
      continue
    }
    bytes.push(Number.parseInt(segment.slice(at + 1, at + 3), 16))
    at += 2
  }
  const name = Buffer.from(bytes).toString('utf8')
  return escapeProject(name) === segment ? (name as ProjectName) : null
}

const digits = 20

/** A sequence as its 20 digits, so that bytewise order is the log's order. */
export function sequenceDigits(seq: number): string {
  return String(seq).padStart(digits, '0')
}

export interface ProjectKeys {
  readonly logPrefix: string
  entry(seq: number): string
  /** @returns the sequence of an entry's key, or null for any other key */
  parseEntry(key: string): number | null
  readonly packPrefix: string
  spilledPack(name: string): string
  readonly setAsidePrefix: string
  /** Where an entry is kept that counts no more. */
  setAside(seq: number, sha256: string): string
  readonly checkpointPrefix: string
  checkpoint(seq: number, uuid: string): string
  /** @returns the sequence that a checkpoint's key names, or null for any other key */
  parseCheckpoint(key: string): number | null
  checkpointPack(sha256: string): string
  checkpointIndex(sha256: string): string
  checkpointOutcomes(sha256: string): string
}

/** The keys of one project. */
export function projectKeys(project: ProjectName): ProjectKeys {
  const root = `${projectsPrefix}${escapeProject(project)}/`
  const logPrefix = `${root}log/`
  const checkpointPrefix = `${root}checkpoints/`
  return {
    logPrefix,
    entry: (seq) => `${logPrefix}${sequenceDigits(seq)}.bundle`,
    parseEntry: (key) => parseSequence(key, logPrefix, /^(\d{20})\.bundle$/),
    packPrefix: `${root}packs/`,
    spilledPack: (name) => `${root}packs/${name}`,
    setAsidePrefix: `${root}set-aside/`,
    setAside: (seq, sha256) => `${root}set-aside/${sequenceDigits(seq)}-${sha256}.bundle`,
    checkpointPrefix,
    checkpoint: (seq, uuid) => `${checkpointPrefix}${sequenceDigits(seq)}-${uuid}.json`,
    parseCheckpoint: (key) => parseSequence(key, checkpointPrefix, /^(\d{20})-[^/]+\.json$/),
    checkpointPack: (sha256) => `${checkpointPrefix}packs/${sha256}.pack`,
    checkpointIndex: (sha256) => `${checkpointPrefix}packs/${sha256}.idx`,
    checkpointOutcomes: (sha256) => `${checkpointPrefix}outcomes/${sha256}.json`,
  }
}

function parseSequence(key: string, prefix: string, pattern: RegExp): number | null {
  if (!key.startsWith(prefix)) return null
  const match = pattern.exec(key.slice(prefix.length))
  const seq = match ? Number(match[1]) : 0
  return seq >= 1 && Number.isSafeInteger(seq) ? seq : null
}
