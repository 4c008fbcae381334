import * as assert from 'uvu/assert'
import type { Oid } from '../../src/git/objects.ts'
import { readMetadata } from '../../src/resources/metadata.ts'
import { parseResourcePath } from '../../src/resources/paths.ts'
import type { Batch, Change, Scope } from '../../src/resources/resources.ts'
import {
  convert,
  type Fixture,
  get,
  historyOf,
  look,
  paths,
  projectScope,
  put,
  refusal,
  remove,
  serviceScope,
  stageScope,
  suitesOfFormats,
  tipOf,
  writeContext,
} from './fixture.ts'

const test = suitesOfFormats('batches, restores, what was deleted')
const project = projectScope()
const dev = stageScope('dev')
const prod = stageScope('prod')
const carts = serviceScope('dev', 'carts')

const at = (scope: Scope, path: string) => ({ scope, path: parseResourcePath(path) })
const putting = (scope: Scope, path: string, content: string): Change => {
  return { kind: 'put', ...at(scope, path), content: Buffer.from(content) }
}
const deleting = (scope: Scope, path: string): Change => ({ kind: 'delete', ...at(scope, path) })
const moving = (scope: Scope, path: string, toScope: Scope, toPath: string): Change => {
  return { kind: 'move', ...at(scope, path), to: at(toScope, toPath) }
}

const change = (on: Fixture, changes: Change[], expected: Batch['expected'] = []) =>
  on.resources.changeFiles(project.project, { changes, expected }, writeContext())
const seqOf = (on: Fixture) => look(on, async ({ seq }) => seq)
const headOf = (on: Fixture, stage?: string) =>
  tipOf(on, on.format === 1 ? (stage ?? 'main') : 'main')

test('changes of several scopes come together, in one entry', async ({ on }) => {
  await on.resources.createStage(prod, writeContext())
  await put(on, dev, { old: 'x', 'from/a': 'a' })
  const before = await seqOf(on)
  const answer = await change(on, [
    putting(project, 'shipyard.yaml', 'shipyard'),
    putting(carts, 'slo.yaml', 'slo'),
    deleting(dev, 'old'),
    moving(dev, 'from/a', carts, 'to/b'),
    putting(prod, 'p.yaml', 'prod'),
  ])
  assert.is(answer.status, 200)
  assert.is(answer.commit, await headOf(on))
  assert.is(await seqOf(on), before + 1)
  assert.is(await get(on, project, 'shipyard.yaml'), 'shipyard')
  assert.is(await get(on, carts, 'slo.yaml'), 'slo')
  assert.is(await get(on, carts, 'to/b'), 'a')
  assert.is(await get(on, prod, 'p.yaml'), 'prod')
  const left = await paths(on, dev)
  assert.not.ok(left.includes('/old') || left.includes('/from/a'))
  const [title = ''] = await historyOf(on, carts)
  assert.match(title, 'Change 5 files in project p')
})

test('of a batch that is refused nothing is done', async ({ on }) => {
  await put(on, dev, { a: '1', 'b/c': '1' })
  const head = await headOf(on, 'dev')
  const table: [Change[], string][] = [
    [[putting(dev, 'a', '2'), deleting(dev, 'none')], 'resource_not_found'],
    [[putting(dev, 'a', '2'), putting(stageScope('none'), 'a', '')], 'stage_not_found'],
    [[putting(dev, 'a', '2'), putting(serviceScope('dev', 'none'), 'a', '')], 'service_not_found'],
    [[putting(dev, 'a', '2'), putting(dev, 'b', '')], 'conflict'],
    [[putting(dev, 'a', '2'), moving(dev, 'a', dev, 'b/c')], 'conflict'],
    [[putting(dev, 'a', '2'), moving(dev, 'a', dev, 'b/c/d')], 'conflict'],
    [[moving(dev, 'b', dev, 'b/d')], 'invalid_request'],
    [[moving(dev, 'a', dev, 'helm/a.tgz')], 'invalid_request'],
    [[moving(project, 'metadata.yaml', dev, 'x')], 'invalid_request'],
    [[moving(dev, 'a', project, 'metadata.yaml')], 'invalid_request'],
    [[putting(project, '.configuration-service/x', '')], 'invalid_request'],
    [[moving(dev, 'a', dev, '.configuration-service/x')], 'invalid_request'],
  ]
  for (const [changes, code] of table) {
    assert.match(await refusal(change(on, changes)), code, JSON.stringify(changes))
  }
  assert.is(await headOf(on, 'dev'), head)
})

test('a change sees those before it', async ({ on }) => {
  await change(on, [
    putting(carts, 'a', '1'),
    moving(carts, 'a', carts, 'b'),
    putting(carts, 'a', '2'),
    moving(carts, 'b', carts, 'folder/c'),
    moving(carts, 'folder', carts, 'folded'),
    deleting(carts, 'a'),
  ])
  assert.equal(await paths(on, carts), ['/folded/c', '/metadata.yaml'])
  assert.is(await get(on, carts, 'folded/c'), '1')
})

test('the only file of a service can be renamed', async ({ on }) => {
  await remove(on, carts, 'metadata.yaml').catch(() => {})
  await put(on, dev, { 'lone/only': 'x' })
  await change(on, [
    moving(serviceScope('dev', 'lone'), 'only', serviceScope('dev', 'lone'), 'new'),
  ])
  assert.equal(await paths(on, serviceScope('dev', 'lone')), ['/new'])
})

test('heads that are not as expected are refused', async ({ on }) => {
  const { commit } = await put(on, dev, { a: '1' })
  const changes = [putting(carts, 'b', '1')]
  const expected = [{ scope: dev, head: commit as Oid }]
  assert.is((await change(on, changes, expected)).status, 200)
  assert.match(
    await refusal(change(on, [putting(carts, 'b', '2')], expected)),
    'precondition_failed',
  )
  assert.is(await get(on, carts, 'b'), '1')
})

test('a dry run says what would change, and changes nothing', async ({ on }) => {
  await put(on, dev, { a: '1', b: '1' })
  const before = await seqOf(on)
  const changes = [putting(project, 'x', ''), putting(dev, 'a', '2'), deleting(dev, 'b')]
  const preview = await on.resources.previewChanges(
    project.project,
    { changes, expected: [] },
    writeContext(),
  )
  assert.ok(Array.isArray(preview))
  assert.equal(preview.map(({ stage, path, kind }) => `${kind} ${stage ?? ''}${path}`).sort(), [
    'added /x',
    'deleted dev/b',
    'modified dev/a',
  ])
  const refused = await on.resources.previewChanges(
    project.project,
    { changes: [deleting(dev, 'none')], expected: [] },
    writeContext(),
  )
  assert.is((refused as { code?: string }).code, 'resource_not_found')
  assert.is(await seqOf(on), before)
  assert.is(await get(on, dev, 'a'), '1')
})

const restore = (on: Fixture, scope: Scope, commit: Oid, path?: string) => {
  const from = path === undefined ? { commit } : { commit, path: parseResourcePath(path) }
  return on.resources.restore(scope, from, writeContext())
}

test('a file, a folder and a scope become what they were', async ({ on }) => {
  const { commit } = await put(on, carts, { a: '1', 'f/b': '1', 'f/c': '1' })
  await put(on, carts, { a: '2', 'f/b': '2', new: '2' })
  await remove(on, carts, 'f/c')
  assert.is((await restore(on, carts, commit as Oid, 'a')).status, 200)
  assert.is(await get(on, carts, 'a'), '1')
  assert.is(await get(on, carts, 'f/b'), '2')
  await restore(on, carts, commit as Oid, 'f')
  assert.is(await get(on, carts, 'f/c'), '1')
  assert.is(await get(on, carts, 'new'), '2')
  const { commit: head } = await restore(on, carts, commit as Oid)
  assert.equal(await paths(on, carts), ['/a', '/f/b', '/f/c', '/metadata.yaml'])
  assert.is((await restore(on, carts, commit as Oid)).commit, head)
  assert.match((await historyOf(on, carts))[0] as string, 'Restore service carts in stage dev')
})

test('a service that was deleted is restored from its stage', async ({ on }) => {
  const { commit } = await put(on, carts, { a: '1' })
  await on.resources.deleteService(carts, writeContext())
  await restore(on, carts, commit as Oid)
  assert.is(await get(on, carts, 'a'), '1')
})

test('a restored project keeps its stages and its format', async ({ on }) => {
  const { commit } = await put(on, project, { a: '1' })
  await put(on, dev, { kept: 'x' })
  await convert(on, on.format === 1 ? 2 : 1)
  await put(on, project, { a: '2', b: '2' })
  await restore(on, project, commit as Oid)
  assert.equal(await paths(on, project), ['/a', '/metadata.yaml'])
  assert.is(await get(on, project, 'a'), '1')
  assert.is(await get(on, dev, 'kept'), 'x')
  const isInFolders = on.format === 1
  for (const path of [undefined, 'metadata.yaml']) {
    await restore(on, project, commit as Oid, path)
    const { isUsingDirectoryStructure } = readMetadata(
      Buffer.from(await get(on, project, 'metadata.yaml')),
    )
    assert.is(isUsingDirectoryStructure, isInFolders)
  }
  await put(on, dev, { more: 'y' })
})

test('what cannot be restored is refused', async ({ on }) => {
  const { commit } = await put(on, carts, { a: '1', 'b/c': '1' })
  await remove(on, carts, 'b')
  await put(on, carts, { b: 'a file' })
  const tell = (scope: Scope, path?: string, from = commit as Oid) =>
    refusal(restore(on, scope, from, path))
  assert.match(await tell(carts, 'none'), 'resource_not_found')
  assert.match(await tell(carts, 'b/c'), 'conflict: b/c cannot be written: b is a file')
  assert.match(await tell(carts, 'a', '1'.repeat(40) as Oid), 'commit_not_found')
  assert.match(await tell(stageScope('none')), 'stage_not_found')
  assert.match(await tell(project, '.configuration-service/x'), 'invalid_request')
})

const undelete = (on: Fixture, stage = 'dev') =>
  on.resources.undeleteStage(stageScope(stage), writeContext())

test('a stage that was deleted comes back with its files and its history', async ({ on }) => {
  await put(on, carts, { a: '1' }, { message: 'one' })
  await put(on, carts, { a: '2' }, { message: 'two' })
  await on.resources.createStage(prod, writeContext())
  await on.resources.deleteStage(dev, writeContext())
  await on.resources.deleteStage(prod, writeContext())
  assert.is((await undelete(on)).status, 204)
  assert.is(await get(on, carts, 'a'), '2')
  const titles = await historyOf(on, carts, 'a')
  assert.ok(titles.includes('two') && titles.includes('one'), titles.join())
  assert.match(await refusal(undelete(on)), 'stage_exists')
  assert.match(await refusal(undelete(on, 'never')), 'stage_not_found')
})

test('of two stages of one name the newer comes back', async ({ on }) => {
  await put(on, carts, { a: 'old' })
  await on.resources.deleteStage(dev, writeContext())
  await on.resources.createStage(dev, writeContext())
  await put(on, dev, { b: 'new' })
  await on.resources.deleteStage(dev, writeContext())
  await undelete(on)
  assert.is(await get(on, dev, 'b'), 'new')
})

test('a stage that was deleted in the other format comes back', async ({ on }) => {
  await put(on, carts, { a: '1' })
  await on.resources.deleteStage(dev, writeContext())
  await convert(on, on.format === 1 ? 2 : 1)
  await undelete(on)
  assert.is(await get(on, carts, 'a'), '1')
})

const undeleteProject = (on: Fixture, name = project) =>
  on.resources.undeleteProject(name.project, writeContext())
const deleteProject = (on: Fixture) => on.resources.deleteProject(project.project, writeContext())

test('a project that was deleted comes back with its stages, its history and its commits', async ({
  on,
}) => {
  const { commit } = await put(on, carts, { a: '1' }, { message: 'one' })
  await put(on, carts, { a: '2' }, { message: 'two' })
  await on.resources.createStage(prod, writeContext())
  const portrait = () => paths(on, carts)
  const before = await portrait()
  const heads = async () => [await headOf(on), await headOf(on, 'dev'), await headOf(on, 'prod')]
  const headsBefore = await heads()
  assert.match(await refusal(undeleteProject(on)), 'project_exists')
  await deleteProject(on)
  assert.match(await refusal(get(on, carts, 'a')), 'project_not_found')
  const answer = await undeleteProject(on)
  assert.equal([answer.status, answer.commit], [204, headsBefore[0]])
  assert.equal(await portrait(), before)
  assert.equal(await heads(), headsBefore)
  assert.is(await get(on, carts, 'a'), '2')
  assert.is(await get(on, carts, 'a', commit as Oid), '1')
  const titles = await historyOf(on, carts, 'a')
  assert.ok(titles.includes('two') && titles.includes('one'), titles.join())
  await put(on, carts, { a: '3' })
  assert.is(await get(on, carts, 'a'), '3')
  assert.match(await refusal(undeleteProject(on, projectScope('never'))), 'project_not_found')
})

test('a project comes back from behind answers that were kept, and again', async ({ on }) => {
  await put(on, carts, { a: '1' })
  for (const round of ['one', 'two']) {
    await deleteProject(on)
    for (let at = 0; at < 20; at++) {
      const idempotency = { key: `${round} ${at}`, digest: '1'.repeat(64) }
      await on.resources.deleteProject(project.project, writeContext({ idempotency }))
    }
    assert.is((await undeleteProject(on)).status, 204)
    assert.is(await get(on, carts, 'a'), '1')
  }
})

test('of two projects of one name the newer comes back, without the commits of the older', async ({
  on,
}) => {
  const { commit } = await put(on, carts, { a: 'old' })
  await deleteProject(on)
  await on.resources.createProject(project.project, writeContext())
  await put(on, project, { b: 'new' })
  await deleteProject(on)
  await undeleteProject(on)
  assert.is(await get(on, project, 'b'), 'new')
  assert.match(await refusal(get(on, project, 'a', commit as Oid)), 'commit_not_found')
})

test('a stage that was deleted before its project comes back behind it', async ({ on }) => {
  await on.resources.createStage(prod, writeContext())
  await put(on, prod, { a: '1' })
  await on.resources.deleteStage(prod, writeContext())
  await deleteProject(on)
  await undeleteProject(on)
  await undelete(on, 'prod')
  assert.is(await get(on, prod, 'a'), '1')
})

test('stages of a project that was deleted do not come back in the next', async ({ on }) => {
  await on.resources.deleteStage(dev, writeContext())
  await on.resources.deleteProject(project.project, writeContext())
  await on.resources.createProject(project.project, writeContext())
  assert.match(await refusal(undelete(on)), 'stage_not_found')
})

test.run()
