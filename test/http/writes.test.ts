import { request } from 'node:http'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Outcome } from '../../src/repository/repository.ts'
import type { FileWrite, Precondition, Scope, WriteContext } from '../../src/resources/resources.ts'
import { waitFor } from '../support/processes.ts'
import { blobB, commitA, type RunningApp, send, startApp, written } from './app-harness.ts'

interface Seen {
  migrates?: boolean
  scope?: Scope
  files?: FileWrite[]
  status?: number
  path?: string
  name?: string
  context: WriteContext
  precondition?: Precondition | undefined
}

const test = suite('writes over http')
let app: RunningApp
/** Apps of single tests, closed after them whatever became of them. */
let others: RunningApp[] = []
let seen: Seen[] = []
let outcome: Outcome | undefined

test.before(async () => {
  const done = (what: Seen) => {
    seen.push(what)
    return Promise.resolve(outcome ?? { status: 204 })
  }
  app = await startApp({
    writeFiles(scope, files, status, context, precondition) {
      seen.push({ scope, files, status, context, precondition })
      return Promise.resolve(outcome ?? written(status))
    },
    deleteFile(scope, path, context, precondition) {
      seen.push({ scope, path, context, precondition })
      return Promise.resolve(outcome ?? written(200))
    },
    createProject: (name, context) => done({ name, context }),
    updateProject: (name, context) => done({ name, context }),
    migrateProject: (name, context) => done({ name, context, migrates: true }),
    deleteProject: (name, context) => done({ name, context }),
    createStage: (scope, context) => done({ scope, context }),
    deleteStage: (scope, context) => done({ scope, context }),
    createService: (scope, context) => done({ scope, context }),
    deleteService: (scope, context) => done({ scope, context }),
  })
})
test.before.each(() => {
  seen = []
  outcome = undefined
})
test.after.each(async () => {
  await Promise.all(others.map((other) => other.close()))
  others = []
})
test.after(() => app.close())

async function startOther(...parts: Parameters<typeof startApp>): Promise<RunningApp> {
  const other = await startApp(...parts)
  others.push(other)
  return other
}

const list = '/v1/project/p/stage/s/service/x/resource'
const one = `${list}/a%252Fb.yaml`
const commit = {
  commitID: commitA,
  metadata: { upstreamURL: '', version: commitA },
  version: commitA,
}

test('a list is written in one go, 201 for POST and 200 for PUT', async () => {
  const resources = [
    { resourceURI: '/a+b%2F.yaml', resourceContent: 'YQ==' },
    { resourceURI: 'x/y', resourceContent: '' },
    { resourceURI: 'z' },
  ]
  for (const [method, status] of [
    ['POST', 201],
    ['PUT', 200],
  ] as const) {
    const got = await send(app.port, method, list, { json: { resources, other: null } })
    assert.is(got.status, status)
    assert.equal(got.json, commit)
    assert.equal(seen[0]?.scope, { project: 'p', stage: 's', service: 'x' })
    assert.equal(
      seen[0]?.files?.map(({ path, content }) => [path, content.toString()]),
      [
        ['a+b%2F.yaml', 'a'],
        ['x/y', ''],
        ['z', ''],
      ],
    )
    assert.is(seen.pop()?.status, status)
  }
})

test('a list of nothing is a write of nothing', async () => {
  for (const json of [{}, { resources: null }, { resources: [] }]) {
    const got = await send(app.port, 'POST', list, { json })
    assert.is(got.status, 201)
    assert.equal(seen.pop()?.files, [])
  }
})

test('a single file is written from JSON, whatever the content type', async () => {
  for (const type of ['application/json', 'text/plain', 'application/x-www-form-urlencoded']) {
    const got = await send(app.port, 'PUT', one, {
      headers: { 'content-type': type },
      json: { resourceContent: 'YQ==', resourceURI: 'ignored' },
    })
    assert.is(got.status, 200)
    assert.equal(got.json, commit)
    const { files } = seen.pop() ?? {}
    assert.equal(files, [{ path: 'a/b.yaml', content: Buffer.from('a') }])
  }
})

test('a single file is written from its bytes', async () => {
  const bytes = Buffer.from([0, 255, 10, 0x7b])
  for (const [method, path, type, status] of [
    ['PUT', one, 'application/octet-stream', 200],
    ['PUT', one, 'Application/Octet-Stream; charset=x', 200],
    ['PUT', `${one}?raw`, 'text/yaml', 200],
    ['PUT', `${list}?resourceURI=a%2Fb.yaml&raw=1`, 'text/yaml', 200],
    ['POST', `${list}?resourceURI=a%2Fb.yaml`, 'application/octet-stream', 201],
  ] as const) {
    const headers = { 'content-type': type }
    const got = await send(app.port, method, path, { headers, body: bytes })
    assert.is(got.status, status, `${method} ${path} ${type}`)
    assert.equal(seen.pop()?.files, [{ path: 'a/b.yaml', content: bytes }])
  }
})

test('a list sent to a single file does not empty it', async () => {
  const got = await send(app.port, 'PUT', one, { json: { resources: [{ resourceURI: 'a' }] } })
  assert.is(got.status, 400)
  assert.is(seen.length, 0)
})

test('a file is deleted, by path and by parameter', async () => {
  for (const path of [one, `${list}?resourceURI=a/b.yaml`]) {
    const got = await send(app.port, 'DELETE', path)
    assert.is(got.status, 200)
    assert.equal(got.json, commit)
    assert.is(seen.pop()?.path, 'a/b.yaml')
  }
  const none = await send(app.port, 'DELETE', list)
  assert.is(none.status, 400)
  assert.is(none.json.message, 'resourceURI is missing')
})

test('projects, stages and services are made and deleted with 204', async () => {
  const calls = [
    ['POST', '/v1/project', { projectName: 'q', stages: null, gitCredentials: {} }],
    ['PUT', '/v1/project/other', { projectName: 'q' }],
    ['PUT', '/v1/project', { projectName: 'q', migrate: false }],
    ['DELETE', '/v1/project/q', undefined],
    ['POST', '/v1/project/q/stage', { stageName: 'dev' }],
    ['DELETE', '/v1/project/q/stage/dev', undefined],
    ['POST', '/v1/project/q/stage/dev/service', { serviceName: 'x' }],
    ['DELETE', '/v1/project/q/stage/dev/service/x', undefined],
  ] as const
  for (const [method, path, json] of calls) {
    const got = await send(app.port, method, path, { json })
    assert.is(got.status, 204, `${method} ${path}`)
    assert.is(got.text, '')
    assert.is(got.headers['content-type'], undefined)
    const { name, scope } = seen.pop() ?? {}
    assert.is(name ?? scope?.project, 'q')
  }
})

test('migrate, where it is true, migrates the project that the body names', async () => {
  for (const [migrate, migrates] of [
    [true, true],
    [false, undefined],
    [null, undefined],
  ]) {
    const json = { projectName: 'q', migrate, message: 'why' }
    const got = await send(app.port, 'PUT', '/v1/project/other', { json })
    assert.is(got.status, 204)
    const last = seen.pop()
    assert.equal([last?.name, last?.migrates, last?.context?.message], ['q', migrates, 'why'])
  }
  outcome = { status: 409, code: 'conflict', message: 'another replica cannot' }
  const json = { projectName: 'q', migrate: true }
  const refused = await send(app.port, 'PUT', '/v1/project', { json })
  assert.equal([refused.status, refused.json.message], [409, 'another replica cannot'])
})

test('a refusal is rendered from its outcome, with or without its sentence', async () => {
  outcome = { status: 409, code: 'project_exists' }
  const got = await send(app.port, 'POST', '/v1/project', { json: { projectName: 'q' } })
  assert.is(got.status, 409)
  assert.equal(got.json, { code: 409, message: 'Project already exists' })
  outcome = { status: 409, code: 'conflict', message: 'a is a folder' }
  const other = await send(app.port, 'PUT', one, { json: { resourceContent: '' } })
  assert.equal(other.json, { code: 409, message: 'a is a folder' })
})

test('conditions reach the write of one file, and are refused elsewhere', async () => {
  const put = (headers: Record<string, string>) =>
    send(app.port, 'PUT', one, { headers, json: { resourceContent: '' } })
  for (const tag of [`"${blobB}"`, `W/"${blobB}"`, `"${blobB}.${commitA}"`, `"no", "${blobB}"`]) {
    await put({ 'if-match': tag })
    assert.equal(seen.pop()?.precondition, { match: [blobB] }, tag)
  }
  await put({ 'if-match': '"foreign"' })
  assert.equal(seen.pop()?.precondition, { match: [] })
  await put({ 'if-match': '*' })
  assert.equal(seen.pop()?.precondition, { match: '*' })
  await put({ 'if-none-match': '*' })
  assert.equal(seen.pop()?.precondition, { absent: true })
  await send(app.port, 'DELETE', one, { headers: { 'if-match': '*' } })
  assert.equal(seen.pop()?.precondition, { match: '*' })

  for (const headers of [
    { 'if-match': 'x' },
    { 'if-match': '"a" "b"' },
    { 'if-none-match': '"a"' },
  ]) {
    assert.is((await put(headers)).status, 400, JSON.stringify(headers))
  }
  for (const [method, path] of [
    ['POST', list],
    ['PUT', list],
    ['POST', '/v1/project'],
    ['DELETE', '/v1/project/p/stage/s'],
  ] as const) {
    const got = await send(app.port, method, path, { headers: { 'if-match': '*' }, json: {} })
    assert.is(got.status, 400, `${method} ${path}`)
  }
  assert.is(seen.length, 0)
})

test('a long list of commas is judged at once', async () => {
  const started = performance.now()
  const got = await send(app.port, 'PUT', one, {
    headers: { 'if-match': `${', '.repeat(5_000)}x` },
    json: { resourceContent: '' },
  })
  assert.is(got.status, 400)
  assert.ok(performance.now() - started < 1_000)
})

test('a key is bound to the request, however it is escaped and through whatever prefix', async () => {
  const digest = async (
    method: string,
    path: string,
    body: string,
    headers: Record<string, string> = {},
  ) => {
    const got = await send(app.port, method, path, {
      body,
      headers: { 'idempotency-key': 'k 1', ...headers },
    })
    assert.ok(got.status < 300, got.text)
    assert.is(seen.at(-1)?.context.idempotency?.key, 'k 1')
    return seen.pop()?.context.idempotency?.digest
  }
  const body = '{"resourceContent":""}'
  const first = await digest('PUT', one, body)
  assert.match(first ?? '', /^[0-9a-f]{64}$/)
  const same = '/project/p/stage/s/service/x/resource/a%2Fb.yaml'
  assert.is(await digest('PUT', `/configuration-service/v1${same}?x=1`, body), first)
  assert.is(
    await digest('PUT', `/resource-service/v1${same}`, body, { 'x-keptn-user': 'u' }),
    first,
  )
  const others = [
    await digest('DELETE', one, body),
    await digest('PUT', `${list}/c`, body),
    await digest('PUT', '/v1/project/p/stage/s/resource/a%252Fb.yaml', body),
    await digest('PUT', one, `${body} `),
    await digest('PUT', one, body, { 'if-match': '*' }),
    await digest('PUT', one, body, { 'if-none-match': '*' }),
    await digest('PUT', `${one}?raw`, body),
    await digest('PUT', `${list}?resourceURI=a/b.yaml`, body),
  ]
  assert.is(new Set([first, ...others]).size, others.length + 1)
})

test('a digest stays what it is', async () => {
  await send(app.port, 'PUT', `${one}?raw`, {
    body: 'a',
    headers: { 'idempotency-key': 'k', 'if-match': '*' },
  })
  // printf 'PUT\0/project/{projectName}/stage/{stageName}/service/{serviceName}/resource/{resourceURI}\0p\0s\0x\0a/b.yaml\0raw=\0*\0\0a' | sha256sum
  assert.is(
    seen.pop()?.context.idempotency?.digest,
    'ccfd0fd1ac75a3e6b6418944a4e388b7020a4ec6b8474f75c10acf612d0d35f2',
  )
})

test('a key is 1 to 255 printable characters', async () => {
  for (const [key, status] of [
    ['k'.repeat(255), 200],
    ['k'.repeat(256), 400],
    ['', 400],
    ['\xe9', 400],
    ['a\tb', 400],
  ] as const) {
    const got = await send(app.port, 'PUT', one, { headers: { 'idempotency-key': key }, json: {} })
    assert.is(got.status, status, key)
  }
})

test('who writes, and what for', async () => {
  const put = async (headers: Record<string, string>, json: object = {}) => {
    const got = await send(app.port, 'PUT', one, { headers, json })
    return { status: got.status, context: seen.pop()?.context }
  }
  const nobody = (await put({})).context
  assert.equal(nobody?.author, { name: 'keptn', email: 'keptn@keptn.sh' })
  assert.is(nobody?.principal, '')
  assert.is(nobody?.message, undefined)
  assert.is(nobody?.onBehalfOf, undefined)

  const utf8 = (text: string) => Buffer.from(text).toString('latin1')
  const somebody = (await put({ 'x-keptn-user': utf8('Zoë <z>') })).context
  assert.equal(somebody?.author, { name: 'Zoë z', email: 'keptn@keptn.sh' })
  const mail = (await put({ 'x-keptn-user': 'z@x.y' })).context
  assert.equal(mail?.author, { name: 'z@x.y', email: 'z@x.y' })
  assert.is((await put({ 'x-keptn-user': 'u'.repeat(257) })).status, 400)
  assert.is((await put({ 'x-keptn-user': '\xff' })).status, 400)

  assert.is((await put({}, { message: 'why' })).context?.message, 'why')
  const header = await put({ 'x-commit-message': utf8('dafür') }, { message: 'why' })
  assert.is(header.context?.message, 'dafür')
  assert.is((await put({}, { message: 'm'.repeat(1025) })).status, 400)
  assert.is((await put({}, { message: 'a\0b' })).status, 400)
  assert.is((await put({}, { message: 1 })).status, 400)
})

const wrongBodies: [
  name: string,
  method: string,
  path: string,
  body: string | Buffer,
  says: RegExp,
][] = [
  ['nothing', 'POST', list, '', /^Invalid request format/],
  ['no JSON', 'POST', list, '{', /^Invalid request format: not JSON/],
  ['no object', 'POST', list, '[]', /^Invalid request format/],
  ['null', 'POST', list, 'null', /^Invalid request format/],
  ['a number', 'PUT', one, '1', /^Invalid request format/],
  ['not UTF-8', 'PUT', one, Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), /not UTF-8/],
  ['depth', 'POST', list, `{"x":${'['.repeat(10_000)}${']'.repeat(10_000)}}`, /nested deeper/],
  ['depth unclosed', 'POST', list, '['.repeat(500_000), /nested deeper/],
  ['many values', 'POST', list, `{"x":[${'1,'.repeat(200_000)}1]}`, /more than 100000 values/],
  [
    'list of the wrong type',
    'POST',
    list,
    '{"resources":{}}',
    /^Invalid request format: resources/,
  ],
  ['element of the wrong type', 'POST', list, '{"resources":[1]}', /resources\[0\]/],
  [
    'name of the wrong type',
    'POST',
    list,
    '{"resources":[{"resourceURI":1}]}',
    /resources\[0\].resourceURI/,
  ],
  [
    'no name',
    'POST',
    list,
    '{"resources":[{"resourceContent":""}]}',
    /^invalid resource uri: resources\[0\]$/,
  ],
  ['content of the wrong type', 'PUT', one, '{"resourceContent":{}}', /resourceContent/],
  ['no base64', 'PUT', one, '{"resourceContent":"a"}', /^resource content is not base64 encoded$/],
  ['base64 of URLs', 'PUT', one, '{"resourceContent":"_-8="}', /base64/],
  ['base64 unpadded', 'PUT', one, '{"resourceContent":"YQ"}', /base64/],
  ['padding in the middle', 'PUT', one, '{"resourceContent":"YQ==YQ=="}', /base64/],
  [
    'prototype keys',
    'POST',
    '/v1/project',
    '{"__proto__":{"projectName":"q"}}',
    /must not be empty/,
  ],
  [
    'constructor',
    'POST',
    '/v1/project',
    '{"constructor":{"prototype":{"projectName":"q"}}}',
    /empty/,
  ],
  ['project without a name', 'POST', '/v1/project', '{}', /^name must not be empty$/],
  ['project of null', 'POST', '/v1/project', '{"projectName":null}', /^name must not be empty$/],
  [
    'project with a space',
    'POST',
    '/v1/project',
    '{"projectName":"a b"}',
    /^name must not contain whitespaces$/,
  ],
  [
    'stage with a slash',
    'POST',
    '/v1/project/p/stage',
    '{"stageName":"a/b"}',
    /^name must not contain '\/'$/,
  ],
  ['service of dots', 'POST', '/v1/project/p/stage/s/service', '{"serviceName":".."}', /name/],
]
for (const [name, method, path, body, says] of wrongBodies) {
  test(`a body with ${name} is refused, and nothing is written`, async () => {
    const got = await send(app.port, method, path, { body })
    assert.is(got.status, 400)
    assert.is(got.json.code, 400)
    assert.match(got.json.message, says)
    assert.is(seen.length, 0)
  })
}

test('one bad element spoils the list, and is named', async () => {
  const resources = [
    { resourceURI: 'good', resourceContent: '' },
    { resourceURI: 'a/../../b', resourceContent: '' },
  ]
  const got = await send(app.port, 'POST', list, { json: { resources } })
  assert.is(got.status, 400)
  assert.is(got.json.message, 'invalid resource uri: resources[1]')
  assert.is(seen.length, 0)
})

test('a list holds a thousand elements, not more', async () => {
  const resources = Array.from({ length: 1_001 }, (_, i) => ({ resourceURI: `f${i}` }))
  const many = await send(app.port, 'POST', list, { json: { resources } })
  assert.is(many.status, 400)
  const fewer = await send(app.port, 'POST', list, { json: { resources: resources.slice(1) } })
  assert.is(fewer.status, 201)
})

test('base64 with line ends is what tools make, and is read', async () => {
  await send(app.port, 'PUT', one, { json: { resourceContent: 'YW\r\nJj\n' } })
  assert.is(seen.pop()?.files?.[0]?.content.toString(), 'abc')
})

test('a body that is too large is refused, whether it says so or not', async () => {
  const body = Buffer.alloc(1024 * 1024 + 1, 0x61)
  const declared = await send(app.port, 'PUT', `${one}?raw`, { body })
  assert.is(declared.status, 413)
  assert.is(declared.json.code, 413)
  assert.is(declared.headers.connection, 'close')
  assert.is(await statusOfChunked(app.port, `${one}?raw`, body), 413)
  assert.is(await statusOfChunked(app.port, `${one}?raw`, body.subarray(1)), 200)
  seen.pop()
  assert.is(seen.length, 0)
})

test('the bytes of a body are given back once it was answered', async () => {
  const roomy = await startOther(
    { writeFiles: async (_scope, _files, status) => written(status) },
    { settings: { maxBodyBytes: 16 * 1024 * 1024 } },
  )
  const body = Buffer.alloc(16 * 1024 * 1024, 0x61)
  for (let i = 0; i < 5; i++) {
    assert.is((await send(roomy.port, 'PUT', `${one}?raw`, { body })).status, 200)
  }
})

test('a body that is packed is refused rather than stored so', async () => {
  for (const path of [one, `${one}?raw`, list]) {
    const headers = { 'content-encoding': 'gzip' }
    const got = await send(app.port, 'PUT', path, { headers, body: gzipSync('{}') })
    assert.is(got.status, 415, path)
  }
  const headers = { 'content-encoding': 'identity' }
  assert.is((await send(app.port, 'PUT', one, { headers, json: {} })).status, 200)
  assert.is(seen.length, 1)
})

test('half a body is a client that went away, and nothing is written', async () => {
  const socket = connect(app.port, '127.0.0.1')
  const head = `PUT ${one} HTTP/1.1\r\nHost: x\r\nX-Request-Id: half\r\nContent-Length: 100\r\n\r\n{"re`
  await new Promise((resolve) => socket.write(head, resolve))
  await new Promise((resolve) => setImmediate(resolve))
  socket.destroy()
  const find = () => app.lines.find(({ requestId }) => requestId === 'half')
  await waitFor(() => find() !== undefined, { what: 'the line of the request' })
  const line = find()
  assert.is(line?.status, 499)
  assert.is(line?.code, 'client_gone')
  assert.is(seen.length, 0)
})

test('a body that does not come is not waited for', async () => {
  const slow = await startOther({}, { settings: { requestTimeoutMs: 50 } })
  const socket = connect(slow.port, '127.0.0.1')
  socket.write(`PUT ${one} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{`)
  socket.setTimeout(5_000, () => socket.destroy())
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  assert.match(Buffer.concat(chunks).toString(), /^HTTP\/1.1 408 .*"code":408/s)
})

function statusOfChunked(port: number, path: string, body: Buffer): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, path, method: 'PUT', agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    sent.on('error', reject)
    sent.write(body.subarray(0, 10))
    sent.end(body.subarray(10))
  })
}

test.run()
