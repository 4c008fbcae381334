import { existsSync, renameSync, rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { makeFolder, removeFolder, startProcess } from '../support/processes.ts'
import { mainFile, startService } from '../support/service.ts'

const test = suite('verify')

let folder: string
test.before(async () => {
  folder = makeFolder('verify')
  const { url, process: service } = await startService({ folder })
  for (const projectName of ['shop', 'other']) {
    const answer = await fetch(`${url}/v1/project`, {
      method: 'POST',
      body: JSON.stringify({ projectName }),
    })
    assert.is(answer.status, 204)
  }
  await service.kill()
})
test.after(() => removeFolder(folder))

/** Runs the verb to its end. */
async function verify(words = '') {
  const flags = words.split(' ').filter(Boolean)
  const child = startProcess(process.execPath, [mainFile, 'verify', ...flags], { cwd: folder })
  const exit = await child.ended()
  return { exit, output: child.output() }
}

const entry = (project: string) =>
  join(folder, 'data', 'store', 'projects', project, 'log', `${'1'.padStart(20, '0')}.bundle`)

test('what is sound is told, project by project', async () => {
  const { exit, output } = await verify()
  assert.is(exit, 0, output)
  assert.match(output, 'other: all is well: 1 entries')
  assert.match(output, 'shop: all is well: 1 entries')
})

test('one project, as JSON', async () => {
  const { exit, output } = await verify('--project shop --json')
  assert.is(exit, 0, output)
  const [told = ''] = /^\{.*\}$/m.exec(output) ?? []
  const { verb, projects } = JSON.parse(told)
  assert.equal([verb, projects.length], ['verify', 1])
  assert.equal([projects[0].project, projects[0].entries, projects[0].problems], ['shop', 1, []])
})

test('what is wrong has a name and a remedy, and the exit code says so', async () => {
  truncateSync(entry('shop'), 100)
  const { exit, output } = await verify()
  assert.is(exit, 1, output)
  assert.match(output, 'other: all is well')
  assert.match(output, 'shop: 1 problems')
  assert.match(
    output,
    /projects\/shop\/log\/0+1\.bundle: entry 1 cannot be read: .*; bring it back/,
  )
  // It is there, though nothing of its log can be read.
  assert.is((await verify('--project shop')).exit, 1)
  rmSync(entry('shop'))
})

test('what belongs to no project is read back too, and nothing is written', async () => {
  const of = (...path: string[]) => join(folder, 'data', 'store', ...path)
  const aside = join(folder, 'store.json')
  renameSync(of('store.json'), aside)
  const absent = await verify('--project other')
  assert.is(absent.exit, 1, absent.output)
  assert.match(absent.output, /^store\.json: is absent; bring it back from a copy of the bucket/m)
  assert.match(absent.output, 'other: all is well')
  assert.not.ok(existsSync(of('store.json')))
  truncateSync(aside, 20)
  renameSync(aside, of('store.json'))
  assert.match((await verify('--project other')).output, /^store\.json: cannot be read; bring it/m)
  rmSync(of('store.json'))

  const decision = of('cluster', 'log', `${'1'.padStart(20, '0')}.json`)
  truncateSync(decision, 20)
  const { exit, output } = await verify('--project other')
  assert.is(exit, 1, output)
  assert.match(output, /^cluster\/log\/0+1\.json: .*it is no JSON; bring it back/m)
})

test('what is called wrongly is told', async () => {
  assert.is((await verify('--project none')).exit, 2)
  assert.match((await verify('--project none')).output, 'there is no project none')
  assert.is((await verify('--nothing')).exit, 2)
})

test.run()
