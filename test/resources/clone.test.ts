import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parseResourcePath } from '../../src/resources/paths.ts'
import { finish, replay } from '../git/replay.ts'
import { type StockGit, stockGit } from '../git/stock-git.ts'
import { makeFolder, removeFolder } from '../support/processes.ts'
import { requireServers } from '../support/servers.ts'
import {
  type Fixture,
  openFixture,
  paths,
  projectScope,
  put,
  readContext,
  remove,
  serviceScope,
  stageScope,
  writeContext,
} from './fixture.ts'

const clones = suite<{ on: Fixture; git: StockGit; folder: string }>('stock tools')

clones.before.each(async (context) => {
  context.on = await openFixture()
  context.git = stockGit()
  context.folder = makeFolder('clone')
})
clones.after.each(async ({ on, git, folder }) => {
  await on.close()
  git.remove()
  removeFolder(folder)
})

const whenAble = requireServers('stock tools', 'git', 'tar') ? clones : clones.skip

whenAble(
  'git sees the branches and files that the service answers, and finds no fault',
  async ({ on, git }) => {
    const odd = [
      'a..b',
      'x~',
      'ä/日本/😀',
      'with space',
      'line\nfeed',
      '"quoted"',
      '.gitignore',
      '-dash',
      'x.git/y',
    ]
    const files = Object.fromEntries(odd.map((path) => [path, path]))
    const carts = serviceScope('dev', 'carts')
    await put(
      on,
      projectScope(),
      { ...files, '.gitattributes': '* text=auto\n' },
      { message: '\n<>\0\n' },
    )
    await on.resources.createStage(stageScope('prod'), writeContext())
    await put(on, carts, files, { author: { name: '<a>\n', email: '' } })
    await remove(on, stageScope('prod'), 'ä')
    await on.resources.deleteStage(stageScope('prod'), writeContext())
    await on.resources.createStage(stageScope('prod-2'), writeContext())
    await remove(on, stageScope('prod-2'), 'x.git')
    await on.resources.deleteProject(carts.project, writeContext())
    await on.resources.undeleteProject(carts.project, writeContext())
    replay(git, join(on.bench.folder, 'store', 'projects', 'p'))
    finish(git, 'main')
    const branches = git.text(['for-each-ref', '--format=%(refname:short)', 'refs/heads']).trim()
    assert.equal(branches.split('\n'), ['dev', 'main', 'prod-2'])
    for (const [branch, scope] of [
      ['main', projectScope()],
      ['dev', stageScope('dev')],
      ['prod-2', stageScope('prod-2')],
    ] as const) {
      const listed = git
        .text(['ls-tree', '-r', '-z', '--name-only', branch])
        .split('\0')
        .slice(0, -1)
      const answered = await paths(on, scope)
      assert.equal(listed.map((path) => `/${path}`).sort(), [...answered].sort())
      for (const path of listed) {
        const { content } = await on.resources.readFile(
          scope,
          parseResourcePath(path),
          readContext(),
        )
        assert.ok(git.run(['show', `${branch}:${path}`]).equals(content), path)
      }
    }
  },
)

whenAble('tar takes a chart apart as it was put together', async ({ on, folder }) => {
  const carts = serviceScope('dev', 'carts')
  const chart = join(folder, 'in', 'source')
  const long = `templates/${'deep/'.repeat(40)}ü.yaml`
  mkdirSync(join(chart, long, '..'), { recursive: true })
  writeFileSync(join(chart, 'Chart.yaml'), 'name: carts\n')
  writeFileSync(join(chart, long), 'long\n')
  writeFileSync(join(chart, 'run.sh'), '#!/bin/sh\n', { mode: 0o755 })
  const archive = (format: string) =>
    execFileSync('tar', [`--format=${format}`, '-czf', '-', '-C', join(folder, 'in'), 'source'])
  const first = await put(on, carts, { 'helm/carts.tgz': archive('gnu') })
  const second = await put(on, carts, { 'helm/carts.tgz': archive('pax') })
  assert.is(first.commit, second.commit)
  const path = parseResourcePath('helm/carts.tgz')
  const { content } = await on.resources.readFile(carts, path, readContext())
  writeFileSync(join(folder, 'carts.tgz'), content)
  mkdirSync(join(folder, 'out'))
  execFileSync('tar', ['-xzf', join(folder, 'carts.tgz'), '-C', join(folder, 'out')])
  execFileSync('gzip', ['--test', join(folder, 'carts.tgz')])
  execFileSync('diff', ['-r', chart, join(folder, 'out', 'carts')])
  const mode = execFileSync('stat', ['-c', '%a', join(folder, 'out', 'carts', 'run.sh')])
  assert.is(mode.toString().trim(), '755')
})

clones.run()
