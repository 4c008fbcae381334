import { createHash } from 'node:crypto'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Batch, ReadContext, Scope, WriteContext } from '../../src/resources/resources.ts'
import { blobB, commitA, fresh, type RunningApp, send, startApp, written } from './app-harness.ts'

const test = suite('archives, differences, batches and restores over http')
const content = Buffer.from('an archive')
let app: RunningApp
// biome-ignore lint/suspicious/noExplicitAny: whatever the app handed on
let asked: any[] = []

test.before(async () => {
  app = await startApp({
    async readArchive(scope: Scope, context: ReadContext) {
      asked = [scope, context]
      return { content, oid: blobB, commit: commitA, proof: { ...fresh, immutable: !!context.at } }
    },
    async diff(...all) {
      asked = all
      const item = { path: '/a', kind: 'added' as const, before: null, after: blobB }
      return { items: [item], nextPageKey: '0', totalCount: 1, proof: fresh }
    },
    async changeFiles(_project, batch: Batch, context: WriteContext) {
      asked = [batch, context]
      return written(200)
    },
    async previewChanges(_project, batch: Batch) {
      asked = [batch]
      return [{ path: '/a', kind: 'deleted', before: blobB, after: null, stage: 's' as never }]
    },
    async restore(...all) {
      asked = all
      return written(200)
    },
    async undeleteProject(project) {
      asked = [project]
      return { status: 204 }
    },
    async undeleteStage(scope) {
      asked = [scope]
      return { status: 204 }
    },
    async readFile(_scope, _path, context) {
      asked = [context]
      const answer = { content, oid: blobB, commit: commitA, proof: fresh }
      return context.inherits ? { ...answer, level: 'stage' as const } : answer
    },
  })
})
test.after(() => app.close())

test('an archive is a file with a name and a digest', async () => {
  const path = '/v1/project/p/stage/s/service/%C3%A9/archive'
  const got = await send(app.port, 'GET', path)
  assert.is(got.status, 200)
  assert.is(got.headers['content-type'], 'application/gzip')
  assert.is(
    got.headers['content-disposition'],
    `attachment; filename="p-s-_.tar.gz"; filename*=UTF-8''p-s-%C3%A9.tar.gz`,
  )
  const digest = createHash('sha256').update(content).digest('base64')
  assert.is(got.headers['repr-digest'], `sha-256=:${digest}:`)
  assert.equal(got.bytes, content)
  const again = await send(app.port, 'GET', path, {
    headers: { 'If-None-Match': got.headers.etag as string },
  })
  assert.is(again.status, 304)
  const pinned = await send(app.port, 'GET', `${path}?gitCommitID=${commitA}`)
  assert.match(pinned.headers['cache-control'] as string, 'immutable')
})

test('a difference is from one commit to another, or to the newest', async () => {
  const got = await send(app.port, 'GET', `/v1/project/p/diff?from=${commitA}&pageSize=7`)
  assert.equal(got.json, {
    nextPageKey: '0',
    changes: [{ resourceURI: '/a', change: 'added', after: blobB }],
    totalCount: 1,
  })
  assert.equal(asked.slice(0, 3), [{ project: 'p' }, commitA, { pageSize: 7 }])
  assert.is(asked[3].at, undefined)
  await send(app.port, 'GET', `/v1/project/p/diff?from=${commitA}&to=${'c'.repeat(40)}`)
  assert.is(asked[3].at, 'c'.repeat(40))
  assert.is((await send(app.port, 'GET', '/v1/project/p/diff')).status, 400)
  assert.is((await send(app.port, 'GET', '/v1/project/p/diff?from=main')).status, 400)
})

const batch = (body: object, headers: Record<string, string> = {}) =>
  send(app.port, 'POST', '/v1/project/p/commits', { json: body, headers })

test('a batch is handed on whole', async () => {
  const got = await batch({
    message: 'why',
    changes: [
      { action: 'put', resourceURI: 'a', resourceContent: 'YQ==' },
      { action: 'delete', stageName: 's', resourceURI: '/b', expectedHead: commitA },
      {
        action: 'move',
        stageName: 's',
        serviceName: 'x',
        resourceURI: 'c',
        to: { resourceURI: 'd' },
      },
    ],
  })
  assert.is(got.status, 200)
  assert.is(got.json.commitID, commitA)
  const [{ changes, expected }, context] = asked
  assert.equal(changes, [
    { kind: 'put', scope: { project: 'p' }, path: 'a', content: Buffer.from('a') },
    { kind: 'delete', scope: { project: 'p', stage: 's' }, path: 'b' },
    {
      kind: 'move',
      scope: { project: 'p', stage: 's', service: 'x' },
      path: 'c',
      to: { scope: { project: 'p' }, path: 'd' },
    },
  ])
  assert.equal(expected, [{ scope: { project: 'p', stage: 's' }, head: commitA }])
  assert.is(context.message, 'why')
})

test('what is wrong with a batch is said, with the element', async () => {
  const put = { action: 'put', resourceURI: 'a' }
  const table: [object, string][] = [
    [{}, 'changes'],
    [{ changes: [{ resourceURI: 'a' }] }, 'changes[0].action'],
    [{ changes: [put, { action: 'delete', resourceURI: '../a' }] }, 'changes[1]'],
    [{ changes: [{ ...put, serviceName: 'x' }] }, 'serviceName needs a stageName: changes[0]'],
    [{ changes: [{ ...put, resourceContent: '!' }] }, 'base64'],
    [{ changes: [{ action: 'move', resourceURI: 'a' }] }, 'move needs to: changes[0]'],
    [{ changes: [{ action: 'delete', resourceURI: 'a', resourceContent: 'YQ==' }] }, 'changes[0]'],
    [{ changes: [{ ...put, expectedHead: 'main' }] }, 'not a commit id: changes[0]'],
    [{ changes: Array(1_001).fill(put) }, 'more than 1000 changes'],
    [{ expectedHead: commitA, changes: [put, { ...put, stageName: 's' }] }, 'of one stage'],
  ]
  for (const [body, said] of table) {
    const got = await batch(body)
    assert.is(got.status, 400, got.text)
    assert.ok(got.json.message.includes(said), got.text)
  }
  const conditional = await batch({ changes: [put] }, { 'If-Match': '*' })
  assert.is(conditional.status, 400)
})

test('a dry run says what would change, and takes no key', async () => {
  const body = {
    dryRun: true,
    expectedHead: commitA,
    changes: [{ action: 'delete', resourceURI: 'a' }],
  }
  const got = await batch(body)
  assert.is(got.status, 200)
  assert.equal(got.json, {
    dryRun: true,
    changes: [{ stageName: 's', resourceURI: '/a', change: 'deleted', before: blobB }],
  })
  assert.equal(asked[0].expected, [{ scope: { project: 'p' }, head: commitA }])
  assert.is((await batch(body, { 'Idempotency-Key': 'k' })).status, 400)
})

test('a restore is of a file or of the scope', async () => {
  const path = '/v1/project/p/stage/s/restore'
  const got = await send(app.port, 'POST', path, { json: { gitCommitID: commitA } })
  assert.is(got.json.commitID, commitA)
  assert.equal(asked.slice(0, 2), [{ project: 'p', stage: 's' }, { commit: commitA }])
  const json = { gitCommitID: commitA, resourceURI: 'a/b' }
  await send(app.port, 'POST', path, { json })
  assert.equal(asked[1], { commit: commitA, path: 'a/b' })
  assert.is((await send(app.port, 'POST', path, { json: {} })).status, 400)
})

test('a stage is undeleted by its name', async () => {
  const got = await send(app.port, 'POST', '/v1/project/p/stage/s/undelete')
  assert.is(got.status, 204)
  assert.equal(asked, [{ project: 'p', stage: 's' }])
})

test('a project is undeleted by its name', async () => {
  const got = await send(app.port, 'POST', '/v1/project/p/undelete')
  assert.is(got.status, 204)
  assert.equal(asked, ['p'])
})

test('a list is not inherited, and says so', async () => {
  for (const resolve of ['inherit', 'x']) {
    const got = await send(app.port, 'GET', `/v1/project/p/resource?resolve=${resolve}`)
    assert.is(got.status, 400)
    assert.match(got.json.message, 'resolve is for one file')
  }
})

test('an inherited file tells where it was found', async () => {
  const got = await send(app.port, 'GET', '/v1/project/p/resource/a?resolve=inherit')
  assert.is(got.json.scope, 'stage')
  assert.is(got.headers['x-configuration-scope'], 'stage')
  assert.is(got.headers.etag, `"${blobB}.${commitA}.stage"`)
  const plain = await send(app.port, 'GET', '/v1/project/p/resource/a')
  assert.is(plain.json.scope, undefined)
  assert.is(plain.headers['x-configuration-scope'], undefined)
  assert.is((await send(app.port, 'GET', '/v1/project/p/resource/a?resolve=no')).status, 400)
})

test.run()
