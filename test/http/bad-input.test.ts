/**
 * Bad input, as a table over the built program: every answer is a 4xx that says what is wrong, nothing is written, and the process
 * is as well as before.
 */
import { readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Service, startService } from '../support/service.ts'
import { type Received, send } from './app-harness.ts'

const test = suite('bad input')
let service: Service
let before: string[] = []

test.before(async () => {
  service = await startService({ env: { MAX_BODY_BYTES: '2MiB', REQUEST_TIMEOUT_SECONDS: '2' } })
  for (const [path, json] of [
    ['/v1/project', { projectName: 'p' }],
    ['/v1/project/p/stage', { stageName: 's' }],
    ['/v1/project/p/stage/s/service', { serviceName: 'x' }],
  ] as const) {
    assert.is((await send(service.port, 'POST', path, { json })).status, 204)
  }
})
test.before.each(() => {
  before = stored()
})
test.after.each(async () => {
  assert.is((await send(service.port, 'GET', '/readyz')).status, 200)
  const failed = service.events().filter(({ event }) => event === 'request_failed')
  assert.equal(failed, [], 'an unknown failure is a bug')
  assert.is(service.process.exited(), undefined)
})
test.after(() => service.dispose())

/** Every object in the store. */
function stored(): string[] {
  return readdirSync(join(service.folder, 'data', 'store'), { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.includes('replicas'))
    .sort()
}

function assertNothingWritten(what: string): void {
  assert.equal(stored(), before, `${what} wrote something`)
}

function assertRefused(got: Received, what: string): void {
  assert.ok(got.status >= 400 && got.status < 500, `${what}: ${got.status} ${got.text}`)
  if (got.text === '404 page not found') return
  assert.is(got.json?.code, got.status, what)
  assert.ok(got.json.message.length >= 10, `${what}: ${got.text}`)
}

const scopes = ['/v1/project/p', '/v1/project/p/stage/s', '/v1/project/p/stage/s/service/x']
const makers = ['/v1/project', '/v1/project/p/stage', '/v1/project/p/stage/s/service']
const lists = scopes.map((scope) => `${scope}/resource`)
const files = lists.map((list) => `${list}/a.yaml`)
const withBody: [method: string, path: string][] = [
  ...makers.map((path): [string, string] => ['POST', path]),
  ['PUT', '/v1/project'],
  ['PUT', '/v1/project/p'],
  ...lists.flatMap((path): [string, string][] => [
    ['POST', path],
    ['PUT', path],
  ]),
  ...files.map((path): [string, string] => ['PUT', path]),
  ...lists.map((path): [string, string] => ['PUT', `${path}?resourceURI=a.yaml`]),
]

const bytes = (...values: number[]) => Buffer.from(values)
/** Bodies that no route takes. */
const bodies: Record<string, string | Buffer> = {
  nothing: '',
  space: ' \n',
  'an open brace': '{',
  'text after it': '{} {}',
  text: 'hello',
  'a string': '"hello"',
  'a number': '1',
  null: 'null',
  true: 'true',
  'an array': '[{}]',
  'not UTF-8': Buffer.concat([Buffer.from('{"message":"'), bytes(0xc3, 0x28), Buffer.from('"}')]),
  'UTF-16': Buffer.from('{"projectName":"q"}', 'utf16le'),
  'a NUL': '{"projectName":"q"}\0',
  'depth of 10,000': `{"x":${'['.repeat(10_000)}${']'.repeat(10_000)}}`,
  'depth of objects': `${'{"x":'.repeat(10_000)}1${'}'.repeat(10_000)}`,
  'depth that never ends': '['.repeat(1_000_000),
  'very many values': `{"x":[${'0,'.repeat(500_000)}0]}`,
  'more than is allowed': `{"x":"${'x'.repeat(2 * 1024 * 1024)}"}`,
  'a message of the wrong type':
    '{"message":[],"projectName":"q","stageName":"q","serviceName":"q","resources":[]}',
}
for (const [name, body] of Object.entries(bodies)) {
  test(`a body of ${name} is refused on every route`, async () => {
    for (const [method, path] of withBody) {
      const got = await send(service.port, method, path, { body })
      assertRefused(got, `${method} ${path}`)
    }
    assertNothingWritten(name)
  })
}

/** Values that are no name, and no list of files. */
const values: unknown[] = [
  1,
  true,
  [],
  {},
  ['q'],
  { toString: 'q' },
  'q r',
  'a/b',
  '..',
  '.',
  '',
  '\0',
  'a\u0000b',
]
test('a name of the wrong type, or that is none, is refused wherever something is made', async () => {
  for (const path of makers) {
    for (const value of [...values, null, undefined, '\ud800', '\u202e\u0007', 'q\n']) {
      const json = { projectName: value, stageName: value, serviceName: value }
      assertRefused(
        await send(service.port, 'POST', path, { json }),
        `${path} ${JSON.stringify(value)}`,
      )
    }
  }
  assertNothingWritten('a bad name')
})

test('prototype keys are fields like any other', async () => {
  const keys = ['__proto__', 'constructor', 'prototype', 'hasOwnProperty', 'toString']
  for (const key of keys) {
    for (const path of makers) {
      const body = `{"${key}":{"projectName":"q","stageName":"q","serviceName":"q","isAdmin":true}}`
      assertRefused(await send(service.port, 'POST', path, { body }), `${path} ${key}`)
    }
    for (const path of lists) {
      const body = `{"resources":{"${key}":[]}}`
      assertRefused(await send(service.port, 'POST', path, { body }), `${path} ${key}`)
      const inside = `{"resources":[{"${key}":{"resourceURI":"a","resourceContent":"YQ=="}}]}`
      assertRefused(await send(service.port, 'POST', path, { body: inside }), `${path} ${key}`)
    }
  }
  assertNothingWritten('a prototype key')
  assert.is((await send(service.port, 'GET', '/v1/project/__proto__/resource')).status, 404)
})

test('a list, an element or a content of the wrong kind is refused on every level', async () => {
  const good = { resourceURI: 'good', resourceContent: 'YQ==' }
  const elements = [
    ...values.slice(0, 6),
    null,
    { resourceURI: 1 },
    { resourceURI: {} },
    { resourceURI: null },
    { resourceURI: '' },
    { resourceURI: '/' },
    { resourceURI: '.' },
    { resourceURI: 'a/../../b' },
    { resourceURI: 'a\0b' },
    { resourceURI: '\ud800' },
    { resourceURI: 'x'.repeat(1025) },
    { resourceURI: `${'y'.repeat(256)}/z` },
    { resourceURI: '.git/hooks/pre-commit' },
    ...[1, [], {}, true, '%', 'a', 'YQ=', 'YQ', 'Y===', '_-_-', 'YQ==YQ==', 'ä'].map((content) => ({
      resourceURI: 'bad',
      resourceContent: content,
    })),
  ]
  for (const path of lists) {
    for (const method of ['POST', 'PUT']) {
      for (const resources of [1, 'x', {}, true]) {
        const got = await send(service.port, method, path, { json: { resources } })
        assertRefused(got, `${method} ${path} ${JSON.stringify(resources)}`)
      }
    }
    for (const element of elements) {
      const got = await send(service.port, 'POST', path, { json: { resources: [good, element] } })
      assertRefused(got, `${path} ${JSON.stringify(element)}`)
      assert.match(got.json.message, 'resources[1]')
    }
  }
  for (const path of files) {
    for (const resourceContent of [1, [], {}, true, '%', 'a', 'YQ=', '_-_-', 'Y Q=']) {
      const got = await send(service.port, 'PUT', path, { json: { resourceContent } })
      assertRefused(got, `${path} ${JSON.stringify(resourceContent)}`)
    }
  }
  assertNothingWritten('a bad list')
})

/** Segments that lead up, in each escaping that some layer might undo; an escaped slash beside an escape is escaped like it. */
const once = ['..', '%2e%2e', '%2E%2E', '.%2e', '%c0%ae%c0%ae', '..%00', '..%5c']
const twice = ['..', '%252e%252e', '%252E.', '..%2500', '..%255c']
const upward = [
  ...once.flatMap((up) => [up, `${up}%2f${up}%2fq`, `a%2F${up}%2F${up}%2Fb`, `${up}%5Cq`]),
  ...twice.flatMap((up) => [up, `${up}%252f${up}%252Fq`, `a%252F${up}%252Fb`, `${up}%255Cq`]),
]
const projectNames = ['..', '%2e%2e', '.', '..%2f..%2fq', '%2e%2e%2fq', 'a%2F..%2Fb', '%c0%ae']
const noNames = ['%00', '%', '%g0', '%ff', '%ed%a0%80', 'a%00b', 'a%20b', 'a%2Fb', 'a%0Ab', '%09']

test('no path leads out of its scope, on any route and in any escaping', async () => {
  for (const list of lists) {
    for (const segment of [
      ...upward,
      '%00',
      '%',
      '%g0',
      '%ff',
      'a%00b',
      'a%2500b',
      'a%5Cb',
      '~x',
    ]) {
      for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
        const path = `${list}/${segment}`
        const json = method === 'PUT' ? { resourceContent: 'YQ==' } : undefined
        const got = await send(service.port, method, path, { json })
        assert.ok(got.status === 400 || got.status === 404, `${method} ${path}: ${got.status}`)
        if (method === 'PUT') assert.is(got.status, 400, `${method} ${path}`)
      }
    }
    for (const segment of [
      '..',
      '..%2Fq',
      '%2e%2e/x',
      '%00',
      'a%00',
      '%ff',
      '%',
      '~q',
      '.git/x',
      '',
    ]) {
      for (const method of ['GET', 'PUT', 'POST', 'DELETE']) {
        const got = await send(service.port, method, `${list}?resourceURI=${segment}`, { json: {} })
        assertRefused(got, `${method} ${list}?resourceURI=${segment}`)
      }
    }
  }
  assertNothingWritten('a path upward')
})

test('a name in a path that is none is refused on every route', async () => {
  const routes: [method: string, path: (name: string) => string][] = [
    ['DELETE', (name) => `/v1/project/${name}`],
    ['POST', (name) => `/v1/project/${name}/stage`],
    ['GET', (name) => `/v1/project/${name}/stage`],
    ['GET', (name) => `/v1/project/${name}/resource/a`],
    ['PUT', (name) => `/v1/project/${name}/resource/a`],
    ['GET', (name) => `/v1/project/${name}/history`],
    ['DELETE', (name) => `/v1/project/p/stage/${name}`],
    ['GET', (name) => `/v1/project/p/stage/${name}/resource`],
    ['PUT', (name) => `/v1/project/p/stage/${name}/resource/a`],
    ['POST', (name) => `/v1/project/p/stage/${name}/service`],
    ['DELETE', (name) => `/v1/project/p/stage/s/service/${name}`],
    ['PUT', (name) => `/v1/project/p/stage/s/service/${name}/resource/a`],
    ['GET', (name) => `/v1/project/p/stage/s/service/${name}/resource/a`],
  ]
  for (const [method, path] of routes) {
    // A project is no folder: its name stands escaped in keys, so a backslash, or an escape, is a character like any other.
    const isProject = path('').startsWith('/v1/project//') || path('') === '/v1/project/'
    const names = [...(isProject ? projectNames : upward), ...noNames]
    for (const name of names) {
      const json = method === 'GET' || method === 'DELETE' ? undefined : { stageName: 'q' }
      const got = await send(service.port, method, path(name), { json })
      assertRefused(got, `${method} ${path(name)}`)
    }
  }
  assertNothingWritten('a bad name in a path')
})

test('a query that is none is refused', async () => {
  for (const path of [...lists, '/v1/project', '/v1/project/p/stage', '/v1/project/p/history']) {
    for (const query of [
      'pageSize=-1',
      'pageSize=x',
      'pageSize=1e9',
      'pageSize=%',
      'nextPageKey=%ff',
    ]) {
      assertRefused(await send(service.port, 'GET', `${path}?${query}`), `${path}?${query}`)
    }
  }
  for (const path of files) {
    for (const query of [
      'gitCommitID=x',
      `gitCommitID=${'g'.repeat(40)}`,
      'commitID=..%2f..',
      'a=%',
    ]) {
      assertRefused(await send(service.port, 'GET', `${path}?${query}`), `${path}?${query}`)
    }
  }
})

test('headers that are none are refused', async () => {
  const [path] = files
  for (const headers of [
    { 'if-match': 'x' },
    { 'if-match': '' },
    { 'if-match': '"' },
    { 'if-match': ','.repeat(10_000) },
    { 'if-none-match': '"x"' },
    { 'idempotency-key': '' },
    { 'idempotency-key': 'k'.repeat(256) },
    { 'idempotency-key': '\u00e9' },
    { 'x-keptn-user': '\u00ff' },
    { 'x-keptn-user': 'u'.repeat(300) },
    { 'x-commit-message': '\u00ff' },
    { 'x-commit-message': 'm'.repeat(1_025) },
  ] as Record<string, string>[]) {
    const json = { resourceContent: 'YQ==' }
    const got = await send(service.port, 'PUT', path as string, { headers, json })
    assertRefused(got, JSON.stringify(headers).slice(0, 100))
  }
  const huge = { 'x-request-id': 'x'.repeat(20_000) }
  assert.is((await send(service.port, 'GET', '/livez', { headers: huge })).status, 431)
  assertNothingWritten('a bad header')
})

test('a name is taken up to its limit, and refused beyond it', async () => {
  const post = async (path: string, json: unknown) =>
    (await send(service.port, 'POST', path, { json })).status
  for (const length of [1, 2, 100, 199, 200, 201, 250, 255, 256, 300]) {
    const name = 'n'.repeat(length)
    const expected = (limit: number) => (length <= limit ? 204 : 400)
    assert.is(await post('/v1/project', { projectName: name }), expected(200), `project ${length}`)
    const stage = '/v1/project/p/stage'
    assert.is(await post(stage, { stageName: name }), expected(250), `stage ${length}`)
    const owner = '/v1/project/p/stage/s/service'
    assert.is(await post(owner, { serviceName: name }), expected(255), `service ${length}`)
    const resources = [{ resourceURI: name, resourceContent: '' }]
    const file = await post(lists[0] as string, { resources })
    assert.is(file, length <= 255 ? 201 : 400, `file ${length}`)
    assert.is(
      (await send(service.port, 'GET', `${lists[0]}/${name}`)).status,
      file === 201 ? 200 : 400,
    )
  }
  // A character of three bytes is nine when it is escaped.
  assert.is(await post('/v1/project', { projectName: '漢'.repeat(22) }), 204)
  assert.is(await post('/v1/project', { projectName: '漢'.repeat(23) }), 400)
})

test('what is no HTTP is refused by itself', async () => {
  for (const text of [
    'hello\r\n\r\n',
    'GET / HTTP/9.9\r\n\r\n',
    'GET /livez HTTP/1.1\r\n\r\n',
    'GET /livez HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n',
    'POST /v1/project HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
    'POST /v1/project HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
    'POST /v1/project HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}',
    'POST /v1/project HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
  ]) {
    assert.match(await speak(text), /^HTTP\/1.1 4\d\d /, JSON.stringify(text))
  }
  assertNothingWritten('no HTTP')
})

test('half a body, and one that comes too slowly, end in a 4xx or a closed connection', async () => {
  const head = (more: string) => `PUT ${files[0]} HTTP/1.1\r\nHost: x\r\n${more}\r\n\r\n`
  const halves = ['Content-Length: 1000', 'Transfer-Encoding: chunked'].map(head)
  const gone = halves.map((half) => speak(`${half}{"res`, { end: true }))
  const slow = halves.map((half) => speak(`${half}4\r\n{"re\r\n`))
  for (const answer of await Promise.all(gone)) assert.match(answer, /^(?:$|HTTP\/1.1 4)/)
  for (const answer of await Promise.all(slow)) assert.match(answer, /^HTTP\/1.1 4(?:00|08) /)
  assertNothingWritten('half a body')
})

/** Sends bytes and returns what comes back until the connection ends. */
function speak(text: string, options: { end?: boolean } = {}): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(service.port, '127.0.0.1')
    const chunks: Buffer[] = []
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('error', () => {})
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')))
    if (options.end) socket.end(text)
    else socket.write(text)
  })
}

test.run()
