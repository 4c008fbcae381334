import * as assert from 'uvu/assert'
import { parse } from 'yaml'
import { refListMaxBytes, refListSizeBytes } from '../../src/git/bundle.ts'
import type { Oid } from '../../src/git/objects.ts'
import type { Draft } from '../../src/repository/repository.ts'
import { request } from '../support/requests.ts'
import {
  type Fixture,
  get,
  namesOf,
  paths,
  projectScope,
  put,
  readContext,
  refusal,
  remove,
  resourcesOver,
  serviceScope,
  stageScope,
  suitesOfFormats,
  writeContext,
} from './fixture.ts'

const scopes = suitesOfFormats('projects, stages and services')

const create = ({ resources }: Fixture, project: string) =>
  resources.createProject(projectScope(project).project, writeContext())
const createStage = ({ resources }: Fixture, stage: string) =>
  resources.createStage(stageScope(stage), writeContext())
const createService = ({ resources }: Fixture, stage: string, service: string) =>
  resources.createService(serviceScope(stage, service), writeContext())

scopes('a project is created once, with its metadata', async ({ on }) => {
  const outcome = await create(on, 'q')
  assert.is(outcome.status, 204)
  assert.match(outcome.commit ?? '', /^[0-9a-f]{40}$/)
  assert.is(await refusal(create(on, 'q')), 'project_exists: Project already exists')
  const metadata = parse(await get(on, projectScope('q'), 'metadata.yaml'))
  const { creationTimestamp, ...rest } = metadata
  assert.equal(rest, { projectName: 'q', isUsingDirectoryStructure: on.format === 2 })
  assert.match(creationTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  assert.ok(Math.abs(Date.parse(creationTimestamp) - Date.now()) < 60_000)
  assert.equal(await paths(on, projectScope('q')), ['/metadata.yaml'])
})

scopes('names that YAML would read as something else stay text', async ({ on }) => {
  for (const name of ['yes', '1.0', 'null', '2026-01-01', "it's", '{a}', '-']) {
    await create(on, name)
    assert.is(parse(await get(on, projectScope(name), 'metadata.yaml')).projectName, name)
  }
})

scopes('updating a project says only whether it is there', async ({ on }) => {
  const update = (project: string) =>
    on.resources.updateProject(projectScope(project).project, writeContext())
  assert.equal(await update('p'), { status: 204 })
  assert.is(await refusal(update('other')), 'project_not_found: Project not found')
})

scopes(
  'a deleted project is gone, deleting it again is fine, and a new one starts empty',
  async ({ on }) => {
    const { project } = projectScope()
    const old = await put(on, projectScope(), { 'a.yaml': 'old' })
    assert.equal(await on.resources.deleteProject(project, writeContext()), { status: 204 })
    assert.equal(await on.resources.deleteProject(project, writeContext()), { status: 204 })
    assert.is(
      await refusal(get(on, projectScope(), 'a.yaml')),
      'project_not_found: Project not found',
    )
    assert.is(
      await refusal(put(on, projectScope(), { x: '' })),
      'project_not_found: Project not found',
    )
    assert.is((await create(on, 'p')).status, 204)
    assert.equal(await paths(on, projectScope()), ['/metadata.yaml'])
    assert.is(await refusal(get(on, stageScope('dev'), 'a')), 'stage_not_found: Stage not found')
    const gone = await refusal(get(on, projectScope(), 'a.yaml', old.commit))
    assert.is(
      gone,
      `commit_not_found: could not check out ${old.commit}: no such commit in project p`,
    )
    const { items } = await on.resources.history(projectScope(), {}, readContext())
    assert.equal(
      items.map(({ message }) => message),
      ['Create project p'],
    )
  },
)

scopes('a stage goes its own way', async ({ on }) => {
  await put(on, projectScope(), { 'shipyard.yaml': 'one', 'd/x': 'x' })
  const outcome = await createStage(on, 'prod')
  assert.is(outcome.status, 204)
  const forked = on.format === 1 ? ['/d/x', '/metadata.yaml', '/shipyard.yaml'] : ['/metadata.yaml']
  assert.equal(await paths(on, stageScope('prod')), forked)
  await put(on, projectScope(), { 'shipyard.yaml': 'two' })
  await put(on, stageScope('prod'), { 'd/x': 'prod' })
  const shipyard = await refusal(get(on, stageScope('prod'), 'shipyard.yaml'))
  assert.is(shipyard, on.format === 1 ? 'done' : 'resource_not_found: Resource not found')
  assert.is(await get(on, stageScope('prod'), 'd/x'), 'prod')
  assert.is(await get(on, projectScope(), 'd/x'), 'x')
  assert.is(await refusal(createStage(on, 'prod')), 'stage_exists: Stage already exists')
})

scopes.inFormat(2, 'a stage that is a folder begins with its metadata alone', async ({ on }) => {
  await put(on, projectScope(), { 'shipyard.yaml': 'one' })
  await createStage(on, 'prod')
  const metadata = parse(await get(on, stageScope('prod'), 'metadata.yaml'))
  const { creationtimestamp, ...rest } = metadata
  assert.equal(rest, { stagename: 'prod' })
  assert.ok(Math.abs(Date.parse(creationtimestamp) - Date.now()) < 60_000)
  const { items } = await on.resources.history(stageScope('prod'), {}, readContext())
  assert.equal(
    items.map(({ message }) => message),
    ['Create stage prod'],
  )
})

scopes('a stage of the name of the default branch is refused', async ({ on }) => {
  const expected = "conflict: main is the project's default branch, so no stage"
  assert.is(await refusal(createStage(on, 'main')), expected)
})

scopes('a stage needs its project, a service its stage', async ({ on }) => {
  const { resources } = on
  const stage = resources.createStage(stageScope('dev', 'other'), writeContext())
  assert.is(await refusal(stage), 'project_not_found: Project not found')
  assert.is(await refusal(createService(on, 'prod', 'x')), 'stage_not_found: Stage not found')
  const service = resources.createService(serviceScope('dev', 'x', 'other'), writeContext())
  assert.is(await refusal(service), 'project_not_found: Project not found')
})

scopes('a deleted stage is gone, and its commits stay readable', async ({ on }) => {
  const written = await put(on, stageScope('dev'), { 'a.yaml': 'dev' })
  const scope = stageScope('dev')
  assert.is((await on.resources.deleteStage(scope, writeContext())).status, 204)
  assert.is(
    await refusal(on.resources.deleteStage(scope, writeContext())),
    'stage_not_found: Stage not found',
  )
  assert.is(await refusal(get(on, scope, 'a.yaml')), 'stage_not_found: Stage not found')
  assert.is(await get(on, scope, 'a.yaml', written.commit), 'dev')
  assert.is((await createStage(on, 'dev')).status, 204)
  assert.equal(await paths(on, scope), ['/metadata.yaml'])
  const main = on.resources.deleteStage(stageScope('main'), writeContext())
  assert.is(await refusal(main), 'stage_not_found: Stage not found')
})

scopes('a service is a folder with metadata, created once and deleted whole', async ({ on }) => {
  const scope = serviceScope('dev', 'orders')
  assert.is((await createService(on, 'dev', 'orders')).status, 204)
  assert.equal(await paths(on, scope), ['/metadata.yaml'])
  const { creationtimestamp, ...rest } = parse(await get(on, scope, 'metadata.yaml'))
  assert.equal(rest, { servicename: 'orders' })
  assert.ok(Math.abs(Date.parse(creationtimestamp) - Date.now()) < 60_000)
  assert.is(
    await refusal(createService(on, 'dev', 'orders')),
    'service_exists: Service already exists',
  )
  await put(on, scope, { 'a/b': '' })
  assert.is((await on.resources.deleteService(scope, writeContext())).status, 204)
  const again = on.resources.deleteService(scope, writeContext())
  assert.is(await refusal(again), 'service_not_found: Service not found')
  assert.equal(await paths(on, stageScope('dev')), ['/carts/metadata.yaml', '/metadata.yaml'])
})

scopes('a service does not take the place of a file', async ({ on }) => {
  await put(on, stageScope('dev'), { jmeter: 'a file' })
  const refused = await refusal(createService(on, 'dev', 'jmeter'))
  assert.is(refused, 'conflict: service jmeter cannot be created: jmeter is a file of the stage')
})

scopes('a file of a service is a file of its stage too', async ({ on }) => {
  await put(on, serviceScope('dev', 'carts'), { 'jmeter/load.jmx': 'load' })
  assert.is(await get(on, stageScope('dev'), 'carts/jmeter/load.jmx'), 'load')
  await remove(on, stageScope('dev'), 'carts/jmeter/load.jmx')
  assert.equal(await paths(on, serviceScope('dev', 'carts')), ['/metadata.yaml'])
})

scopes('stages are listed in order, without the default branch, page by page', async ({ on }) => {
  for (const stage of ['prod', 'a', 'ä', 'Z', 'hardening']) await createStage(on, stage)
  const list = (page: object) =>
    on.resources.listStages(projectScope().project, page, readContext())
  const all = await list({})
  assert.equal(namesOf(all), ['Z', 'a', 'dev', 'hardening', 'prod', 'ä'])
  assert.equal([all.totalCount, all.nextPageKey], [6, '0'])
  for (const { createdAtMs } of all.items)
    assert.ok(Math.abs((createdAtMs ?? 0) - Date.now()) < 60_000)
  const first = await list({ pageSize: 4 })
  assert.equal([namesOf(first).length, first.nextPageKey], [4, '4'])
  const second = await list({ pageSize: 4, pageKey: '4' })
  assert.equal([namesOf(second), second.nextPageKey], [['prod', 'ä'], '0'])
  const other = on.resources.listStages(projectScope('other').project, {}, readContext())
  assert.is(await refusal(other), 'project_not_found: Project not found')
})

scopes('services are the folders that hold metadata', async ({ on }) => {
  await put(on, stageScope('dev'), { 'helm/x/Chart.yaml': 'x', 'job/config.yaml': '' })
  await createService(on, 'dev', 'a-b')
  const before = await createService(on, 'dev', 'a')
  await on.resources.deleteService(serviceScope('dev', 'a'), writeContext())
  const list = (more: object) => on.resources.listServices(stageScope('dev'), {}, readContext(more))
  const now = await list({})
  assert.equal([namesOf(now), now.totalCount], [['a-b', 'carts'], 2])
  assert.ok(Math.abs((now.items[0]?.createdAtMs ?? 0) - Date.now()) < 60_000)
  assert.equal(namesOf(await list({ at: before.commit })), ['a', 'a-b', 'carts'])
  const missing = on.resources.listServices(stageScope('prod'), {}, readContext())
  assert.is(await refusal(missing), 'stage_not_found: Stage not found')
})

scopes('metadata that nobody can read does not break a list', async ({ on }) => {
  await put(on, serviceScope('dev', 'carts'), { 'metadata.yaml': '{{{' })
  const go = { 'metadata.yaml': 'CreationTimestamp: 2022-03-04 05:06:07.123456789 +0000 UTC\n' }
  await createService(on, 'dev', 'go')
  await put(on, serviceScope('dev', 'go'), go)
  const { items } = await on.resources.listServices(stageScope('dev'), {}, readContext())
  const createdAtMs = Date.UTC(2022, 2, 4, 5, 6, 7, 123)
  assert.equal(items, [{ name: 'carts' }, { name: 'go', createdAtMs }])
})

scopes('projects are listed without the deleted ones, each page from a name on', async ({ on }) => {
  const names = Array.from({ length: 45 }, (_, n) => `x${String(n).padStart(2, '0')}`)
  for (const name of names) await create(on, name)
  const gone = names.filter((_, n) => n % 3 === 0)
  for (const name of gone) {
    await on.resources.deleteProject(projectScope(name).project, writeContext())
  }
  const expected = ['p', ...names.filter((name) => !gone.includes(name))]
  for (const pageSize of [1, 7, 20, 31, 32, 100]) {
    const listed: string[] = []
    let pageKey: string | undefined
    do {
      const request = pageKey === undefined ? { pageSize } : { pageSize, pageKey }
      const page = await on.resources.listProjects(request, readContext())
      assert.ok(page.items.length <= pageSize)
      for (const { createdAtMs } of page.items) assert.type(createdAtMs, 'number')
      listed.push(...namesOf(page))
      pageKey = page.nextPageKey
    } while (pageKey !== '0')
    assert.equal(listed, expected, `pages of ${pageSize}`)
  }
  const none = await on.resources.listProjects({ pageSize: 0 }, readContext())
  assert.equal([none.items, none.nextPageKey], [[], '0'])
  const bad = on.resources.listProjects({ pageKey: 'not base64!' }, readContext())
  assert.is(await refusal(bad), 'invalid_request: invalid nextPageKey')
})

scopes.inFormat(
  1,
  'so many stages that an entry could not name them all, or not delete one, are refused',
  async ({ on }) => {
    const { project } = projectScope()
    const name = (n: number) => `${'x'.repeat(239)}${n}`
    await on.bench.repositories.write(
      project,
      request(async (draft: Draft) => {
        const tip = draft.refs.get('refs/heads/main')
        for (let n = 0; n < 110; n++) if (tip) draft.setBranch(name(n), tip)
        return { status: 200 }
      }),
    )
    const roomBytes = async () => {
      const { value } = await on.bench.repositories.read(
        project,
        async ({ refs }) =>
          refListSizeBytes(new Map([...refs, ['refs/meta/transaction', '' as Oid]])),
        { timeoutMs: 5000 },
      )
      return refListMaxBytes - value
    }
    const createOf = (sizeBytes: number) => {
      const name = 's'.repeat(sizeBytes - 42 - 'refs/heads/'.length)
      return refusal(createStage(on, name))
    }
    const deletedBytes = 'refs/meta/deleted'.length + 42
    const room = await roomBytes()
    assert.is((await createOf(room - deletedBytes + 1)).split(':')[0], 'conflict')
    assert.is(await createOf(room - deletedBytes), 'done')
    assert.is(await roomBytes(), deletedBytes)
    assert.is((await on.resources.deleteStage(stageScope('dev'), writeContext())).status, 204)
  },
)

scopes('a stage does not stand where an imported branch needs a folder', async ({ on }) => {
  await on.bench.repositories.write(
    projectScope().project,
    request(async (draft: Draft) => {
      const tip = draft.refs.get('refs/heads/main')
      if (tip) draft.setBranch('feature/x', tip)
      return { status: 200 }
    }),
  )
  // The repository refuses it as well; this sentence names what was asked for.
  assert.match(
    await refusal(createStage(on, 'feature')),
    /^conflict: refs.heads.feature cannot stand/,
  )
  const { items } = await on.resources.listStages(projectScope().project, {}, readContext())
  assert.equal(
    items.map((item) => item.name),
    ['dev'],
  )
})

scopes('writers on two replicas are all heard, each in a commit of its own', async ({ on }) => {
  const other = { ...on, resources: resourcesOver(on.bench.another()) }
  const scope = serviceScope('dev', 'carts')
  const writes = Array.from({ length: 40 }, (_, n) =>
    put(n % 2 === 0 ? on : other, scope, { [`f${n}`]: `${n}`, [`d/f${n}`]: `${n}` }),
  )
  const outcomes = await Promise.all(writes)
  assert.is(new Set(outcomes.map(({ commit }) => commit)).size, 40)
  const listed = await paths(other, scope)
  assert.is(listed.length, 81)
  const { items } = await on.resources.history(scope, { pageSize: 100 }, readContext())
  assert.is(items.length, 41)
})

scopes.run()
