/** Reads of whole states of a scope: as an archive, and what differs between two. */
import { createHash } from 'node:crypto'
import { ServiceError } from '../errors.ts'
import type { Answer } from './answer.ts'
import { type Handler, pageRequest, parseCommitId, readContext, scopeOf } from './call.ts'
import { entityTag, isNotModified } from './conditions.ts'
import { addFreshness } from './freshness.ts'
import { answerPage } from './read-lists.ts'

export const archiveType = 'application/gzip'

/** `Repr-Digest` as RFC 9530 has it, for whoever keeps the archive. */
export const readArchive: Handler = async (call, tools) => {
  const scope = scopeOf(call)
  const context = readContext(call, tools.settings)
  const { content, oid, proof } = await tools.resources.readArchive(scope, context)
  const headers: Answer['headers'] = { ETag: entityTag(oid) }
  addFreshness(headers, proof, context.maxStaleSeconds !== undefined)
  if (isNotModified(call.ctx.req.headers['if-none-match'], entityTag(oid))) {
    return { status: 304, headers, body: null }
  }
  const name = [scope.project, scope.stage, scope.service].filter((part) => part !== undefined)
  headers['Content-Type'] = archiveType
  headers['Content-Disposition'] = disposition(`${name.join('-')}.tar.gz`)
  headers['Repr-Digest'] = `sha-256=:${createHash('sha256').update(content).digest('base64')}:`
  return { status: 200, headers, body: content }
}

/** From `from` to `to`, which is the newest commit unless told. */
export const readDiff: Handler = async (call, tools) => {
  const from = call.match.query.get('from')
  if (!from)
    throw new ServiceError('invalid_request', 'from is missing: the commit to compare with')
  const context = readContext(call, tools.settings)
  const to = call.match.query.get('to')
  if (to) context.at = parseCommitId(to)
  const page = pageRequest(call)
  const found = await tools.resources.diff(scopeOf(call), parseCommitId(from), page, context)
  const changes = found.items.map(renderChange)
  return answerPage(call, tools, found, { changes })
}

/** A change as answers show it. */
export function renderChange(change: {
  path: string
  kind: string
  before: string | null
  after: string | null
}) {
  const { path, kind, before, after } = change
  return {
    resourceURI: path,
    change: kind,
    ...(before !== null && { before }),
    ...(after !== null && { after }),
  }
}

/** @see RFC 6266, RFC 8187 */
function disposition(name: string): string {
  const plain = name.replace(/[^\w.-]/g, '_')
  const full = encodeURIComponent(name).replace(/['()*]/g, (char) => {
    return `%${char.charCodeAt(0).toString(16).toUpperCase()}`
  })
  return `attachment; filename="${plain}"; filename*=UTF-8''${full}`
}
