import * as assert from 'uvu/assert'
import type { Oid } from '../../src/git/objects.ts'
import { parseResourcePath } from '../../src/resources/paths.ts'
import type { Scope } from '../../src/resources/resources.ts'
import { makeChart, readChart } from '../http/charts.ts'
import {
  convert,
  type Fixture,
  projectScope,
  put,
  readContext,
  refusal,
  remove,
  serviceScope,
  stageScope,
  suitesOfFormats,
  writeContext,
} from './fixture.ts'

const test = suitesOfFormats('archives, differences, inheritance')
const carts = serviceScope('dev', 'carts')

const archive = (on: Fixture, scope: Scope, at?: Oid) =>
  on.resources.readArchive(scope, readContext(at === undefined ? {} : { at }))

test('an archive holds the files of a scope, and only those', async ({ on }) => {
  await put(on, carts, { 'slo.yaml': 'slo', 'jmeter/load.jmx': 'jmx' })
  await put(on, stageScope('dev'), { 'stage.yaml': 'stage' })
  const ofService = await readChart((await archive(on, carts)).content)
  assert.equal(Object.keys(ofService), [
    'p-dev-carts/jmeter/load.jmx',
    'p-dev-carts/metadata.yaml',
    'p-dev-carts/slo.yaml',
  ])
  assert.is(ofService['p-dev-carts/slo.yaml'], 'slo')
  const ofStage = Object.keys(await readChart((await archive(on, stageScope('dev'))).content))
  assert.ok(ofStage.includes('p-dev/carts/slo.yaml'))
  assert.ok(ofStage.includes('p-dev/stage.yaml'))
  const ofProject = Object.keys(await readChart((await archive(on, projectScope())).content))
  assert.equal(ofProject, ['p/metadata.yaml'])
})

test('the same tree is the same archive, and an older commit the older one', async ({ on }) => {
  const { commit: first } = await put(on, carts, { a: '1' })
  const before = await archive(on, carts)
  await put(on, carts, { a: '2' })
  assert.is.not((await archive(on, carts)).oid, before.oid)
  await put(on, carts, { a: '1' })
  const again = await archive(on, carts)
  assert.is(again.oid, before.oid)
  assert.equal(again.content, before.content)
  const old = await archive(on, carts, first)
  assert.equal(old.content, before.content)
  assert.ok(old.proof.immutable)
})

test('an archive of what is not there is refused', async ({ on }) => {
  assert.match(await refusal(archive(on, stageScope('none'))), 'stage_not_found')
  assert.match(await refusal(archive(on, serviceScope('dev', 'none'))), 'service_not_found')
  const commit = '1'.repeat(40) as Oid
  assert.match(await refusal(archive(on, carts, commit)), 'commit_not_found')
})

const diff = async (on: Fixture, scope: Scope, from: Oid, to?: Oid) => {
  const context = readContext(to === undefined ? {} : { at: to })
  const { items } = await on.resources.diff(scope, from, { pageSize: 100 }, context)
  return items.map(({ path, kind }) => `${kind} ${path}`)
}

test('a difference names what was added, changed and deleted', async ({ on }) => {
  const { commit: from } = await put(on, carts, { a: '1', 'b/c': '1', d: '1' })
  await put(on, carts, { a: '2', e: '1' })
  const { commit: to } = await remove(on, carts, 'b')
  await put(on, stageScope('dev'), { elsewhere: 'x' })
  const expected = ['modified /a', 'deleted /b/c', 'added /e']
  assert.equal(await diff(on, carts, from as Oid, to), expected)
  assert.equal(await diff(on, carts, from as Oid), expected)
  const ofStage = ['modified /carts/a', 'deleted /carts/b/c', 'added /carts/e', 'added /elsewhere']
  assert.equal(await diff(on, stageScope('dev'), from as Oid), ofStage)
  assert.equal(await diff(on, carts, to as Oid, to), [])
})

test('a service counts as empty where it was not there', async ({ on }) => {
  const { commit: from } = await put(on, stageScope('dev'), { x: '1' })
  await on.resources.createService(serviceScope('dev', 'new'), writeContext())
  assert.equal(await diff(on, serviceScope('dev', 'new'), from as Oid), ['added /metadata.yaml'])
  const none = diff(on, serviceScope('dev', 'none'), from as Oid)
  assert.match(await refusal(none), 'service_not_found')
  const unknown = diff(on, carts, '1'.repeat(40) as Oid)
  assert.match(await refusal(unknown), 'commit_not_found')
})

test('a difference is the same after the project changed its format', async ({ on }) => {
  const { commit: from } = await put(on, carts, { a: '1' })
  const { commit: to } = await put(on, carts, { a: '2' })
  await convert(on, on.format === 1 ? 2 : 1)
  assert.equal(await diff(on, carts, from as Oid, to), ['modified /a'])
  assert.equal(await diff(on, carts, from as Oid), ['modified /a'])
})

const inherited = async (on: Fixture, scope: Scope, path: string) => {
  const context = { ...readContext(), inherits: true }
  const { content, level } = await on.resources.readFile(scope, parseResourcePath(path), context)
  return `${level} ${content}`
}

test('what a service lacks its stage has, and what that lacks the project', async ({ on }) => {
  await put(on, projectScope(), { 'a.yaml': 'of the project', 'b.yaml': 'of the project' })
  assert.is(await inherited(on, carts, 'a.yaml'), 'project of the project')
  await put(on, stageScope('dev'), { 'a.yaml': 'of the stage' })
  assert.is(await inherited(on, carts, 'a.yaml'), 'stage of the stage')
  assert.is(await inherited(on, serviceScope('dev', 'other'), 'a.yaml'), 'stage of the stage')
  await put(on, carts, { 'a.yaml': 'of the service' })
  assert.is(await inherited(on, carts, 'a.yaml'), 'service of the service')
  assert.is(await inherited(on, stageScope('dev'), 'a.yaml'), 'stage of the stage')
  assert.is(await inherited(on, carts, 'b.yaml'), 'project of the project')
  assert.is(await refusal(inherited(on, carts, 'none')), 'resource_not_found: Resource not found')
})

test('only absence lets a wider scope answer', async ({ on }) => {
  await put(on, projectScope(), { 'a.yaml': 'of the project' })
  const unknown = inherited(on, serviceScope('none', 'carts'), 'a.yaml')
  assert.match(await refusal(unknown), 'stage_not_found')
  await put(on, projectScope(), { 'helm/c.tgz': await makeChart('c', { 'Chart.yaml': 'name: c' }) })
  assert.match(await inherited(on, carts, 'helm/c.tgz'), /^project /)
})

test.run()
