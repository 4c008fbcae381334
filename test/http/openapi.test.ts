import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parse } from 'yaml'
import { operations } from '../../src/http/openapi-operations.ts'
import { blobB, commitA, fresh, type RunningApp, send, startApp, written } from './app-harness.ts'

interface Media {
  schema: object
  example?: unknown
}
interface Described {
  operationId: string
  parameters: ({ name: string; in: string; example?: string } & { $ref?: string })[]
  requestBody?: { content: Record<string, Media> }
  responses: Record<string, { content?: Record<string, Media> }>
}
interface Documented {
  method: string
  pattern: string
  described: Described
}

const test = suite('the document of the API')
const ajv = new Ajv2020({ strict: false, validateFormats: false })
let app: RunningApp
// biome-ignore lint/suspicious/noExplicitAny: a document is what its own validator says
let document: any
let documented: Documented[]

const item = { name: 'n', createdAtMs: 0 }
const page = { nextPageKey: '0', totalCount: 1, proof: fresh }
const done = async () => ({ status: 204 })

test.before(async () => {
  app = await startApp({
    readFile: async () => ({
      content: Buffer.from('x'),
      oid: blobB,
      commit: commitA,
      proof: fresh,
    }),
    listFiles: async () => ({ ...page, items: [{ path: '/a', commit: commitA }] }),
    listProjects: async () => ({ ...page, items: [item] }),
    listStages: async () => ({ ...page, items: [item] }),
    listServices: async () => ({ ...page, items: [item] }),
    history: async () => ({
      ...page,
      items: [{ commit: commitA, author: { name: 'n', email: 'e' }, dateMs: 0, message: 'm' }],
    }),
    writeFiles: async (_scope, _files, status) => written(status),
    deleteFile: async () => written(200),
    createProject: done,
    updateProject: done,
    migrateProject: done,
    deleteProject: done,
    createStage: done,
    deleteStage: done,
    undeleteProject: done,
    undeleteStage: done,
    changeFiles: async () => written(200),
    restore: async () => written(200),
    readArchive: async () => ({
      content: Buffer.from('x'),
      oid: blobB,
      commit: commitA,
      proof: fresh,
    }),
    diff: async () => ({
      ...page,
      items: [{ path: '/a', kind: 'modified', before: blobB, after: blobB }],
    }),
    createService: done,
    deleteService: done,
  })
  document = (await send(app.port, 'GET', '/openapi.json')).json
  ajv.addSchema({ $id: 'doc', components: document.components })
  documented = Object.entries(document.paths).flatMap(([pattern, methods]) =>
    Object.entries(methods as Record<string, Described>).map(([method, described]) => ({
      method: method.toUpperCase(),
      pattern,
      described,
    })),
  )
})
test.after(() => app.close())

test('is OpenAPI 3.1', async () => {
  const result = await new Validator().validate(structuredClone(document))
  assert.equal(result.errors, undefined)
  assert.ok(result.valid)
  assert.is(document.openapi, '3.1.0')
})

test('describes every operation once', () => {
  const ids = documented.map(({ described }) => described.operationId)
  assert.is(new Set(ids).size, ids.length)
  assert.equal(ids.sort(), Object.keys(operations).sort())
})

test('describes nothing that is not served, and its answers are as described', async () => {
  for (const { method, pattern, described } of documented) {
    const got = await send(app.port, method, urlOf(pattern, described), { json: bodyOf(described) })
    const name = `${method} ${pattern}: ${got.status} ${got.text.slice(0, 100)}`
    const success = Object.keys(described.responses)[0]
    assert.is(String(got.status), success, name)
    const content = described.responses[got.status]?.content
    const type = got.headers['content-type']?.split(';')[0] ?? ''
    if (got.text === '') assert.not.ok(content && method !== 'HEAD', name)
    else if (got.json !== undefined && type === 'application/json') {
      assertValid(content?.['application/json'], got.json, name)
    }
  }
})

test('describes everything that is served', async () => {
  const known = new Set(documented.map(({ method, pattern }) => `${method} ${pattern}`))
  const patterns = new Set(documented.map(({ pattern }) => pattern))
  for (const pattern of patterns) {
    const { described } = documented.find((one) => one.pattern === pattern) as Documented
    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      if (known.has(`${method} ${pattern}`)) continue
      const got = await send(app.port, method, urlOf(pattern, described))
      assert.is(got.status, 404, `${method} ${pattern}`)
      assert.is(got.text, '404 page not found')
    }
  }
})

test('its examples fit their schemas', () => {
  let examples = 0
  for (const { described, method, pattern } of documented) {
    const bodies = [described.requestBody, ...Object.values(described.responses)]
    for (const [type, media] of bodies.flatMap((body) => Object.entries(body?.content ?? {}))) {
      if (media.example === undefined) continue
      examples++
      assertValid(media, media.example, `${method} ${pattern} ${type}`)
    }
  }
  assert.ok(examples > 50)
})

test('is there as YAML for clients of Keptn', async () => {
  const got = await send(app.port, 'GET', '/swagger-ui/swagger.yaml')
  assert.is(got.headers['content-type'], 'application/yaml')
  assert.equal(parse(got.text), document)
})

test('names the gateway where there is one', async () => {
  const behind = await startApp({}, { settings: { publicPathPrefix: '/keptn' } })
  const { json } = await send(behind.port, 'GET', '/openapi.json')
  assert.is(json.servers[1].url, '/keptn/api/resource-service')
  await behind.close()
})

test('its viewer is served from the package, and nothing beside it', async () => {
  const index = await send(app.port, 'GET', '/swagger-ui/')
  assert.is(index.status, 200)
  assert.is(index.headers['content-type'], 'text/html; charset=utf-8')
  const links = [...index.text.matchAll(/(?:src|href)="\.?\/?([^"]+)"/g)].map(([, link]) => link)
  assert.ok(links.length >= 5)
  for (const link of links) {
    assert.is((await send(app.port, 'GET', `/swagger-ui/${link}`)).status, 200, link)
  }
  const start = await send(app.port, 'GET', '/swagger-ui/swagger-initializer.js')
  assert.match(start.text, '../openapi.json')
  const redirect = await send(app.port, 'GET', '/swagger-ui')
  assert.is(redirect.status, 301)
  assert.is(redirect.headers.location, 'swagger-ui/')
  for (const path of [
    'package.json',
    'index.js',
    '..%2Fpackage.json',
    '%2e%2e%2f%2e%2e%2fpackage.json',
    '..%5Cpackage.json',
    '%2Fetc%2Fpasswd',
    'swagger-ui.css%00',
    'constructor',
    '__proto__',
  ]) {
    const got = await send(app.port, 'GET', `/swagger-ui/${path}`)
    assert.is(got.status, 404, path)
  }
  for (const path of ['/swagger-ui/../openapi.json', '/swagger-ui//index.html']) {
    assert.is((await send(app.port, 'GET', path)).status, 404, path)
  }
})

function urlOf(pattern: string, { parameters }: Described): string {
  const required = parameters
    .flatMap(({ $ref }) => ($ref?.endsWith('Required') ? [$ref.split('/').at(-1)] : []))
    .map((name) => document.components.parameters[name as string])
    .map(({ name, example }) => `${name}=${example}`)
  const examples = new Map(parameters.map(({ name, example }) => [name, example]))
  const path = pattern.replace(/\{(\w+)\}/g, (_, name) => String(examples.get(name) ?? 'x'))
  return required.length > 0 ? `${path}?${required.join('&')}` : path
}

function bodyOf({ requestBody }: Described): unknown {
  return requestBody?.content['application/json']?.example
}

function assertValid(media: Media | undefined, value: unknown, name: string): void {
  assert.ok(media, `${name} is not described`)
  const schema = JSON.parse(JSON.stringify(media?.schema).replaceAll('"#/', '"doc#/'))
  const validate = ajv.compile(schema)
  assert.ok(validate(value), `${name}: ${ajv.errorsText(validate.errors)}`)
}

test.run()
