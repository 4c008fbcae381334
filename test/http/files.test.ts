import { connect } from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { FileAnswer, ReadContext, ResourcePath, Scope } from '../../src/resources/resources.ts'
import { waitFor } from '../support/processes.ts'
import { blobB, commitA, fresh, type RunningApp, send, startApp } from './app-harness.ts'

const test = suite('files over http')
const content = Buffer.from('a: 1\n')
const etag = `"${blobB}.${commitA}"`
let app: RunningApp
let patient: RunningApp | undefined
let asked: { scope: Scope; path: ResourcePath; context: ReadContext }[] = []
let answer: FileAnswer

test.before(async () => {
  app = await startApp({
    async readFile(scope, path, context) {
      asked.push({ scope, path, context })
      return answer
    },
  })
})
test.before.each(() => {
  asked = []
  answer = { content, oid: blobB, commit: commitA, proof: fresh }
})
test.after.each(async () => {
  await patient?.close()
  patient = undefined
})
test.after(() => app.close())

test('a file is answered as Keptn does', async () => {
  const got = await send(app.port, 'GET', '/v1/project/p/stage/s/service/x/resource/a%252Fb.yaml')
  assert.is(got.status, 200)
  assert.is(
    got.text,
    `{"resourceContent":"${content.toString('base64')}","resourceURI":"a%2Fb.yaml",` +
      `"metadata":{"upstreamURL":"","version":"${commitA}"}}`,
  )
  assert.is(got.headers['content-type'], 'application/json; charset=utf-8')
  assert.is(got.headers.etag, etag)
  assert.is(got.headers['cache-control'], 'no-cache')
  assert.is(got.headers.age, undefined)
  assert.equal(asked[0]?.scope, { project: 'p', stage: 's', service: 'x' })
  assert.is(asked[0]?.path, 'a/b.yaml')
})

test('the same file is answered again, and anew when it changes', async () => {
  const get = () => send(app.port, 'GET', '/v1/project/p/resource/same.yaml')
  const first = await get()
  assert.is((await get()).text, first.text)
  answer = { ...answer, content: Buffer.from('b'), oid: 'd'.repeat(40) as typeof blobB }
  assert.is((await get()).json.resourceContent, 'Yg==')
  answer = { ...answer, commit: 'e'.repeat(40) as typeof commitA }
  assert.is((await get()).json.metadata.version, 'e'.repeat(40))
})

test('an empty file has empty content', async () => {
  answer = { ...answer, content: Buffer.alloc(0) }
  const got = await send(app.port, 'GET', '/v1/project/p/resource/empty')
  assert.is(got.json.resourceContent, '')
})

test('the bytes are answered to who asks for them', async () => {
  for (const [path, accept] of [
    ['/v1/project/p/resource/a?raw', '*/*'],
    ['/v1/project/p/resource/a?raw=true', 'application/json'],
    ['/v1/project/p/resource/a', 'application/octet-stream'],
    ['/v1/project/p/resource/a', 'application/json;q=0.5, application/octet-stream'],
  ] as const) {
    const got = await send(app.port, 'GET', path, { headers: { accept } })
    assert.equal(got.bytes, content, `${path} ${accept}`)
    assert.is(got.headers['content-type'], 'application/octet-stream')
    assert.is(got.headers.etag, `"${blobB}"`)
    assert.is(got.headers.vary, 'Accept')
  }
  for (const accept of ['application/json, application/octet-stream;q=0.5', '*/*']) {
    const got = await send(app.port, 'GET', '/v1/project/p/resource/a?raw=0', {
      headers: { accept },
    })
    assert.is(got.headers['content-type'], 'application/json; charset=utf-8')
  }
})

test('who holds the answer is told so, and nothing more', async () => {
  const path = '/v1/project/p/resource/a'
  for (const held of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
    const got = await send(app.port, 'GET', path, { headers: { 'if-none-match': held } })
    assert.is(got.status, 304, held)
    assert.is(got.headers.etag, etag)
    assert.is(got.text, '')
    assert.is(got.headers['content-length'], undefined)
  }
  for (const held of [`"${blobB}"`, `"${blobB}.${blobB}"`]) {
    const got = await send(app.port, 'GET', path, { headers: { 'if-none-match': held } })
    assert.is(got.status, 200, held)
  }
  const bad = await send(app.port, 'GET', path, { headers: { 'if-none-match': 'abc' } })
  assert.is(bad.status, 400)
})

test('HEAD is GET without the body', async () => {
  const path = '/v1/project/p/resource/head.yaml'
  const head = await send(app.port, 'HEAD', path)
  const get = await send(app.port, 'GET', path)
  assert.is(head.status, 200)
  assert.is(head.text, '')
  for (const name of ['etag', 'content-length', 'content-type'] as const) {
    assert.is(head.headers[name], get.headers[name])
  }
})

test('a file is read at a commit, under both names of the parameter', async () => {
  answer = { ...answer, proof: { ...fresh, immutable: true } }
  for (const query of [`gitCommitID=${commitA}`, `commitID=${commitA.toUpperCase()}`]) {
    const got = await send(app.port, 'GET', `/v1/project/p/resource/a?${query}`)
    assert.is(got.headers['cache-control'], 'private, max-age=31536000, immutable')
    assert.is(asked.at(-1)?.context.at, commitA)
  }
  await send(app.port, 'GET', '/v1/project/p/resource/a?gitCommitID=')
  assert.is(asked.at(-1)?.context.at, undefined)
  const bad = await send(app.port, 'GET', '/v1/project/p/resource/a?gitCommitID=main')
  assert.is(bad.status, 400)
  assert.is(bad.json.message, 'could not check out main: not a commit id')
})

test('the age of an answer is bounded by who asks, and told', async () => {
  answer = { ...answer, proof: { ...fresh, ageSeconds: 3 } }
  const get = (value: string) =>
    send(app.port, 'GET', '/v1/project/p/resource/a', { headers: { 'cache-control': value } })
  for (const value of ['max-stale=5', 'no-transform, max-stale=5', 'Max-Stale="5"']) {
    const got = await get(value)
    assert.is(asked.at(-1)?.context.maxStaleSeconds, 5, value)
    assert.is(got.headers.age, '3')
    assert.is(got.headers.warning, undefined)
  }
  for (const value of ['max-stale', 'max-stale=0', 'max-stale=-1', 'max-age=0']) {
    await get(value)
    assert.is(asked.at(-1)?.context.maxStaleSeconds, undefined, value)
  }
})

test('a stale answer says so', async () => {
  answer = { ...answer, proof: { ageSeconds: 42, stale: true, immutable: false } }
  const got = await send(app.port, 'GET', '/v1/project/p/resource/a')
  assert.is(got.headers.age, '42')
  assert.match(got.headers.warning as string, /^110 /)
  assert.is(got.headers['x-configuration-stale'], 'true')
})

test('a resource is named by a parameter as well, decoded once', async () => {
  const got = await send(app.port, 'GET', '/v1/project/p/resource?resourceURI=a%2Fb%20c%2525.yaml')
  assert.is(asked[0]?.path, 'a/b c%25.yaml')
  assert.is(got.json.resourceURI, 'a/b c%25.yaml')
  const empty = await send(app.port, 'GET', '/v1/project/p/resource?resourceURI=')
  assert.is(empty.status, 400)
  assert.is(empty.json.message, 'invalid resource uri')
})

test('a large answer is whole', async () => {
  answer = { ...answer, content: Buffer.alloc(3 * 1024 * 1024, 'x') }
  const got = await send(app.port, 'GET', '/v1/project/p/resource/large')
  assert.ok(got.json.resourceContent === answer.content.toString('base64'))
})

test('what a large answer takes is given back, whether its client reads it, leaves, or stops reading', async () => {
  const content = Buffer.alloc(20 * 1024 * 1024)
  let wait: Promise<void> | undefined
  const { port, lines } = await startApp(
    {
      async readFile() {
        await wait
        return { ...answer, content }
      },
    },
    { settings: { requestTimeoutMs: 1_000 } },
  ).then((started) => {
    patient = started
    return started
  })
  const path = '/v1/project/p/resource/large?raw'
  const head = `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`
  const told = (count: number) =>
    waitFor(() => lines.length === count, { what: 'the line of the request', timeoutMs: 10_000 })

  for (let count = 1; count <= 3; count++) {
    let goOn = () => {}
    wait = new Promise((resolve) => {
      goOn = resolve
    })
    const socket = connect(port, '127.0.0.1')
    await new Promise((resolve) => socket.write(head, resolve))
    socket.destroy()
    await told(count)
    goOn()
  }
  wait = undefined
  for (let count = 4; count <= 6; count++) {
    const socket = connect(port, '127.0.0.1')
    socket.write(head)
    socket.pause()
    await told(count)
    assert.is(lines.at(-1)?.status, 499)
    socket.destroy()
  }
  for (let i = 0; i < 4; i++) {
    assert.ok((await send(port, 'GET', path)).bytes.equals(content))
  }
})

test.run()
