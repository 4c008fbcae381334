/** Entity tags, preconditions and how old an answer may be. @see RFC 9110 section 8.8.3 and 13.1, RFC 9111 section 5.2.1.2 */
import { ServiceError } from '../errors.ts'
import type { Oid } from '../git/objects.ts'
import type { Precondition } from '../resources/resources.ts'

/** Tags of one header: `'*'`, or each without its weakness and its quotes. */
type Tags = string[] | '*'

/** A comma, or a tag up to the next one; anchored where the last one ended, so that no header makes it look twice. */
const listPart = /[ \t]*(?:,|(?:W\/)?"([^"\s]*)"[ \t]*(?=,|$))/y
const oid = /^[0-9a-f]{40}$/
const maxStale = /(?:^|[\s,])max-stale="?(\d{1,9})"?\s*(?:,|$)/i

/**
 * The tag of an answer.
 * @param parts of JSON what it carries beside the file: the commit, and where the file was found if that was asked; none for raw bytes
 */
export function entityTag(id: Oid, ...parts: (string | undefined)[]): string {
  return `"${[id, ...parts.filter((part) => part !== undefined)].join('.')}"`
}

/**
 * Tells whether a client holds the answer already (304): tags are compared weakly and whole.
 * @param header `If-None-Match` of a read
 * @throws invalid_request where it is malformed
 */
export function isNotModified(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false
  if (header === tag) return true
  const held = parseTags('If-None-Match', header)
  return held === '*' || held.includes(tag.slice(1, -1))
}

/**
 * Reads the conditions of a write of one file. Of a tag only the part before the dot counts, for the file is what its client
 * read, whatever else was committed since; a tag that names no object of ours matches nothing.
 * @throws invalid_request where a header is malformed, or asks for what only reads know
 */
export function parsePrecondition(headers: {
  'if-match'?: string | undefined
  'if-none-match'?: string | undefined
}): Precondition | undefined {
  const match = headers['if-match']
  const noneMatch = headers['if-none-match']
  if (match === undefined && noneMatch === undefined) return undefined
  const precondition: Precondition = {}
  if (match !== undefined) precondition.match = idsOf(parseTags('If-Match', match))
  if (noneMatch !== undefined) {
    if (parseTags('If-None-Match', noneMatch) !== '*') {
      throw new ServiceError('invalid_request', 'If-None-Match of a write can only be *')
    }
    precondition.absent = true
  }
  return precondition
}

/**
 * Refuses conditions where there is not one file that they could be about.
 * @throws invalid_request
 */
export function refuseConditions(headers: {
  'if-match'?: string | undefined
  'if-none-match'?: string | undefined
}): void {
  for (const [name, value] of [
    ['If-Match', headers['if-match']],
    ['If-None-Match', headers['if-none-match']],
  ]) {
    if (value === undefined) continue
    throw new ServiceError('invalid_request', `${name} is for writes of a single resource`)
  }
}

/**
 * How old the answer of a read may be.
 * @param header `Cache-Control` of the request
 * @returns whole seconds, or nothing where only a fresh answer will do
 */
export function parseMaxStale(header: string | undefined): number | undefined {
  if (header === undefined) return undefined
  const seconds = maxStale.exec(header)?.[1]
  return seconds === undefined ? undefined : Number(seconds)
}

function idsOf(tags: Tags): Oid[] | '*' {
  if (tags === '*') return tags
  const ids = tags.map((tag) => tag.split('.', 1)[0] ?? '')
  return ids.filter((id): id is Oid => oid.test(id))
}

function parseTags(name: string, header: string): Tags {
  const list = header.trim()
  if (list === '*') return '*'
  const found: string[] = []
  let end = 0
  while (end < list.length) {
    listPart.lastIndex = end
    const part = listPart.exec(list)
    if (part === null) throw malformed(name)
    if (part[1] !== undefined) found.push(part[1])
    end = listPart.lastIndex
  }
  if (found.length === 0) throw malformed(name)
  return found
}

function malformed(name: string): ServiceError {
  return new ServiceError('invalid_request', `${name} is not a list of entity tags`)
}
