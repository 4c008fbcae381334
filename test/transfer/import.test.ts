import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parseResourcePath } from '../../src/resources/paths.ts'
import { convert, readContext, stageScope, writeContext } from '../resources/fixture.ts'
import { projectName } from '../support/repositories.ts'
import { requireServers } from '../support/servers.ts'
import { carts, openTransfers, readSlo, type Transfers, writeSlo } from './fixture.ts'
import { bareOf, branchProject, directoryProject, git, refsOf } from './keptn-repositories.ts'

const test = suite<{ on: Transfers }>('import and export')
test.before.each(async (context) => {
  context.on = await openTransfers()
})
test.after.each(({ on }) => on.close())
const whenAble = requireServers('import and export', 'git') ? test : test.skip

const slo = parseResourcePath('slo.yaml')

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
      assert.is(await readSlo(on, 'prod'), 'objectives: [prod, 2]\n')
      assert.is(
        await readSlo(on, 'dev', old),
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
      const commit = await writeSlo(on, 'prod', 'objectives: [new]\n')
      for (const next of format === 1 ? ([2, 1] as const) : ([1, 2] as const)) {
        assert.is((await convert(on, next, 'sockshop')).status, 200)
        assert.is(await readSlo(on, 'prod'), 'objectives: [new]\n')
        assert.is(await readSlo(on, 'dev'), 'objectives: [dev, 2]\n')
        assert.is(await readSlo(on, 'prod', commit), 'objectives: [new]\n')
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
      await writeSlo(on, 'prod', 'objectives: [new]\n')
      await writeSlo(on, 'dev', `objectives: [${'large '.repeat(60_000)}${Math.PI}]\n`)
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

test.run()
