import { randomBytes } from 'node:crypto'
import { deflateSync, inflateSync } from 'node:zlib'

import { suite } from 'uvu'
import * as assert from 'uvu/assert'

import type { Oid } from '../../src/git/objects.ts'
import { silent } from '../../src/observe.ts'
import { prepareBlobs } from '../../src/repository/draft.ts'
import type { EntryObject } from '../../src/repository/entry.ts'
import { createDeferred } from '../../src/repository/promises.ts'
import type { Draft } from '../../src/repository/repository.ts'
import { type Bench, openBench, projectName } from '../support/repositories.ts'
import {
  createProject,
  deleteFile,
  deleteProject,
  fileOf,
  putFile,
  request,
} from '../support/requests.ts'

const test = suite<{ bench: Bench }>('repository')
const project = projectName('sockshop')
const soon = { timeoutMs: 10_000 }

test.before.each(async (context) => {
  context.bench = await openBench()
})
test.after.each(async ({ bench }) => {
  await bench.close()
})

test('a project that nobody created does not exist', async ({ bench }) => {
  const { value } = await bench.repositories.read(project, async (view) => view.exists, soon)
  assert.is(value, false)
})

test('what one replica wrote another reads, without having seen it before', async ({ bench }) => {
  const [a, b] = [bench.repositories, bench.another()]
  assert.equal(await a.write(project, createProject()), { status: 204 })
  await a.write(project, putFile('a.yaml', 'one'))
  assert.is((await b.read(project, (view) => fileOf(view, 'a.yaml'), soon)).value, 'one')
  await b.write(project, putFile('a.yaml', 'two'))
  await b.write(project, putFile('b.yaml', 'three'))
  const { value, proof } = await a.read(project, (view) => fileOf(view, 'a.yaml'), soon)
  assert.is(value, 'two')
  assert.equal(proof, { ageSeconds: 0, stale: false, immutable: false })
})

test('what waits together is committed together, each request with commits of its own', async ({
  bench,
}) => {
  await bench.repositories.write(project, createProject())
  const names = Array.from({ length: 20 }, (_, at) => `${at}.yaml`)
  const outcomes = await Promise.all(
    names.map((name) => bench.repositories.write(project, putFile(name, name))),
  )
  assert.is(new Set(outcomes.map(({ commit }) => commit)).size, names.length)
  const { value } = await bench.repositories.read(project, async (view) => view.seq, soon)
  assert.is(value, 2)
})

test('a refusal changes nothing, and its sentence comes back', async ({ bench }) => {
  const { repositories } = bench
  await repositories.write(project, createProject())
  const outcome = await repositories.write(project, deleteFile('a.yaml'))
  assert.equal(outcome, { status: 404, code: 'resource_not_found', message: 'Resource not found' })
  assert.is((await repositories.read(project, async (view) => view.seq, soon)).value, 1)
})

test('a keyed request takes effect once, on whichever replica it lands again', async ({
  bench,
}) => {
  const [a, b] = [bench.repositories, bench.another()]
  await a.write(project, createProject())
  const keyed = { idempotency: { key: 'k', digest: 'd' } }
  const first = await a.write(project, putFile('a.yaml', 'one', keyed))
  await a.write(project, putFile('a.yaml', 'two'))
  assert.equal(await b.write(project, putFile('a.yaml', 'one', keyed)), first)
  assert.is((await b.read(project, (view) => fileOf(view, 'a.yaml'), soon)).value, 'two')
  const other = { idempotency: { key: 'k', digest: 'another' } }
  assert.is((await b.write(project, putFile('a.yaml', 'x', other))).code, 'key_reused')
})

test('a project that was deleted and made again begins anew in the same log', async ({ bench }) => {
  const { repositories } = bench
  await repositories.write(project, createProject())
  const { commit } = await repositories.write(project, putFile('a.yaml', 'one'))
  await repositories.write(project, deleteProject())
  assert.is((await repositories.read(project, async (view) => view.exists, soon)).value, false)
  await repositories.write(project, createProject())
  const { value } = await repositories.read(project, (view) => fileOf(view, 'a.yaml'), soon)
  assert.is(value, null)
  const old = repositories.read(project, async () => 0, { ...soon, at: commit as Oid })
  await old.then(
    () => assert.unreachable(),
    (error) => assert.is(error.code, 'commit_not_found'),
  )
})

test('a commit can be read for ever, from a replica that has it only in a pack', async ({
  bench,
}) => {
  const { repositories } = bench
  await repositories.write(project, createProject())
  const { commit } = await repositories.write(project, putFile('a.yaml', 'version 0'))
  for (let at = 1; at <= 140; at++) {
    await repositories.write(project, putFile('a.yaml', `version ${at}`))
  }
  for (const replica of [repositories, bench.another()]) {
    const { value, proof } = await replica.read(
      project,
      (view) => fileOf(view, 'a.yaml', commit as Oid),
      { ...soon, at: commit as Oid },
    )
    assert.is(value, 'version 0')
    assert.is(proof.immutable, true)
  }
})

test('a file of 3 MiB is spilled, and read back by another replica', async ({ bench }) => {
  await bench.repositories.write(project, createProject())
  const content = randomBytes(3 * 1024 * 1024)
  await bench.repositories.write(project, putFile('big', content))
  const read = await bench.another().read(project, (view) => fileOf(view, 'big'), soon)
  assert.is(read.value, content.toString('utf8'))
  const packs = await bench.store.list({ prefix: 'projects/sockshop/packs/', timeoutMs: 5_000 })
  assert.is(packs.objects.length, 1)
})

test('idle projects leave memory, and come back as they were', async ({ bench }) => {
  const names = Array.from({ length: 40 }, (_, at) => projectName(`project-${at}`))
  for (const [at, name] of names.entries()) {
    await bench.repositories.write(name, createProject())
    await bench.repositories.write(name, putFile('a', `${at} ${'x'.repeat(20_000)}`))
  }
  // Each takes some 40 KiB, and 640 KiB are for all.
  const told = new Map<string, number>()
  const observer = {
    ...silent,
    set: (name: string, value: number) => void told.set(name, value),
  }
  const small = bench.another({ memoryMaxBytes: 640 * 1024, observer })
  for (let round = 0; round < 2; round++) {
    for (const [at, name] of names.entries()) {
      const { value } = await small.read(name, (view) => fileOf(view, 'a'), soon)
      assert.ok(value?.startsWith(`${at} `), name)
    }
    const open = small.recent()
    assert.ok(open.length >= 8 && open.length <= 20, `${open.length} are open`)
    assert.equal(open, names.slice(-open.length).reverse())
    assert.is(told.get('open_projects'), open.length)
    const bytes = told.get('open_projects_bytes') ?? 0
    assert.ok(bytes > open.length * 20_000 && bytes <= 640 * 1024, `${bytes} bytes`)
  }
  assert.is((await small.write(names[0] as never, putFile('a', 'changed'))).status, 200)
  assert.is(
    (await small.read(names[0] as never, (view) => fileOf(view, 'a'), soon)).value,
    'changed',
  )
})

test('one project that takes more than all may is kept as long as it is used', async ({
  bench,
}) => {
  const tiny = bench.another({ memoryMaxBytes: 1 })
  await tiny.write(project, createProject())
  await tiny.write(project, putFile('a', 'x'))
  assert.equal(tiny.recent(), [project])
})

test('a project whose slow read ends leaves none in memory that was asked for after it', async ({
  bench,
}) => {
  const tiny = bench.another({ memoryMaxBytes: 1 })
  const other = projectName('other')
  for (const name of [other, project]) await tiny.write(name, createProject())
  const [begun, finished] = [createDeferred<void>(), createDeferred<void>()]
  const work = () => {
    begun.resolve()
    return finished.promise
  }
  const slow = tiny.read(project, work, soon)
  await begun.promise
  await tiny.read(other, async (view) => view.exists, soon)
  assert.is(tiny.recent().length, 2, 'one that is in use stays')
  finished.resolve()
  await slow
  assert.equal(tiny.recent(), [project])
})

test('a large content that was prepared is not deflated again', async ({ bench }) => {
  await bench.repositories.write(project, createProject())
  const content = Buffer.alloc(1024 * 1024, 'all the same ')
  const blobs = await prepareBlobs([content, Buffer.from('small')])
  const prepared = blobs.get(content)
  assert.equal(inflateSync(prepared?.deflated ?? Buffer.alloc(0)), content)
  // Nobody else would leave it as it is.
  const stored = deflateSync(content, { level: 0 })
  blobs.set(content, { ...(prepared as EntryObject), deflated: stored })
  const evaluate = async (draft: Draft) => {
    const tree = draft.writeTree([['big', { mode: '100644', oid: draft.writeBlob(content) }]])
    return { status: 200, commit: draft.commit('main', { tree, message: 'big' }) }
  }
  await bench.repositories.write(project, request(evaluate, { blobs }))
  const packs = await bench.store.list({ prefix: 'projects/sockshop/packs/', timeoutMs: 5_000 })
  assert.ok((packs.objects[0]?.sizeBytes ?? 0) > stored.length)
  const read = await bench.another().read(project, (view) => fileOf(view, 'big'), soon)
  assert.is(read.value, content.toString())
})

test('a deleted branch stays reachable: through the commit that merged it, or through one of its own', async ({
  bench,
}) => {
  const { repositories } = bench
  await repositories.write(project, createProject())
  const tips = new Map<string, Oid>()
  const fork = async (draft: Draft) => {
    const tree = draft.writeTree([])
    for (const name of ['merged', 'passed', 'lost']) {
      tips.set(name, draft.commit(name, { tree, message: name }))
    }
    return { status: 200 }
  }
  await repositories.write(project, request(fork))
  const [merged, passed, lost] = [...tips.values()] as [Oid, Oid, Oid]
  const merge = async (draft: Draft) => {
    const tree = draft.writeTree([])
    // A commit that no ref leads to keeps nothing.
    draft.commit('main', { tree, message: 'passed over', parents: [passed] })
    draft.commit('main', { tree, message: 'merge', parents: [merged] })
    for (const name of tips.keys()) draft.deleteBranch(name)
    return { status: 200 }
  }
  await repositories.write(project, request(merge))
  const { value } = await repositories.read(
    project,
    async ({ refs, readCommit }) => readCommit(refs.get('refs/meta/deleted') as Oid),
    soon,
  )
  assert.equal(value.parents, [passed, lost].sort())
  assert.is(value.message.trim(), 'deleted refs/heads/lost refs/heads/passed')
})

test('projects are listed in the order of their keys, page by page', async ({ bench }) => {
  const { repositories } = bench
  for (const name of ['b', 'a', 'ü c']) {
    await repositories.write(projectName(name), createProject())
  }
  const first = await repositories.listNames({ limit: 2 })
  // By their keys, in which ü is %C3%BC.
  assert.equal(first, { names: ['ü c', 'a'], more: true })
})

test('folders that are no project end no list', async ({ bench }) => {
  for (const folder of ['%', '%zz', 'A%']) {
    await bench.store.put(`projects/${folder}/x`, Buffer.from(''), soon)
  }
  await bench.repositories.write(projectName('b'), createProject())
  const page = await bench.repositories.listNames({ limit: 2 })
  assert.equal(page.names, ['b'])
})

test.run()
