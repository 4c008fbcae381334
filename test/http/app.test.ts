import { once } from 'node:events'
import { connect } from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ServiceError } from '../../src/errors.ts'
import type { Principal, Role } from '../../src/http/app.ts'
import type { ReadContext } from '../../src/resources/resources.ts'
import { waitFor } from '../support/processes.ts'
import {
  blobB,
  commitA,
  fresh,
  type Line,
  type RunningApp,
  send,
  startApp,
  written,
} from './app-harness.ts'

const test = suite('the app')
const file = { content: Buffer.from('x'), oid: blobB, commit: commitA, proof: fresh }
const page = { items: [], nextPageKey: '0', totalCount: 0, proof: fresh }
let running: RunningApp[] = []

test.after.each(async () => {
  await Promise.all(running.map((app) => app.close()))
  running = []
})

async function start(...parts: Parameters<typeof startApp>): Promise<RunningApp> {
  const app = await startApp(...parts)
  running.push(app)
  return app
}

test('what is no route is 404 in plain text', async () => {
  const app = await start()
  for (const [method, path] of [
    ['GET', '/'],
    ['GET', '/v1'],
    ['GET', '/v1/'],
    ['GET', '/v1/project/'],
    ['GET', '/v1/project/p'],
    ['GET', '/V1/project'],
    ['GET', '/v2/project'],
    ['GET', '/v1/livez'],
    ['GET', '/api/v1/project'],
    ['PUT', '/v1/project/p/stage/s'],
    ['GET', '/v1/project/p/stage/s'],
    ['GET', '/v1/project/p/service/x/resource'],
    ['GET', '/v1/project/p/resource/'],
    ['GET', '/v1/project/p/resource//x'],
    ['GET', '/v1/project/p/resource/a/b'],
    ['GET', '/v1/project//resource'],
    ['PUT', '/v1/project//resource'],
    ['GET', '/v1/project//stage//resource'],
    ['POST', '/v1/project/p/resource/x'],
    ['POST', '/livez'],
    ['PATCH', '/v1/project/p/resource/x'],
    ['OPTIONS', '*'],
    ['GET', '/configuration-service/project'],
    ['GET', '/configuration-service/v1'],
  ] as const) {
    const got = await send(app.port, method, path)
    assert.is(got.status, 404, `${method} ${path}`)
    assert.is(got.text, '404 page not found')
    assert.is(got.headers['content-type'], 'text/plain; charset=utf-8')
  }
})

test('every prefix leads to the same, and a double slash before resource is one', async () => {
  const seen: string[] = []
  const app = await start({
    async listFiles({ project, stage, service }) {
      seen.push([project, stage, service].join())
      return page
    },
  })
  for (const prefix of ['/v1', '/configuration-service/v1', '/resource-service/v1']) {
    for (const path of ['/project/p/resource', '/project/p//resource', '/project/p/resource?']) {
      assert.is((await send(app.port, 'GET', prefix + path)).status, 200, prefix + path)
      assert.is(seen.pop(), 'p,,')
    }
    const deep = await send(app.port, 'GET', `${prefix}/project/p/stage/s/service/x//resource`)
    assert.is(deep.status, 200)
    assert.is(seen.pop(), 'p,s,x')
  }
})

test('a bad URL is 400 that says so', async () => {
  const app = await start()
  for (const path of [
    '/v1/project/p/resource/%zz',
    '/v1/project/%ff/resource/x',
    '/v1/project/p/resource/x?gitCommitID=%',
    '/v1/project/p/resource/100%25',
    '/v1/project/a%2Fb/resource',
    '/v1/project/p/stage/%2e%2e/resource',
    '/v1/project/p/stage/s/service/%00/resource',
  ]) {
    const got = await send(app.port, 'GET', path)
    assert.is(got.status, 400, path)
    assert.is(got.json.code, 400)
    assert.ok(got.json.message.length > 5)
  }
})

test('no spelling of a path leads out of its scope', async () => {
  const app = await start()
  const ups = ['..', '%2e%2e', '%2E%2E', '.%2e', '%252e%252e', '..%252f', '..%2f', '%2F..', '~x']
  const inside = ['..', '%2e%2e', '.%2E'].map((up) => `a%2F${up}%2Fb`)
  const insideTwice = ['..', '%252e%252e', '.%252E'].map((up) => `a%252F${up}%252Fb`)
  const bytes = ['%5c', 'a%00', 'a%2500', '..%5cb']
  const git = ['.git', '.GIT', 'git~1', '.git.', '.git%2520', '.gitmodules', 'a%2F.git%2Fconfig']
  for (const path of [...ups, ...inside, ...insideTwice, ...bytes, ...git]) {
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const got = await send(app.port, method, `/v1/project/p/resource/${path}`, { json: {} })
      assert.is(got.status, 400, path)
      assert.match(got.json.message, 'invalid resource uri')
    }
  }
})

test('an unknown failure is a bare 500, and its stack is in the log', async () => {
  const app = await start({
    async createProject() {
      throw new Error('a secret detail')
    },
  })
  const got = await send(app.port, 'POST', '/v1/project', { json: { projectName: 'p' } })
  assert.is(got.status, 500)
  assert.equal(got.json, { code: 500, message: 'Internal server error' })
  const line = app.lines.find(({ event }) => event === 'request_failed')
  assert.match(String(line?.error), 'a secret detail')
  assert.is(line?.route, '/v1/project')
})

test('a connection that breaks is no failure, and nothing of its bytes is in the log', async () => {
  const app = await start()
  const head = 'POST /v1/project HTTP/1.1\r\nHost: x\r\nX-Token: s3cret\r\n'
  const socket = connect(app.port, '127.0.0.1')
  socket.end(`${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n`)
  await once(socket.resume(), 'close')
  await waitFor(() => app.lines.length > 0, { what: 'the line of the request' })
  assert.equal(
    app.lines.map(({ event, status }) => [event, status]),
    [['request', 499]],
  )
  assert.not.match(JSON.stringify(app.lines), 's3cret')
})

test('a failed read is no missing file to any client', async () => {
  let failure: Error = new Error('x')
  const app = await start({ readFile: () => Promise.reject(failure) })
  const get = (query = '') => send(app.port, 'GET', `/v1/project/p/resource/slo.yaml${query}`)

  failure = new ServiceError('store_unavailable', 'bucket not found')
  const away = await get()
  assert.is(away.status, 503)
  assert.is(away.json.message, 'could not check out p: bucket missing')
  assert.is(away.headers['retry-after'], '2')

  failure = new Error('bug')
  assert.is((await get()).json.message, 'could not check out p: Internal server error')

  failure = new ServiceError('commit_not_found', 'whatever, not found')
  const unknown = await get(`?commitID=${commitA}`)
  assert.is(unknown.status, 400)
  assert.is(unknown.json.message, `could not check out ${commitA}: no such commit in project p`)

  failure = new ServiceError('resource_not_found', 'Resource not found')
  const absent = await get()
  assert.is(absent.status, 404)
  assert.equal(absent.json, { code: 404, message: 'Resource not found' })
})

test('a write that may be repeated says when', async () => {
  for (const code of ['overloaded', 'outcome_unknown', 'not_written', 'project_stopped'] as const) {
    const app = await start({ writeFiles: () => Promise.reject(new ServiceError(code, 'why')) })
    const got = await send(app.port, 'POST', '/v1/project/p/resource', { json: {} })
    assert.is(got.status, 503)
    assert.ok(Number(got.headers['retry-after']) >= 1)
    assert.equal(got.json, { code: 503, message: 'why' })
  }
})

test('lists are paged as in Keptn', async () => {
  const asked: unknown[] = []
  const contexts: ReadContext[] = []
  const app = await start({
    async listFiles(_scope, request, context) {
      asked.push(request)
      contexts.push(context)
      return {
        ...page,
        items: [{ path: '/a/b', commit: commitA }],
        nextPageKey: '7',
        totalCount: 9,
      }
    },
    async listStages() {
      return { ...page, items: [{ name: 'dev', createdAtMs: 0 }, { name: 'x' }], totalCount: 2 }
    },
    async listServices() {
      return page
    },
    async listProjects() {
      return { ...page, items: [{ name: 'p' }], totalCount: null }
    },
    async history(scope, request) {
      asked.push({ ...scope, ...request })
      const author = { name: 'n', email: 'e' }
      return { ...page, items: [{ commit: commitA, author, dateMs: 0, message: 'm' }] }
    },
  })
  const get = (path: string) => send(app.port, 'GET', path)
  const files = await get(`/v1/project/p/resource?pageSize=3&nextPageKey=4&gitCommitID=${commitA}`)
  assert.is(
    files.text,
    `{"nextPageKey":"7","resources":[{"resourceURI":"/a/b","metadata":{"upstreamURL":"","version":"${commitA}"}}],"totalCount":9}`,
  )
  assert.equal(asked.pop(), { pageSize: 3, pageKey: '4' })
  assert.is(contexts.pop()?.at, commitA)
  await get('/v1/project/p/resource?pageSize=&nextPageKey=&gitCommitID=')
  assert.equal(asked.pop(), {})
  assert.is(contexts.pop()?.at, undefined)
  for (const size of ['abc', '-1', '1.5', '1e3', '99999999999999999999']) {
    assert.is((await get(`/v1/project/p/resource?pageSize=${size}`)).status, 400, size)
  }
  assert.is(
    (await get('/v1/project/p/stage')).text,
    '{"nextPageKey":"0","stages":[{"stageName":"dev","creationDate":"1970-01-01T00:00:00.000Z"},{"stageName":"x"}],"totalCount":2}',
  )
  assert.is((await get('/v1/project/p/stage/s/service')).text, '{"nextPageKey":"0","services":[]}')
  assert.is((await get('/v1/project')).text, '{"nextPageKey":"0","projects":[{"projectName":"p"}]}')
  const history = await get('/v1/project/p/stage/s/history?resourceURI=a/b&pageSize=2')
  assert.is(
    history.text,
    `{"nextPageKey":"0","commits":[{"commitID":"${commitA}","author":{"name":"n","email":"e"},"date":"1970-01-01T00:00:00.000Z","message":"m"}]}`,
  )
  assert.equal(asked.pop(), { project: 'p', stage: 's', pageSize: 2, path: 'a/b' })
})

test('a request is one line in the log, without names, and counted by its pattern', async () => {
  const app = await start({ readFile: async () => file })
  const headers = { 'x-request-id': 'abc.1', authorization: 'Bearer s3cret' }
  const got = await send(app.port, 'GET', '/v1/project/hush/resource/hush.yaml?x=hush', { headers })
  assert.is(got.headers['x-request-id'], 'abc.1')
  assert.is(app.lines.length, 1)
  const { durationMs, ...line } = app.lines[0] as Line
  assert.ok(Number(durationMs) >= 0)
  const route = '/v1/project/{projectName}/resource/{resourceURI}'
  assert.equal(line, {
    level: 'info',
    event: 'request',
    requestId: 'abc.1',
    method: 'GET',
    route,
    status: 200,
    bytes: got.bytes.length,
  })
  assert.equal(app.counted, [
    { metric: 'http_requests_total', labels: { method: 'GET', route, status: '200' } },
  ])
})

test('a request id is taken if it is one, else minted', async () => {
  const app = await start()
  for (const given of ['', 'a b', 'x'.repeat(129), '{"a":1}']) {
    const got = await send(app.port, 'GET', '/livez', { headers: { 'x-request-id': given } })
    assert.match(got.headers['x-request-id'] as string, /^[0-9a-f-]{36}$/)
  }
})

test('a method nobody knows is counted as such', async () => {
  const app = await start()
  await send(app.port, 'PROPFIND', '/v1/project')
  assert.equal(app.counted[0]?.labels, { method: 'OTHER', route: 'none', status: '404' })
})

test('probes say what they look at', async () => {
  let ok = true
  const app = await start(
    {},
    {
      health: {
        ready: () => ({
          ok,
          checks: [
            { name: 'store', ok: true },
            ok ? { name: 'drain', ok } : { name: 'drain', ok, reason: 'draining' },
          ],
        }),
        started: () => ({ ok, checks: [] }),
      },
    },
  )
  const get = (path: string) => send(app.port, 'GET', path)
  assert.is((await get('/livez')).text, 'ok\n')
  assert.is((await get('/readyz')).text, 'ok\n')
  assert.is((await get('/readyz?verbose')).text, '[+] store ok\n[+] drain ok\nok\n')
  assert.is((await get('/startupz')).status, 200)
  const health = await get('/health')
  assert.is(health.status, 200)
  assert.is(health.text, '')
  assert.is((await get('/metrics')).text, 'm 1\n')
  ok = false
  const not = await get('/readyz')
  assert.is(not.status, 503)
  assert.is(not.text, '[-] drain not ok: draining\nnot ok\n')
  assert.is((await get('/startupz')).status, 503)
  assert.is((await get('/livez')).status, 200)
  assert.is((await get('/health')).status, 200)
})

const order: Role[] = ['read', 'write', 'admin']
const people = new Map(
  order.map((role): [string, Principal] => [
    role,
    {
      name: `the ${role}`,
      may: (need, project) => order.indexOf(need) <= order.indexOf(role) && project === 'mine',
    },
  ]),
)

test('a token opens what its role and its projects allow', async () => {
  const authors: string[] = []
  const app = await start(
    {
      readFile: async () => file,
      writeFiles: async (_scope, _files, status, context) => {
        authors.push(`${context.author.name}/${context.principal}/${context.onBehalfOf}`)
        return written(status)
      },
      createProject: async () => ({ status: 204 }),
      updateProject: async () => ({ status: 204 }),
      listProjects: async () => ({
        ...page,
        items: [{ name: 'mine' }, { name: 'theirs' }] as never[],
        totalCount: 2,
      }),
    },
    { authenticate: (token) => people.get(token) },
  )
  const as = (token: string | undefined, method: string, path: string, json?: unknown) => {
    const headers: Record<string, string> = { 'x-keptn-user': 'joe' }
    if (token) headers['x-token'] = token
    return send(app.port, method, path, { headers, json })
  }
  const read = '/v1/project/mine/resource/x'
  for (const token of [undefined, 'wrong']) {
    const got = await as(token, 'GET', read)
    assert.is(got.status, 401, token)
    assert.is(got.json.code, 401)
    assert.is(got.headers['www-authenticate'], 'Bearer')
  }
  assert.is((await as('read', 'GET', read)).status, 200)
  assert.is((await as('read', 'HEAD', read)).status, 200)
  assert.is((await as('read', 'GET', '/v1/project/theirs/resource/x')).status, 403)
  assert.is((await as('read', 'PUT', read, {})).status, 403)
  assert.is((await as('write', 'PUT', read, {})).status, 200)
  assert.is(authors.pop(), 'the write/the write/joe')
  assert.is((await as('write', 'POST', '/v1/project', { projectName: 'mine' })).status, 403)
  assert.is((await as('admin', 'POST', '/v1/project', { projectName: 'mine' })).status, 204)
  assert.is((await as('admin', 'POST', '/v1/project', { projectName: 'theirs' })).status, 403)
  const crossed = await as('admin', 'PUT', '/v1/project/mine', { projectName: 'theirs' })
  assert.is(crossed.status, 403)
  assert.is(
    (await as('read', 'GET', '/v1/project')).text,
    '{"nextPageKey":"0","projects":[{"projectName":"mine"}]}',
  )
  for (const path of ['/livez', '/readyz', '/health', '/metrics']) {
    assert.is((await as(undefined, 'GET', path)).status, 200, path)
  }
  const bearer = await send(app.port, 'GET', read, { headers: { authorization: 'bearer read' } })
  assert.is(bearer.status, 200)
})

test.run()
