/** Catching up with a Keptn that still runs: `--update`. */
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { requireServers } from '../support/servers.ts'
import { openTransfers, readSlo, type Transfers, writeSlo } from './fixture.ts'
import { branchProject, commitFiles, directoryProject, git, refsOf } from './keptn-repositories.ts'

const test = suite<{ on: Transfers; source: string }>('catching up')
test.before.each(async (context) => {
  context.on = await openTransfers()
  context.source = branchProject(join(context.on.folder, 'sockshop'))
})
test.after.each(({ on }) => on.close())
const whenAble = requireServers('catching up', 'git') ? test : test.skip

const update = { update: true }

function commitTo(source: string, branch: string, content: string): void {
  git(source, ['checkout', '--quiet', branch])
  commitFiles(source, { 'carts/slo.yaml': content }, 'Updated resource')
}

whenAble(
  'it brings what is new: commits, stages, tags, and stages that are gone',
  async ({ on, source }) => {
    assert.is((await on.bring(source, update)).outcome, 'imported')
    assert.is((await on.bring(source, update)).outcome, 'unchanged')
    const before = git(source, ['rev-parse', 'dev'])
    const prod = git(source, ['rev-parse', 'prod'])
    commitTo(source, 'dev', 'objectives: [a]\n')
    const middle = git(source, ['rev-parse', 'dev'])
    commitTo(source, 'dev', 'objectives: [b]\n')
    git(source, ['branch', 'hardening', 'dev'])
    git(source, ['tag', 'v2', 'dev'])
    git(source, ['branch', '--quiet', '-D', 'prod'])
    assert.is((await on.bring(source, { ...update, dryRun: true })).outcome, 'updated')
    const told = await on.bring(source, update)
    assert.equal([told.outcome, told.stages, told.packs], ['updated', ['dev', 'hardening'], 1])
    assert.is((await on.bring(source, update)).outcome, 'unchanged')
    for (const [commit, expected] of [
      [before, '[dev, 2]'],
      [middle, '[a]'],
    ] as const) {
      assert.is(await readSlo(on, 'dev', commit), `objectives: ${expected}\n`)
    }
    on.rebuilt((stock) => {
      assert.is(refsOf(stock.dir), refsOf(source))
      assert.is(stock.text(['rev-list', '--parents', '-n1', 'refs/meta/deleted']).slice(41), prod)
    })
  },
)

whenAble(
  'what somebody wrote here since stays, and the update is refused',
  async ({ on, source }) => {
    await on.bring(source)
    await writeSlo(on, 'dev', 'objectives: [here]\n')
    commitTo(source, 'dev', 'objectives: [there]\n')
    assert.match(await on.refused(source, update), /^somebody has written to project sockshop here/)
    assert.is(await readSlo(on, 'dev'), 'objectives: [here]\n')
  },
)

whenAble('a write that comes while it works wins', async ({ on, source }) => {
  await on.bring(source)
  commitTo(source, 'dev', 'objectives: [there]\n')
  const { store } = on.target
  let written = false
  on.target = {
    ...on.target,
    store: {
      ...store,
      async put(...words) {
        if (!written) await writeSlo(on, 'prod', 'objectives: [here]\n')
        written = true
        return store.put(...words)
      },
    },
  }
  assert.match(await on.refused(source, update), /^somebody has written to project sockshop here/)
  assert.ok(written)
})

whenAble(
  'a history that was replaced is refused, and so is another structure',
  async ({ on, source }) => {
    await on.bring(source)
    git(source, ['tag', '--force', 'light', 'dev'])
    assert.match(await on.refused(source, update), /^the history of refs\/tags\/light was replaced/)
    git(source, ['tag', '--force', 'light', 'dev~1'])
    git(source, ['branch', '--quiet', '--force', 'dev', 'dev~1'])
    assert.match(await on.refused(source, update), /^the history of refs\/heads\/dev was replaced/)
    const other = directoryProject(join(on.folder, 'other'))
    assert.match(
      await on.refused(other, update),
      /now has format 2 and master: delete the project here/,
    )
  },
)

test.run()
