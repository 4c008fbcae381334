/**
 * What a request's URL says, read as Keptn's service reads it (Go's `net/url` beneath gin), so that the escapes its clients and
 * gateways send mean the same here. Pure text; nothing is checked but that it decodes.
 */
import { ServiceError } from '../errors.ts'

export interface RequestTarget {
  /** Still escaped, beginning with a slash. */
  path: string
  /** Still escaped, without its question mark; empty where there is none. */
  query: string
}

/** Query parameters that the service reads; every other one is ignored, as in Keptn. */
export const queryNames = [
  'commitID',
  'from',
  'gitCommitID',
  'nextPageKey',
  'pageSize',
  'raw',
  'resolve',
  'resourceURI',
  'to',
  'verbose',
] as const
export type QueryName = (typeof queryNames)[number]
/** Decoded; of a parameter that is sent twice the first counts. */
export type Query = ReadonlyMap<QueryName, string>

/** The name of a resource in a URL. */
export interface AskedUri {
  /** Fully decoded. */
  text: string
  /** As Keptn repeats it in its answers: in the path form still escaped once. */
  asAsked: string
}

const known: ReadonlySet<string> = new Set(queryNames)
const escapes = /%(?![0-9A-F]{2})|%([0-9A-F]{2})/g
/** Bytes that Go leaves as they are in a path: an escape of one of them is another writer's. */
const plainInGo = /[A-Za-z0-9\-_.~$&+,/:;=@]/

/**
 * Splits the request line's target.
 * @param url as Node gives it: bytes beyond ASCII one character each; an absolute URL is taken for its path
 * @throws invalid_request where it is not UTF-8
 */
export function splitTarget(url: string): RequestTarget {
  const target = originForm(asText(url))
  const mark = target.indexOf('?')
  if (mark === -1) return { path: target, query: '' }
  return { path: target.slice(0, mark), query: target.slice(mark + 1) }
}

/**
 * Decodes the `{resourceURI}` segment. Go's server hands out a path in which it would itself write every escape decoded, any
 * other path raw; Keptn form-decodes (`+` is a space) what it is given. So `%252F` and `%2F` both mean a slash, `%2B` and
 * `%252B` both a plus.
 * @param segment one segment of `path`
 * @param path the whole path, for an escape anywhere in it decides
 * @throws invalid_request for a bad escape, and for what is not UTF-8
 */
export function decodeResourceUri(segment: string, path: string): AskedUri {
  const asAsked = hasForeignEscape(path) ? segment : percentDecode(segment)
  return { text: formDecode(asAsked), asAsked }
}

/**
 * Decodes a segment that names a project, a stage or a service: once, and a plus stays a plus.
 * @throws invalid_request for a bad escape, and for what is not UTF-8
 */
export function decodeName(segment: string): string {
  return percentDecode(segment)
}

/**
 * Reads the query.
 * @param query without its question mark
 * @throws invalid_request for a bad escape, and for what is not UTF-8
 */
export function parseQuery(query: string): Query {
  const values = new Map<QueryName, string>()
  if (query === '') return values
  for (const pair of query.split('&')) {
    const equals = pair.indexOf('=')
    const name = formDecode(equals === -1 ? pair : pair.slice(0, equals))
    const value = formDecode(equals === -1 ? '' : pair.slice(equals + 1))
    if (isKnown(name) && !values.has(name)) values.set(name, value)
  }
  return values
}

/** Whether a path holds an escape that Go would not write: of a plain byte, or in lower case, or none at all. */
function hasForeignEscape(path: string): boolean {
  if (!path.includes('%')) return false
  for (const [, hex] of path.matchAll(escapes)) {
    if (hex === undefined) return true
    if (plainInGo.test(String.fromCharCode(Number.parseInt(hex, 16)))) return true
  }
  return false
}

function originForm(target: string): string {
  if (target.startsWith('/')) return target
  const scheme = target.indexOf('://')
  if (scheme === -1) return `/${target}`
  const slash = target.indexOf('/', scheme + 3)
  return slash === -1 ? '/' : target.slice(slash)
}

function asText(url: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range is ASCII's
  if (/^[\x00-\x7f]*$/.test(url)) return url
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(url, 'latin1'))
  } catch (cause) {
    throw new ServiceError('invalid_request', 'the URL is not UTF-8', { cause })
  }
}

function percentDecode(text: string): string {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw new ServiceError('invalid_request', 'the URL holds a bad escape, or is not UTF-8', {
      cause,
    })
  }
}

function formDecode(text: string): string {
  return percentDecode(text.includes('+') ? text.replaceAll('+', ' ') : text)
}

function isKnown(name: string): name is QueryName {
  return known.has(name)
}
