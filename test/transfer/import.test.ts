import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Oid } from '../../src/git/objects.ts'
import { parseResourcePath } from '../../src/resources/paths.ts'
import {
  convert,
  readContext,
  serviceScope,
  stageScope,
  writeContext,
} from '../resources/fixture.ts'
import { projectName } from '../support/repositories.ts'
import { requireServers } from '../support/servers.ts'
import { openTransfers, type Transfers } from './fixture.ts'
import {
  bareOf,
  branchProject,
  commitFiles,
  directoryProject,
  git,
  refsOf,
} from './keptn-repositories.ts'

const test = suite<{ on: Transfers }>('import and export')
test.before.each(async (context) => {
  context.on = await openTransfers()
})
test.after.each(({ on }) => on.close())
const whenAble = requireServers('import and export', 'git') ? test : test.skip

const carts = (stage: string) => serviceScope(stage, 'carts', 'sockshop')
const slo = parseResourcePath('slo.yaml')

async function read({ resources }: Transfers, stage: string, at?: string): Promise<string> {
  const context = readContext(at === undefined ? {} : { at: at as Oid })
  return (await resources.readFile(carts(stage), slo, context)).content.toString()
}

async function write({ resources }: Transfers, stage: string, content: string): Promise<string> {
  const files = [{ path: slo, content: Buffer.from(content) }]
  const { status, commit } = await resources.writeFiles(carts(stage), files, 200, writeContext())
  assert.is(status, 200)
  return commit as string
}

const shapes = [
  { format: 1, make: branchProject, defaultBranch: 'main' },
  { format: 2, make: directoryProject, defaultBranch: 'master' },
] as const

for (const { format, make, defaultBranch } of shapes) {
  whenAble(
    `a project of format ${format}, from every kind of source: the same refs, by stock git too`,
    async ({ on }) => {
      const volume = make(join(on.folder, 'sockshop'))
      const bare = bareOf(volume, join(on.folder, 'bare.git'))
      git(volume, ['bundle', 'create', '--quiet', '../all.bundle', '--all'])
      git(on.folder, ['clone', '--quiet', bare, 'clone'])
      const clone = join(on.folder, 'clone')
      const sources = {
        'a-volume': { from: volume, kind: 'clone' },
        'a-bare': { from: bare, kind: 'bare repository' },
        'a-bundle': { from: join(on.folder, 'all.bundle'), kind: 'bundle' },
        'a-clone': { from: clone, kind: 'clone', remote: 'origin' },
      }
      for (const [name, { from, kind, ...more }] of Object.entries(sources)) {
        const imported = await on.bring(from, { project: projectName(name), ...more })
        assert.equal(
          [imported.kind, imported.format, imported.defaultBranch, imported.stages],
          [kind, format, defaultBranch, ['dev', 'prod']],
          name,
        )
        const rebuilt = on.rebuilt((stock) => refsOf(stock.dir), defaultBranch, name)
        assert.is(rebuilt, refsOf(bare), name)
      }
    },
  )

  whenAble(
    `after it, in format ${format}: reads at old commits, history, writes, and the way to the other format and back`,
    async ({ on }) => {
      const volume = make(join(on.folder, 'sockshop'))
      const old = git(volume, ['rev-parse', format === 1 ? 'dev~1' : 'HEAD~4'])
      await on.bring(bareOf(volume, join(on.folder, 'bare.git')))
      assert.is(await read(on, 'prod'), 'objectives: [prod, 2]\n')
      assert.is(
        await read(on, 'dev', old),
        'objectives: [dev]\n'.replace(']', format === 1 ? ']' : ', 2]'),
      )
      const history = await on.resources.history(
        carts('dev'),
        { pageSize: 10, path: slo },
        readContext(),
      )
      assert.is(history.items.length, 2)
      const [item] = (await on.resources.listProjects({ pageSize: 10 }, readContext())).items
      assert.is(item?.name, 'sockshop')
      const commit = await write(on, 'prod', 'objectives: [new]\n')
      for (const next of format === 1 ? ([2, 1] as const) : ([1, 2] as const)) {
        assert.is((await convert(on, next, 'sockshop')).status, 200)
        assert.is(await read(on, 'prod'), 'objectives: [new]\n')
        assert.is(await read(on, 'dev'), 'objectives: [dev, 2]\n')
        assert.is(await read(on, 'prod', commit), 'objectives: [new]\n')
      }
      await on.resources.createStage(stageScope('hardening', 'sockshop'), writeContext())
      on.rebuilt(
        (stock) => assert.ok(stock.text(['rev-list', '--all']).includes(old)),
        defaultBranch,
      )
    },
  )

  whenAble(
    `an export of format ${format} is, ref by ref, what stock git makes of the log`,
    async ({ on }) => {
      await on.bring(make(join(on.folder, 'sockshop')))
      await write(on, 'prod', 'objectives: [new]\n')
      await write(on, 'dev', `objectives: [${'large '.repeat(60_000)}${Math.PI}]\n`)
      if (format === 1)
        await on.resources.deleteStage(stageScope('dev', 'sockshop'), writeContext())
      const out = await on.take(join(on.folder, 'out.git'))
      const all = ['for-each-ref', '--format=%(objectname) %(refname)']
      assert.is(
        git(out, all),
        on.rebuilt((stock) => stock.text(all), defaultBranch),
      )
      assert.is(git(out, ['symbolic-ref', 'HEAD']), `refs/heads/${defaultBranch}`)
      assert.is(git(out, ['fsck', '--strict', '--no-dangling']), '')
      const again = await on.bring(out, { project: projectName('again') })
      assert.equal(again.notes.filter((note) => note.startsWith('left out')).length, 1)
      assert.is(
        on.rebuilt((stock) => refsOf(stock.dir), defaultBranch, 'again'),
        refsOf(out),
      )
    },
  )
}

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
    assert.is(await read(on, 'prod'), 'objectives: [anew]\n')
    assert.is(await read(on, 'dev', old), 'objectives: [dev, 2]\n')
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
