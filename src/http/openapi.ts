/** The document of the API (OpenAPI 3.1), made from the route table. @see https://spec.openapis.org/oas/v3.1.1 */
import { STATUS_CODES } from 'node:http'
import { z } from 'zod'
import { errorAnswer } from './answer-schemas.ts'
import type { Route } from './call.ts'
import {
  type Body,
  type Content,
  type Operation,
  operations,
  type ParameterName,
} from './openapi-operations.ts'
import { archiveType } from './read-states.ts'
import { fullPattern } from './router.ts'

type Json = Record<string, unknown>

/** Of the API, not of a build. */
const apiVersion = '1.0.0'
const bytesType = 'application/octet-stream'
const anyType = '*/*'

const error: Content = {
  name: 'Error',
  schema: errorAnswer,
  example: { code: 404, message: 'Resource not found' },
}

/**
 * Builds the document.
 * @param options.publicPathPrefix what a gateway puts before `/api/…`; may be empty
 */
export function createDocument(
  routes: readonly Route[],
  options: { publicPathPrefix: string },
): Json {
  const paths: Record<string, Json> = {}
  const schemas: Json = {}
  for (const route of routes) {
    const operation = operations[route.id]
    if (operation === undefined) throw new Error(`the operation ${route.id} is not described`)
    const pattern = fullPattern(route)
    paths[pattern] ??= {}
    paths[pattern][route.method.toLowerCase()] = operationOf(route, operation, schemas)
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'configuration-service',
      version: apiVersion,
      description,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: serversOf(options.publicPathPrefix),
    security: [{}, { bearer: [] }, { token: [] }],
    paths,
    components: {
      schemas,
      parameters,
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        token: { type: 'apiKey', in: 'header', name: 'x-token' },
      },
    },
  }
}

const description = `Files of delivery projects as Git history.

Every path under \`/v1\` is also served under \`/configuration-service/v1\` and \`/resource-service/v1\`. Without a file of tokens no
operation asks for one. \`HEAD\` is answered wherever \`GET\` is.`

const flag = { type: ['boolean', 'string'] }

const parameters: Record<ParameterName, Json> = {
  resourceURIQuery: query(
    'resourceURI',
    'Names one file, escaped once, for clients that need not escape its slashes twice.',
    { type: 'string', minLength: 1 },
    'webhook/webhook.yaml',
  ),
  resourceURIRequired: {
    ...query(
      'resourceURI',
      'Names the file, escaped once.',
      { type: 'string', minLength: 1 },
      'a.yaml',
    ),
    required: true,
  },
  gitCommitID: query('gitCommitID', 'As of this commit.', { type: 'string' }, 'a'.repeat(40)),
  commitID: query('commitID', 'The same as `gitCommitID`.', { type: 'string' }, 'a'.repeat(40)),
  pageSize: query('pageSize', 'Items of a page.', { type: 'integer', minimum: 0, default: 20 }, 20),
  nextPageKey: query('nextPageKey', 'As the page before said.', { type: 'string' }, '20'),
  fromRequired: {
    ...query('from', 'The older commit.', { type: 'string', minLength: 1 }, 'a'.repeat(40)),
    required: true,
  },
  to: query(
    'to',
    'The newer commit; the newest one unless told.',
    { type: 'string' },
    'a'.repeat(40),
  ),
  resolve: query(
    'resolve',
    '`inherit`: what a service lacks is looked for in its stage, what a stage lacks in the project.',
    { type: 'string', enum: ['inherit'] },
    'inherit',
  ),
  raw: query('raw', 'The bytes of the file, not JSON: as answer, and as body.', flag, true),
  verbose: query('verbose', 'Every check, not only those that fail.', flag, true),
  ifMatch: header('If-Match', 'Only where the file is the one with this tag; else 412.', '*'),
  ifNoneMatch: header(
    'If-None-Match',
    'Nothing (304) where the answer has this tag.',
    `"${'a'.repeat(40)}"`,
  ),
  ifAbsent: header('If-None-Match', '`*`: only where there is no such file; else 412.', '*'),
  maxStale: header(
    'Cache-Control',
    '`max-stale=N`: the answer may be N seconds old, and says in `Age` how old it is.',
    'max-stale=5',
  ),
  idempotencyKey: header(
    'Idempotency-Key',
    'A retry with the same key does not write twice; 422 for another request with it.',
    'b2f6a9e0',
  ),
  commitMessage: header('X-Commit-Message', 'Message of the commit, at most 1 KiB.', 'more load'),
  keptnUser: header('X-Keptn-User', 'Git author of the commit, where no token tells.', 'joe'),
}

const pathParameters: Record<string, Json> = {
  projectName: path('projectName', 'Name of the project.', 'sockshop'),
  stageName: path('stageName', 'Name of the stage.', 'dev'),
  serviceName: path('serviceName', 'Name of the service.', 'carts'),
  resourceURI: path(
    'resourceURI',
    'The file: one segment, its slashes escaped as `%2F` (`%252F` through a gateway that decodes paths).',
    'slo.yaml',
  ),
  file: path('file', 'Name of the file.', 'swagger.yaml'),
}

function operationOf(route: Route, operation: Operation, schemas: Json): Json {
  const names = [...route.pattern.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? '')
  const described: Json = {
    operationId: route.id,
    summary: operation.summary,
    tags: [tagOf(route)],
    parameters: [
      ...names.map((name) => pathParameters[name]),
      ...operation.parameters.map((name) => ({ $ref: `#/components/parameters/${name}` })),
    ],
    responses: responsesOf(operation, schemas),
  }
  if (route.role === 'open') described.security = []
  else described['x-role'] = route.role
  if (operation.body) described.requestBody = bodyOf(operation.body, schemas)
  return described
}

function responsesOf(operation: Operation, schemas: Json): Json {
  const responses: Json = {}
  for (const [status, content] of Object.entries(operation.answers)) {
    responses[status] = {
      description: STATUS_CODES[status] ?? status,
      ...(content && { content: contentOf(content, schemas) }),
    }
  }
  const { type } = operation.answers[200] ?? {}
  const failed = type === undefined || type === archiveType ? error : { type: 'text/plain' }
  for (const status of [...operation.refusals, 500].sort()) {
    const retry =
      status === 503 ? { headers: { 'Retry-After': { schema: { type: 'integer' } } } } : {}
    const content = contentOf(status === 500 ? error : failed, schemas)
    responses[status] = { description: STATUS_CODES[status] ?? String(status), ...retry, content }
  }
  return responses
}

function bodyOf(body: Body, schemas: Json): Json {
  const content = contentOf(body, schemas, 'input')
  if (body.bytes) content[bytesType] = { schema: {} }
  return { required: true, content }
}

function contentOf(content: Content, schemas: Json, io: 'input' | 'output' = 'output'): Json {
  const { name, schema: fields, example, type } = content
  if (name === undefined || fields === undefined) {
    const schema =
      type === bytesType || type === archiveType || type === anyType
        ? {}
        : { type: type === 'application/json' ? 'object' : 'string' }
    return { [type ?? 'text/plain']: { schema } }
  }
  if (schemas[name] === undefined) {
    const { $schema, ...rest } = z.toJSONSchema(fields, { io }) as Json
    schemas[name] = rest
  }
  const json = { schema: { $ref: `#/components/schemas/${name}` }, example }
  return fileNames.has(name)
    ? { 'application/json': json, [bytesType]: { schema: {} } }
    : { 'application/json': json }
}

/** What is also answered as bytes. */
const fileNames = new Set(['File', 'FilesOrFile'])

function tagOf(route: Route): string {
  if (route.role === 'open') return 'operations'
  if (/\/(?:history|archive|diff|restore|undelete|commits)$/.test(route.pattern)) return 'history'
  return route.pattern.includes('/resource') ? 'files' : 'projects, stages, services'
}

function serversOf(prefix: string): Json[] {
  const own = { url: '/', description: 'The service itself' }
  if (prefix === '') return [own]
  return [own, { url: `${prefix}/api/resource-service`, description: "Through Keptn's gateway" }]
}

function path(name: string, text: string, example: string): Json {
  const schema = { type: 'string', minLength: 1 }
  return { name, in: 'path', required: true, description: text, schema, example }
}

function query(name: string, text: string, schema: Json, example: unknown): Json {
  return { name, in: 'query', description: text, schema, example }
}

function header(name: string, text: string, example: string): Json {
  return { name, in: 'header', description: text, schema: { type: 'string' }, example }
}
