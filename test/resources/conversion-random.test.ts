/**
 * Random histories of one project, with conversions both ways in between, beside a model that knows nothing of Git: a project and
 * its stages are maps of files. What each commit held is remembered, and asked for again after everything else.
 */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parse } from 'yaml'
import type { Oid } from '../../src/git/objects.ts'
import type { Resources, Scope } from '../../src/resources/resources.ts'
import {
  convert,
  type Fixture,
  get,
  historyOf,
  look,
  namesOf,
  openFixture,
  paths,
  projectScope,
  put,
  readContext,
  refusal,
  remove,
  resourcesOver,
  serviceScope,
  stageScope,
  writeContext,
} from './fixture.ts'
import {
  anyStep,
  archiveOf,
  copyOf,
  type Files,
  play,
  type State,
  type Step,
  scopeOf,
} from './model.ts'

const random = suite('random histories across formats')

/** What a commit held: the files of one branch, or the project with all its stages. */
type Held = { format: 1; files: Files } | ({ format: 2 } & State)

/** Does a step for real. */
async function act(on: Fixture, state: State, step: Step) {
  const { resources } = on
  const { project } = projectScope()
  switch (step.kind) {
    case 'put':
      return put(on, scopeOf(state, step.scope), step.files)
    case 'chart':
      return put(on, scopeOf(state, step.scope), { 'helm/x.tgz': await archiveOf(step.version) })
    case 'remove':
      return remove(on, scopeOf(state, step.scope), step.path)
    case 'createStage':
      return resources.createStage({ project, stage: stageScope(step.stage).stage }, writeContext())
    case 'deleteStage':
      return resources.deleteStage({ project, stage: stageScope(step.stage).stage }, writeContext())
    case 'createService':
      return resources.createService(serviceScope(step.stage, step.service), writeContext())
    case 'deleteService':
      return resources.deleteService(serviceScope(step.stage, step.service), writeContext())
    case 'convert':
      return convert(on, state.format === 1 ? 2 : 1)
  }
}

/** Asks for everything that a state holds, and compares. */
async function check(resources: Resources, held: State, at?: Oid): Promise<void> {
  await checkBase(resources, projectScope(), held.project, at)
  const metadata = parse(await get({ resources } as Fixture, projectScope(), 'metadata.yaml', at))
  assert.is(metadata.isUsingDirectoryStructure, held.format === 2)
  for (const [stage, files] of held.stages) {
    await checkBase(resources, stageScope(stage), files, at)
  }
  if (at !== undefined) return
  const stages = await resources.listStages(projectScope().project, {}, readContext())
  assert.equal(namesOf(stages), [...held.stages.keys()].sort())
}

async function checkBase(resources: Resources, scope: Scope, files: Files, at?: Oid) {
  const on = { resources } as Fixture
  const hidden = (path: string) => path.split('/').includes('.keptn-stages')
  const shown = (prefix: string) =>
    [...files.keys()]
      .filter((path) => path.startsWith(prefix))
      .map((path) => path.slice(prefix.length))
      .filter((path) => !hidden(path))
      .map((path) => `/${path}`)
  assert.equal((await paths(on, scope, at)).sort(), shown('').sort())
  for (const [path, content] of files) {
    if (path === 'metadata.yaml' && scope.stage === undefined) continue
    assert.is(await get(on, scope, path, at), content, path)
  }
  const { project, stage } = scope
  if (stage === undefined) return
  const context = readContext(at === undefined ? {} : { at })
  const listed = await resources.listServices({ project, stage }, {}, context)
  const services = [...new Set([...files.keys()].map((path) => path.split('/')[0] as string))]
    .filter((name) => files.has(`${name}/metadata.yaml`))
    .sort()
  assert.equal(namesOf(listed), services)
  for (const service of services) {
    const below = serviceScope(stage, service)
    assert.equal((await paths(on, below, at)).sort(), shown(`${service}/`).sort())
    assert.is(
      await get(on, below, 'metadata.yaml', at),
      files.get(`${service}/metadata.yaml`),
      `${service}/metadata.yaml`,
    )
  }
}

/** Histories of all that a stage has, and of the project's files. */
async function histories(on: Fixture, { project, stages }: State) {
  const shown: Record<string, string[]> = {}
  for (const path of project.keys()) {
    if (path !== 'metadata.yaml') shown[path] = await historyOf(on, projectScope(), path)
  }
  for (const [stage, files] of stages) {
    shown[`${stage}:`] = await historyOf(on, stageScope(stage))
    for (const path of files.keys()) {
      shown[`${stage}:${path}`] = await historyOf(on, stageScope(stage), path)
    }
  }
  return shown
}

/** What the tips hold now, by commit. */
async function remember(on: Fixture, state: State, held: Map<Oid, Held>): Promise<void> {
  const copy = copyOf(state)
  const refs = await look(on, async (view) => view.refs)
  for (const [name, oid] of refs) {
    if (!name.startsWith('refs/heads/')) continue
    const branch = name.slice('refs/heads/'.length)
    const files = branch === 'main' ? copy.project : copy.stages.get(branch)
    if (state.format === 2) assert.is(name, 'refs/heads/main')
    if (files === undefined) throw new Error(`${name} is no stage`)
    held.set(oid, state.format === 2 ? { ...copy, format: 2 } : { format: 1, files })
  }
}

async function run(steps: readonly Step[], format: 1 | 2): Promise<void> {
  const on = await openFixture(format)
  try {
    const state: State = { format, project: new Map(), stages: new Map() }
    const held = new Map<Oid, Held>()
    state.project.set('metadata.yaml', await get(on, projectScope(), 'metadata.yaml'))
    const dev: Files = new Map()
    for (const path of ['metadata.yaml', 'carts/metadata.yaml']) {
      dev.set(path, await get(on, stageScope('dev'), path))
    }
    state.stages.set('dev', dev)
    await remember(on, state, held)
    for (const step of steps) {
      const before = step.kind === 'convert' ? await histories(on, state) : null
      const answer = (await refusal(act(on, copyOf(state), step))).split(':')[0]
      assert.is(answer, play(state, step), JSON.stringify(step))
      await learn(on, state)
      await check(on.resources, state)
      if (before !== null) assert.equal(await histories(on, state), before)
      await remember(on, state, held)
    }
    for (const replica of [on.resources, resourcesOver(on.bench.another())]) {
      await check(replica, state)
      for (const [at, then] of held) {
        if (then.format === 2) await check(replica, then, at)
        else await checkBase(replica, stageScope('any'), then.files, at)
      }
    }
  } finally {
    await on.close()
  }
}

/** Contents that hold the time are read once, after they were made. */
async function learn(on: Fixture, { project, stages }: State): Promise<void> {
  project.set('metadata.yaml', await get(on, projectScope(), 'metadata.yaml'))
  for (const [stage, files] of stages) {
    for (const [path, content] of files) {
      if (content === '?') files.set(path, await get(on, stageScope(stage), path))
    }
  }
}

random('what is written is read, at every commit and in either format', async () => {
  const steps = fc.array(anyStep, { minLength: 5, maxLength: 30, size: 'max' })
  await fc.assert(fc.asyncProperty(steps, fc.constantFrom(1 as const, 2 as const), run), {
    numRuns: 25,
  })
})

random.run()
