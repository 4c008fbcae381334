/** From format 1 to format 2 and back: what stays as it was, and what becomes of the repository. */
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Oid } from '../../src/git/objects.ts'
import { decodeEntry } from '../../src/repository/entry.ts'
import { finish, replay } from '../git/replay.ts'
import { type StockGit, stockGit } from '../git/stock-git.ts'
import { requireServers } from '../support/servers.ts'
import {
  convert,
  type Fixture,
  get,
  historyOf,
  look,
  namesOf,
  openFixture,
  plant,
  projectScope,
  put,
  readContext,
  refsOf,
  refusal,
  remove,
  resourcesOver,
  serviceScope,
  stageScope,
  tipOf,
  writeContext,
} from './fixture.ts'
import { portrait, portraitAt, scopesOf } from './portrait.ts'

const conversions = suite<{ on: Fixture }>('stages become folders, and branches again')

conversions.before.each(async (context) => {
  context.on = await openFixture()
})
conversions.after.each(({ on }) => on.close())

const dev = stageScope('dev')
const prod = stageScope('prod')
const carts = serviceScope('dev', 'carts')
const { project } = projectScope()

/** A project with two stages that went their own ways, and every commit of it. */
async function furnish(on: Fixture): Promise<Oid[]> {
  const outcomes = [
    await put(on, projectScope(), { 'shipyard.yaml': 'one', 'd/x': 'x' }),
    await on.resources.createStage(prod, writeContext()),
    await put(on, prod, { 'shipyard.yaml': 'prod', '.keptn-stages/odd': 'mine', 'd/y': 'y' }),
    await on.resources.createService(serviceScope('prod', 'carts'), writeContext()),
    await put(on, carts, { 'slo.yaml': 'slo', 'helm/carts/Chart.yaml': 'name: carts\n' }),
    await put(on, projectScope(), { 'shipyard.yaml': 'two' }),
    await remove(on, prod, 'd/x'),
  ]
  return outcomes.map(({ commit }) => commit as Oid)
}

const hasGit = requireServers('conversions, rebuilt by git', 'git')

/** Has stock git rebuild the repository, and find no fault. */
function rebuild(on: Fixture, look: (git: StockGit) => void = () => {}): void {
  if (!hasGit) return
  const git = stockGit()
  try {
    replay(git, join(on.bench.folder, 'store', 'projects', 'p'), () => {}, 50)
    finish(git, 'main')
    look(git)
  } finally {
    git.remove()
  }
}

conversions(
  'everything is answered as before: now, at every commit, on any replica',
  async ({ on }) => {
    const commits = await furnish(on)
    await on.resources.createStage(stageScope('bare'), writeContext())
    await remove(on, stageScope('bare'), 'metadata.yaml')
    for (const path of ['d', 'shipyard.yaml']) await remove(on, stageScope('bare'), path)
    const scopes = await scopesOf(on.resources)
    const before = await portrait(on.resources)
    const asOf = () => Promise.all(commits.map((at) => portraitAt(on.resources, at, scopes)))
    const older = await asOf()
    for (const format of [2, 1, 2] as const) {
      assert.is((await convert(on, format)).status, 200)
      for (const resources of [on.resources, resourcesOver(on.bench.another())]) {
        assert.equal(await portrait(resources), before)
      }
      assert.equal(await asOf(), older)
      const at = await tipOf(on)
      if (format === 2) {
        const { stages: _, ...present } = before
        assert.equal(await portraitAt(on.resources, at, scopes), present)
      }
      assert.is(await get(on, prod, '.keptn-stages/odd'), 'mine')
      const hidden = await refusal(get(on, projectScope(), '.keptn-stages/dev/carts/slo.yaml'))
      assert.is(hidden, 'resource_not_found: Resource not found')
    }
  },
)

conversions(
  'folders come in one merge of all stages, and no branch of a stage stays',
  async ({ on }) => {
    await furnish(on)
    const tips = [await tipOf(on), await tipOf(on, 'dev'), await tipOf(on, 'prod')]
    await convert(on, 2)
    assert.equal(await refsOf(on), ['refs/heads/main'])
    await look(on, async (now) => {
      const commit = await now.readCommit(now.refs.get('refs/heads/main') as Oid)
      assert.equal(commit.parents, tips)
      assert.match(commit.message, /^Migrate to format 2/)
      assert.match(commit.message, `\n\nStage: dev ${tips[1]}\nStage: prod ${tips[2]}\n`)
      const root = await now.readTree(commit.tree)
      const stages = await now.readTree(root.get('.keptn-stages')?.oid as Oid)
      assert.equal([...stages.keys()], ['dev', 'prod'])
      for (const [index, name] of ['dev', 'prod'].entries()) {
        const { tree } = await now.readCommit(tips[index + 1] as Oid)
        assert.is(stages.get(name)?.oid, tree)
      }
    })
  },
)

conversions(
  'branches come back as one commit each, on top of the time as folders',
  async ({ on }) => {
    await furnish(on)
    await convert(on, 2)
    await put(on, prod, { 'd/z': 'z' })
    const tip = await tipOf(on)
    await convert(on, 1)
    assert.equal(await refsOf(on), ['refs/heads/dev', 'refs/heads/main', 'refs/heads/prod'])
    const messages = new Set<string>()
    await look(on, async (now) => {
      for (const oid of now.refs.values()) {
        const commit = await now.readCommit(oid)
        assert.equal(commit.parents, [tip])
        assert.match(commit.message, /^Migrate to format 1/)
        messages.add(commit.message)
      }
      assert.is(messages.size, 3)
      const main = await now.readCommit(now.refs.get('refs/heads/main') as Oid)
      assert.not((await now.readTree(main.tree)).has('.keptn-stages'))
    })
    assert.is(await get(on, prod, 'd/z'), 'z')
    await put(on, prod, { 'd/z': 'zz' })
    assert.is(await get(on, prod, 'd/z'), 'zz')
  },
)

conversions(
  'an upgrade is an entry of its own, and says who may read and write',
  async ({ on }) => {
    await furnish(on)
    await convert(on, 2)
    await put(on, prod, { 'd/z': 'z' })
    await convert(on, 1)
    const said = []
    const { objects } = await on.bench.store.list({ prefix: 'projects/p/log/', timeoutMs: 5_000 })
    for (const [index, { key }] of objects.entries()) {
      const object = await on.bench.store.get(key, { timeoutMs: 5_000 })
      if (object === null || object === 'not-modified') throw new Error(`${key} is gone`)
      const { transaction } = decodeEntry(index + 1, object.body)
      const { kind, format, minReader, minWriter, requests } = transaction
      said.push([kind, format, minReader, minWriter, requests.length])
    }
    assert.equal(said.slice(-3), [
      ['upgrade', 2, 2, 2, 1],
      ['commit', 2, 2, 2, 1],
      ['upgrade', 1, 1, 1, 1],
    ])
  },
)

conversions('converting what is converted, or deleted, changes nothing', async ({ on }) => {
  const seq = () => look(on, async (now) => now.seq)
  await convert(on, 2)
  const converted = await seq()
  await convert(on, 2)
  assert.is(await seq(), converted)
  await on.resources.deleteProject(project, writeContext())
  await convert(on, 1)
  assert.is(await seq(), converted + 1)
})

conversions(
  'a history leads through both conversions, into the branch that a stage was',
  async ({ on }) => {
    const step = (scope: Parameters<typeof put>[1], content: string, message: string) =>
      put(on, scope, { 'a.yaml': content }, { message })
    // Trees that are the same tell nobody which stage was which.
    await on.resources.createStage(prod, writeContext())
    await remove(on, dev, 'carts')
    await step(dev, '1', 'dev 1')
    await step(prod, '1', 'prod 1')
    await step(projectScope(), 'p', 'project 1')
    const same = ['Create project p']
    const histories = async () => ({
      dev: await historyOf(on, dev, 'a.yaml'),
      prod: await historyOf(on, prod, 'a.yaml'),
      project: await historyOf(on, projectScope(), 'a.yaml'),
      stage: await historyOf(on, prod),
    })
    const before = await histories()
    assert.equal(before, {
      dev: ['dev 1'],
      prod: ['prod 1'],
      project: ['project 1'],
      stage: ['prod 1', ...same],
    })
    for (const format of [2, 1, 2] as const) {
      await convert(on, format)
      assert.equal(await histories(), before)
    }
    await step(prod, '2', 'prod 2')
    await step(dev, '2', 'dev 2')
    await on.resources.createStage(stageScope('new'), writeContext())
    const later = await histories()
    assert.equal(later, {
      dev: ['dev 2', 'dev 1'],
      prod: ['prod 2', 'prod 1'],
      project: ['project 1'],
      stage: ['prod 2', 'prod 1', ...same],
    })
    assert.equal(await historyOf(on, stageScope('new')), ['Create stage new'])
    const whole = await historyOf(on, projectScope())
    assert.equal(whole, [
      'Migrate to format 2: stages are folders',
      'Migrate to format 1: stages are branches',
      'Migrate to format 2: stages are folders',
      'project 1',
      ...same,
    ])
  },
)

conversions('a commit message does not lead a history astray', async ({ on }) => {
  const other = await tipOf(on, 'dev')
  await convert(on, 2)
  await put(on, dev, { 'a.yaml': '1' }, { message: 'between' })
  await put(on, dev, { 'a.yaml': '2' }, { message: `last\n\nStage: dev ${other}\n` })
  assert.equal(await historyOf(on, dev, 'a.yaml'), ['last', 'between'])
})

conversions(
  'a stage at a commit from before it was made, or after it went, is not found',
  async ({ on }) => {
    await convert(on, 2)
    const before = await tipOf(on)
    const { commit } = await on.resources.createStage(prod, writeContext())
    await put(on, prod, { 'a.yaml': 'prod' })
    const with_ = await tipOf(on)
    const gone = await on.resources.deleteStage(prod, writeContext())
    assert.is(await get(on, prod, 'a.yaml', with_), 'prod')
    assert.is(
      await refusal(get(on, prod, 'a.yaml', commit)),
      'resource_not_found: Resource not found',
    )
    for (const at of [before, gone.commit]) {
      const refused = await refusal(get(on, prod, 'a.yaml', at))
      assert.is(refused, 'stage_not_found: Stage not found')
    }
  },
)

conversions(
  'so many stages fit, in folders as in branches, and one more is refused',
  async ({ on }) => {
    // One-letter names make the most stages; an entry must name all tips, and all commits of a way back.
    const alphabet = [...'abcdefghijklmnopqrstuvwxyz0123456789_']
    const names = alphabet.flatMap((a) => alphabet.map((b) => `${a}${b}`)).slice(0, 580)
    await plant(on, (draft) => {
      for (const [index, name] of names.entries()) {
        const oid = draft.writeBlob(Buffer.from(`${index}`))
        const tree = draft.writeTree([['n', { mode: '100644', oid }]])
        draft.commit(name, { tree, message: 'planted' })
      }
    })
    const list = async () =>
      namesOf(await on.resources.listStages(project, { pageSize: 1_000 }, readContext()))
    const before = await list()
    assert.is(before.length, names.length + 1)
    let refused = 'done'
    await convert(on, 2)
    assert.equal(await list(), before)
    for (let n = 0; refused === 'done' && n < 100; n++) {
      const scope = stageScope(`x${n}`)
      refused = await refusal(on.resources.createStage(scope, writeContext()))
      if (refused === 'done') before.push(scope.stage)
    }
    assert.match(refused, /^conflict: the project has too many stages/)
    for (const format of [1, 2] as const) {
      assert.is((await convert(on, format)).status, 200)
      assert.equal([...(await list())].sort(), [...before].sort())
      assert.is(await get(on, stageScope(names[579] ?? ''), 'n'), '579')
    }
    const packs = await on.bench.store.list({ prefix: 'projects/p/packs/', timeoutMs: 5_000 })
    assert.ok(packs.objects.length > 0, 'nothing was too large for an entry')
    rebuild(on)
  },
)

conversions('a write that came first is in what is converted', async ({ on }) => {
  const other = { ...on, resources: resourcesOver(on.bench.another()) }
  const writes = Array.from({ length: 20 }, (_, n) =>
    put(n % 2 === 0 ? on : other, n % 3 === 0 ? dev : carts, { [`f${n}`]: `${n}` }),
  )
  const turns = ([2, 1, 2] as const).map((format) => convert(on, format))
  for (const { status } of await Promise.all([...writes, ...turns])) assert.ok(status < 300)
  for (let n = 0; n < 20; n++) {
    assert.is(await get(other, n % 3 === 0 ? dev : carts, `f${n}`), `${n}`)
  }
})

conversions('stock git rebuilds every step, and finds no fault', async ({ on }) => {
  await furnish(on)
  await on.resources.createStage(stageScope('bare'), writeContext())
  for (const path of ['metadata.yaml', 'd', 'shipyard.yaml']) {
    await remove(on, stageScope('bare'), path)
  }
  for (const format of [2, 1, 2] as const) {
    await convert(on, format)
    await put(on, prod, { 'd/y': `in format ${format}` })
    rebuild(on, (git) => {
      const file = format === 2 ? 'main:.keptn-stages/prod/d/y' : 'prod:d/y'
      assert.is(git.text(['show', file]), `in format ${format}`)
      const branches = git.text(['for-each-ref', '--format=%(refname:short)', 'refs/heads'])
      const expected = format === 2 ? ['main'] : ['bare', 'dev', 'main', 'prod']
      assert.equal(branches.trim().split('\n'), expected)
    })
  }
})

conversions.run()
