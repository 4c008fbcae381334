import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Oid } from '../../src/git/objects.ts'
import { StoreError } from '../../src/store/store.ts'
import { writeContext } from '../resources/fixture.ts'
import { projectName } from '../support/repositories.ts'
import { requireServers } from '../support/servers.ts'
import { openTransfers, readSlo, type Transfers } from './fixture.ts'
import { branchProject, commitFiles, directoryProject, git, refsOf } from './keptn-repositories.ts'

const test = suite<{ on: Transfers }>('how an import lands')
test.before.each(async (context) => {
  context.on = await openTransfers()
})
test.after.each(({ on }) => on.close())
const whenAble = requireServers('how an import lands', 'git') ? test : test.skip

whenAble(
  'an export goes into no folder that has something in it, and leaves nothing of what is not there',
  async ({ on }) => {
    branchProject(join(on.folder, 'sockshop'))
    await on.bring(join(on.folder, 'sockshop'))
    const refused = async (to: string, project?: string) =>
      on.take(to, project).then(
        () => 'done',
        (error) => error.message,
      )
    assert.match(await refused(join(on.folder, 'sockshop')), /is not empty$/)
    assert.is(await refused(join(on.folder, 'out'), 'nobody'), 'there is no project nobody')
    assert.equal(
      readdirSync(on.folder).filter((name) => name.startsWith('out')),
      [],
    )
  },
)

whenAble(
  'a project that exists is not touched; a deleted one goes on in the same log',
  async ({ on }) => {
    const volume = branchProject(join(on.folder, 'sockshop'))
    await on.bring(volume)
    assert.is(await on.refused(volume), 'project sockshop exists already')
    await on.resources.deleteProject(projectName('sockshop'), writeContext())
    const old = git(volume, ['rev-parse', 'dev'])
    commitFiles(volume, { 'carts/slo.yaml': 'objectives: [anew]\n' }, 'anew')
    await on.bring(volume)
    assert.is(await readSlo(on, 'prod'), 'objectives: [anew]\n')
    assert.is(await readSlo(on, 'dev', old), 'objectives: [dev, 2]\n')
    on.rebuilt((stock) => {
      assert.is(refsOf(stock.dir), refsOf(volume))
      // A tag that is an object of its own is kept by the commit that it stands for.
      const parents = stock.text(['rev-list', '--parents', '-n1', 'refs/meta/deleted']).split(' ')
      assert.is(parents.length - 1, 4, 'main, dev, prod and the light tag')
    })
  },
)

whenAble('of two imports at once one wins, and the other is refused', async ({ on }) => {
  const one = branchProject(join(on.folder, 'one'))
  const two = directoryProject(join(on.folder, 'two'))
  const other = { ...on.target, repositories: on.bench.another() }
  const first = on.refused(one)
  on.target = other
  const answers = await Promise.all([first, on.refused(two)])
  assert.equal(answers.sort(), ['done', 'project sockshop exists already'])
  const out = await on.take(join(on.folder, 'out.git'))
  assert.ok([one, two].some((source) => refsOf(source) === refsOf(out)))
})

whenAble('nothing is written by a dry run, nor where a check fails', async ({ on }) => {
  const volume = branchProject(join(on.folder, 'sockshop'))
  const told = await on.bring(volume, { dryRun: true })
  assert.equal([told.branches, told.tags, told.commits, told.packs], [3, 2, 7, 1])
  on.target = { ...on.target, allow: async () => 'a replica cannot read it' }
  assert.is(await on.refused(volume), 'it has format 1, and a replica cannot read it')
  on.target = { ...on.target, allow: async () => null, isAllowed: () => false }
  assert.is(await on.refused(volume, { dryRun: true }), 'done')
  assert.is(await on.refused(volume), 'format 1 is not allowed any more')
  assert.not.ok(readdirSync(join(on.bench.folder, 'store/projects/sockshop')).includes('log'))
})

whenAble(
  'an entry is written once every pack was acknowledged, else not at all',
  async ({ on }) => {
    const volume = branchProject(join(on.folder, 'sockshop'))
    const { store } = on.target
    const log = join(on.bench.folder, 'store/projects/sockshop/log')
    let failures = 0
    const failing = new StoreError('away', { definite: false, reason: 'timeout' })
    on.target = {
      ...on.target,
      store: {
        ...store,
        async put(...words) {
          assert.not.ok(existsSync(log))
          if (failures++ < 3) throw failing
          return store.put(...words)
        },
      },
    }
    await on.bring(volume)
    assert.is(failures, 3 + 2, 'a pack and its index')
    on.target = {
      ...on.target,
      store: {
        ...store,
        put: (...words) =>
          words[0].endsWith('.pack') ? Promise.reject(new Error('full')) : store.put(...words),
      },
    }
    const other = projectName('other')
    assert.is(await on.bring(volume, { project: other }).catch((error) => error.message), 'full')
    assert.not.ok(existsSync(join(on.bench.folder, 'store/projects/other')))
  },
)

whenAble(
  'who starts reads the index of a pack instead of the pack, and does without it as well',
  async ({ on }) => {
    await on.bring(branchProject(join(on.folder, 'sockshop')))
    const reads: string[] = []
    const counting = {
      ...on.bench.store,
      get: (...words: Parameters<typeof on.bench.store.get>) => {
        const [key, { range }] = words
        if (/\.(?:pack|idx)$/.test(key))
          reads.push(`${key.split('.').pop()} ${range ? 'part' : 'whole'}`)
        return on.bench.store.get(...words)
      },
    }
    const readAnew = async () => {
      const repositories = on.bench.another({ store: counting })
      const { value } = await repositories.read(
        projectName('sockshop'),
        (view) => view.readCommit(view.refs.get('refs/heads/dev') as Oid),
        { timeoutMs: 5_000 },
      )
      assert.is(value.message, 'Updated resource\n')
    }
    await readAnew()
    assert.equal(reads, ['idx whole', 'pack part'])
    rmSync(join(on.bench.folder, 'store/projects/sockshop/checkpoints'), { recursive: true })
    await readAnew()
    assert.equal(reads.slice(2, 4), ['idx whole', 'pack whole'])
  },
)

test.run()
