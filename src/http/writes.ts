/** Writes: what they have in common, and each of them. */
import { ServiceError } from '../errors.ts'
import type { Outcome } from '../repository/repository.ts'
import { parseProjectName, parseServiceName, parseStageName } from '../resources/names.ts'
import type { WriteContext } from '../resources/resources.ts'
import { type Answer, empty, json } from './answer.ts'
import { authorize } from './authentication.ts'
import { authorOf, decodeHeader, messageOf } from './authorship.ts'
import {
  parseBody,
  parseContent,
  parseFiles,
  projectBody,
  resourceBody,
  resourcesBody,
  serviceBody,
  stageBody,
} from './bodies.ts'
import { type Call, type Handler, isSet, scopeOf, type Tools, timeLeftMs } from './call.ts'
import { parsePrecondition, refuseConditions } from './conditions.ts'
import { renderRefusal } from './errors.ts'
import { parseIdempotencyKey, requestDigest } from './idempotency.ts'
import { readBody } from './request-body.ts'

/** A write with its body at hand. */
export interface Writing {
  call: Call
  tools: Tools
  body: Buffer
  /** @param message the body's, if any */
  context(message?: string | null): WriteContext
}

export const createProject = write(async ({ call, tools, body, context }) => {
  refuseConditions(call.ctx.req.headers)
  const { projectName, message } = parseBody(body, projectBody)
  const project = parseProjectName(projectName ?? '')
  authorize(call.principal, 'admin', project)
  return tools.resources.createProject(project, context(message))
})

/** The name in the body counts, as in Keptn; a token must allow both. */
export const updateProject = write(async ({ call, tools, body, context }) => {
  refuseConditions(call.ctx.req.headers)
  const { projectName, migrate, message } = parseBody(body, projectBody)
  const project = parseProjectName(projectName ?? '')
  authorize(call.principal, 'admin', project)
  const { resources } = tools
  return migrate === true
    ? resources.migrateProject(project, context(message))
    : resources.updateProject(project, context(message))
})

export const deleteProject = write(async ({ call, tools, context }) => {
  refuseConditions(call.ctx.req.headers)
  return tools.resources.deleteProject(scopeOf(call).project, context())
})

export const createStage = write(async ({ call, tools, body, context }) => {
  refuseConditions(call.ctx.req.headers)
  const { stageName, message } = parseBody(body, stageBody)
  const { project } = scopeOf(call)
  const stage = parseStageName(stageName ?? '')
  return tools.resources.createStage({ project, stage }, context(message))
})

export const deleteStage = write(async ({ call, tools, context }) => {
  refuseConditions(call.ctx.req.headers)
  const { project, stage } = stageOf(call)
  return tools.resources.deleteStage({ project, stage }, context())
})

export const createService = write(async ({ call, tools, body, context }) => {
  refuseConditions(call.ctx.req.headers)
  const { serviceName, message } = parseBody(body, serviceBody)
  const service = parseServiceName(serviceName ?? '')
  return tools.resources.createService({ ...stageOf(call), service }, context(message))
})

export const deleteService = write(async ({ call, tools, context }) => {
  refuseConditions(call.ctx.req.headers)
  const { service } = scopeOf(call)
  if (service === undefined) throw new Error(`${call.match.route.pattern} names no service`)
  return tools.resources.deleteService({ ...stageOf(call), service }, context())
})

/** `POST` answers 201 and `PUT` 200; both write what is new and what is not, as in Keptn. */
export const writeFiles = write(async (writing) => {
  const { call, tools, body, context } = writing
  if (call.match.resource !== undefined) return writeFile(writing)
  refuseConditions(call.ctx.req.headers)
  const parsed = parseBody(body, resourcesBody)
  const files = parseFiles(parsed)
  return tools.resources.writeFiles(scopeOf(call), files, statusOf(call), context(parsed.message))
})

export const writeOneFile = write(writeFile)

export const deleteFile = write(async ({ call, tools, context }) => {
  const { resource } = call.match
  if (resource === undefined) throw new ServiceError('invalid_request', 'resourceURI is missing')
  const precondition = parsePrecondition(call.ctx.req.headers)
  return tools.resources.deleteFile(scopeOf(call), resource.path, context(), precondition)
})

async function writeFile({ call, tools, body, context }: Writing): Promise<Outcome> {
  const { resource } = call.match
  if (resource === undefined) throw new Error(`${call.match.route.pattern} names no file`)
  const precondition = parsePrecondition(call.ctx.req.headers)
  const { content, message } = isBytes(call) ? { content: body } : parseFile(body)
  const files = [{ path: resource.path, content }]
  const written = context(message)
  return tools.resources.writeFiles(scopeOf(call), files, statusOf(call), written, precondition)
}

function parseFile(body: Buffer): { content: Buffer; message?: string | null | undefined } {
  const { resourceContent, message } = parseBody(body, resourceBody)
  return { content: parseContent(resourceContent ?? ''), message }
}

/** Reads the body, runs the write, and renders its outcome unless it is an answer; the body's bytes count until then. */
export function write(work: (writing: Writing) => Promise<Outcome | Answer>): Handler {
  return async (call, tools) => {
    const { settings } = tools
    refuseEncoding(call)
    const limits = { maxBytes: settings.maxBodyBytes, timeoutMs: timeLeftMs(call, settings) }
    const { bytes: body, release } = await readBody(call.ctx.req, limits, tools.budget)
    try {
      const context = (message?: string | null) => writeContext(call, tools, body, message)
      const done = await work({ call, tools, body, context })
      return 'headers' in done ? done : render(done)
    } finally {
      release()
    }
  }
}

/** What is packed would be stored as it is, or be taken for broken JSON. */
function refuseEncoding({ ctx }: Call): void {
  const encoding = ctx.req.headers['content-encoding'] ?? 'identity'
  if (encoding === 'identity') return
  throw new ServiceError('unsupported_media_type', 'Content-Encoding is not supported')
}

function writeContext(
  call: Call,
  { settings }: Tools,
  body: Buffer,
  bodyMessage?: string | null,
): WriteContext {
  const { headers } = call.ctx.req
  const user = decodeHeader('X-Keptn-User', headers['x-keptn-user'])
  const header = decodeHeader('X-Commit-Message', headers['x-commit-message'])
  const message = messageOf(header, bodyMessage ?? undefined)
  const context: WriteContext = {
    timeoutMs: timeLeftMs(call, settings),
    principal: call.principal?.name ?? '',
    author: authorOf(call.principal?.name ?? user, settings.author),
    sizeBytes: body.length,
  }
  if (call.principal !== null && user) context.onBehalfOf = authorOf(user, settings.author).name
  if (message !== undefined) context.message = message
  const key = parseIdempotencyKey(headerOf(headers['idempotency-key']))
  if (key !== undefined) context.idempotency = { key, digest: digestOf(call, body) }
  return context
}

function digestOf({ match, ctx }: Call, body: Buffer): string {
  return requestDigest({
    method: match.route.method,
    pattern: match.route.pattern,
    parameters: match.parameters,
    query: match.query,
    ifMatch: ctx.req.headers['if-match'],
    ifNoneMatch: ctx.req.headers['if-none-match'],
    body,
  })
}

function render(outcome: Outcome): Answer {
  if (outcome.status >= 400) return renderRefusal(outcome)
  if (outcome.status === 204 || outcome.commit === undefined) return empty(204)
  const version = outcome.commit
  // The last one is for clients of configuration-service, which look for it there.
  const value = { commitID: version, metadata: { upstreamURL: '', version }, version }
  return json(outcome.status, value)
}

function statusOf({ match }: Call): 200 | 201 {
  return match.route.method === 'POST' ? 201 : 200
}

/** Whether the body is the file itself. */
function isBytes({ match, ctx }: Call): boolean {
  const type = ctx.req.headers['content-type'] ?? ''
  return isSet(match.query, 'raw') || /^\s*application\/octet-stream\s*(?:;|$)/i.test(type)
}

/** The stage of a route that has one. */
export function stageOf(call: Call) {
  const { project, stage } = scopeOf(call)
  if (stage === undefined) throw new Error(`${call.match.route.pattern} names no stage`)
  return { project, stage }
}

function headerOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}
