/** `import` and `export` as programs. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { makeFolder, removeFolder, startProcess, waitFor } from '../support/processes.ts'
import { requireServers } from '../support/servers.ts'
import { mainFile } from '../support/service.ts'
import { git, makeKeptn, refsOf } from './keptn-repositories.ts'

const test = suite<{ folder: string }>('import and export as programs')
const whenAble = requireServers('import and export as programs', 'git') ? test : test.skip
test.before.each((context) => {
  context.folder = makeFolder('transfer-program')
})
test.after.each(({ folder }) => removeFolder(folder))

/** Runs a verb to its end, in a folder whose `data/store` is the store. */
async function run(folder: string, words: string, env: Record<string, string> = {}) {
  const child = startProcess(process.execPath, [mainFile, ...words.split(' ')], {
    cwd: folder,
    env: { TMPDIR: folder, ...env },
  })
  const exit = await child.ended()
  const line = child.output().match(/^\{.*\}$/m)?.[0]
  return { exit, output: child.output(), json: line === undefined ? null : JSON.parse(line) }
}

whenAble('each verb ends with its code, and says what it did', async ({ folder }) => {
  const { upstream } = makeKeptn(folder)
  mkdirSync(join(upstream, 'junk'))
  const unprepared = await run(folder, 'import --project p --from upstream/sockshop.git')
  assert.is(unprepared.exit, 3)
  assert.match(unprepared.output, /import: refused: p: it has format 1, and .*migrate expand/)
  assert.is((await run(folder, 'migrate expand')).exit, 0)
  const all = await run(folder, 'import --all --from upstream --json')
  assert.is(all.exit, 1)
  assert.equal(
    all.json.projects.map(({ project, verdict, format }: Record<string, unknown>) => [
      project,
      verdict,
      format,
    ]),
    [
      ['junk', 'refused', undefined],
      ['podtato', 'done', 2],
      ['sockshop', 'done', 1],
    ],
  )
  const again = await run(folder, 'import --project sockshop --from upstream/sockshop.git')
  assert.is(again.exit, 3)
  assert.match(again.output, 'import: refused: sockshop: project sockshop exists already')
  const absent = await run(folder, 'export --project nobody --to out')
  assert.is(absent.exit, 3)
  const exported = await run(folder, 'export --all --to exported --json')
  assert.is(exported.exit, 0)
  assert.equal(readdirSync(join(folder, 'exported')), ['podtato.git', 'sockshop.git'])
  const wrong = [
    'import',
    'import --project p',
    'import --all --project p --from x',
    'export --all --to',
    'import --project a/b --from x',
    'export --project p --to x --update',
    'import --all --from absent',
  ]
  for (const words of wrong) {
    const { exit, output } = await run(folder, words)
    assert.is(exit, 2, words)
    assert.match(output, /^configuration-service: (?:import|export)/, words)
  }
})

whenAble(
  'killed amid the upload it leaves no project, and the next one imports it whole',
  async ({ folder }) => {
    const { upstream } = makeKeptn(folder)
    assert.is((await run(folder, 'migrate expand')).exit, 0)
    const place = join(folder, 'data/store/projects/sockshop')
    const child = startProcess(
      process.execPath,
      [mainFile, 'import', '--project', 'sockshop', '--from', join(upstream, 'sockshop.git')],
      { cwd: folder, env: { TMPDIR: folder } },
    )
    await waitFor(() => existsSync(join(place, 'packs')) || child.exited() !== undefined, {
      timeoutMs: 60_000,
    })
    await child.kill()
    const hasLanded = existsSync(join(place, 'log'))
    const before = readdirSync(join(place, 'packs'))
    const { exit, output } = await run(
      folder,
      'import --project sockshop --from upstream/sockshop.git --update',
    )
    assert.is(exit, 0, output)
    assert.match(output, hasLanded ? 'there is nothing new' : 'imported from a bare repository')
    if (before.length > 0)
      assert.equal(readdirSync(join(place, 'packs')), before, 'the same pack is used')
    assert.is((await run(folder, 'export --project sockshop --to out.git')).exit, 0)
    assert.is(refsOf(join(folder, 'out.git')), refsOf(join(upstream, 'sockshop.git')))
  },
)

whenAble('it takes nothing but the program git itself', async ({ folder }) => {
  const { upstream } = makeKeptn(folder)
  const bin = join(folder, 'only')
  mkdirSync(bin)
  const path = spawnSync('sh', ['-c', 'command -v git'], { encoding: 'utf8' }).stdout.trim()
  git(folder, ['init', '--quiet', 'x'])
  writeFileSync(join(bin, 'git'), readFileSync(path), { mode: 0o755 })
  git(join(upstream, 'sockshop.git'), ['bundle', 'create', '--quiet', '../sock.bundle', '--all'])
  const env = { PATH: bin, GIT_EXEC_PATH: '/nonexistent' }
  assert.is((await run(folder, 'migrate expand')).exit, 0)
  for (const from of ['sockshop.git', 'sock.bundle']) {
    const { exit, output } = await run(
      folder,
      `import --project p --from upstream/${from} --dry-run`,
      env,
    )
    assert.is(exit, 0, output)
  }
  const without = await run(folder, 'import --project p --from upstream/sockshop.git', {
    PATH: '/nonexistent',
  })
  assert.is(without.exit, 2)
  assert.match(without.output, 'git is not installed: import needs it')
})

test.run()
