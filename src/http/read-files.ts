/** Reads of single files: JSON as Keptn's, or the bytes themselves. The busiest way through the service. */
import { LRUCache } from 'lru-cache'
import { ServiceError } from '../errors.ts'
import type { Oid } from '../git/objects.ts'
import type { FileAnswer, FileReadContext, Level } from '../resources/resources.ts'
import { type Answer, jsonType } from './answer.ts'
import { type Call, isSet, type Match, readContext, scopeOf, type Tools } from './call.ts'
import { entityTag, isNotModified } from './conditions.ts'
import { addFreshness } from './freshness.ts'

/** A file in the form in which it is sent. */
interface Rendered {
  type: string
  tag: string
  /** A string where it is text: Node sends it and the head in one piece. */
  body: string | Buffer
  sizeBytes: number
  oid: Oid
  commit: Oid
  level: Level | undefined
}

const keptBytes = 32 * 1024 * 1024
/** Larger ones are not kept. */
const maxKeptBytes = 1024 * 1024
const bytesType = 'application/octet-stream'

/** Builds the handler of `GET` of one file; the answers in JSON that it made last are kept. */
export function createFileReader(): (call: Call, tools: Tools) => Promise<Answer> {
  const kept = new LRUCache<Match, Rendered>({
    maxSize: keptBytes,
    maxEntrySize: maxKeptBytes,
    sizeCalculation: ({ sizeBytes }) => sizeBytes + 1_000,
  })

  return async (call, tools) => {
    const { match } = call
    if (match.resource === undefined) throw new Error(`${match.route.pattern} names no file`)
    const context = fileReadContext(call, tools)
    const file = await tools.resources.readFile(scopeOf(call), match.resource.path, context)
    const bounded = context.maxStaleSeconds !== undefined
    if (wantsBytes(call)) return answerWith(renderBytes(file), { call, file, bounded })
    let rendered = kept.get(match)
    if (rendered === undefined || !isOf(rendered, file)) {
      rendered = renderJson(file, match.resource.uri.asAsked)
      kept.set(match, rendered)
    }
    return answerWith(rendered, { call, file, bounded })
  }
}

/** @throws invalid_request */
function fileReadContext(call: Call, { settings }: Tools): FileReadContext {
  const context: FileReadContext = readContext(call, settings)
  const resolve = call.match.query.get('resolve')
  if (resolve === undefined) return context
  if (resolve !== 'inherit') {
    throw new ServiceError('invalid_request', 'resolve can only be inherit')
  }
  context.inherits = true
  return context
}

function isOf({ oid, commit, level }: Rendered, file: FileAnswer): boolean {
  return oid === file.oid && commit === file.commit && level === file.level
}

function answerWith(
  rendered: Rendered,
  options: { call: Call; file: FileAnswer; bounded: boolean },
): Answer {
  const { call, file, bounded } = options
  const headers: Answer['headers'] = { ETag: rendered.tag, Vary: 'Accept' }
  addFreshness(headers, file.proof, bounded)
  if (isNotModified(call.ctx.req.headers['if-none-match'], rendered.tag)) {
    return { status: 304, headers, body: null }
  }
  if (file.level !== undefined) headers['X-Configuration-Scope'] = file.level
  headers['Content-Type'] = rendered.type
  headers['Content-Length'] = rendered.sizeBytes
  if (rendered.type === bytesType) headers['X-Content-Type-Options'] = 'nosniff'
  return { status: 200, headers, body: rendered.body }
}

function renderJson(file: FileAnswer, asAsked: string): Rendered {
  // Base64 and ids need no escaping; this is the form that `JSON.stringify` would give.
  const body =
    `{"resourceContent":"${file.content.toString('base64')}",` +
    `"resourceURI":${JSON.stringify(asAsked)},` +
    (file.level === undefined ? '' : `"scope":"${file.level}",`) +
    `"metadata":{"upstreamURL":"","version":"${file.commit}"}}`
  const { oid, commit, level } = file
  const sizeBytes = Buffer.byteLength(body)
  return { type: jsonType, tag: entityTag(oid, commit, level), body, sizeBytes, oid, commit, level }
}

function renderBytes({ content, oid, commit, level }: FileAnswer): Rendered {
  const sizeBytes = content.length
  return { type: bytesType, tag: entityTag(oid), body: content, sizeBytes, oid, commit, level }
}

/** Whether the client asks for the bytes, by `?raw` or by preferring them to JSON. */
function wantsBytes({ match, ctx }: Call): boolean {
  if (isSet(match.query, 'raw')) return true
  const accept = ctx.req.headers.accept
  if (accept === undefined || !accept.includes('octet-stream')) return false
  return ctx.accepts(['application/json', bytesType]) === bytesType
}
