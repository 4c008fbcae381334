import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { planOf } from './plan.ts'

const test = suite('what the gate is asked for')

function plan(...words: string[]) {
  const asked = planOf(words)
  if (!('plan' in asked)) throw new Error(JSON.stringify(asked))
  return asked.plan
}

function problem(...words: string[]): string {
  const asked = planOf(words)
  return 'problem' in asked ? asked.problem : 'none'
}

test('no flag is the short run: mode A and mode B', () => {
  const { runs, least } = plan()
  assert.equal(
    runs.map(({ mode, perSecond }) => [mode, perSecond]),
    [
      ['A', 60],
      ['B', 100],
    ],
  )
  assert.equal(least, { requests: 10_000, posts: 0, replacements: 36 })
})

test('the long run judges latencies and counts POSTs', () => {
  const { runs, least } = plan('--long')
  assert.equal(
    runs.map(({ mode, perSecond, quiet }) => [mode, perSecond, quiet]),
    [
      ['A', 60, true],
      ['B', 100, true],
    ],
  )
  assert.is(least.posts, 100_000)
  assert.is(least.replacements, 240)
})

test('a scenario has the mode that it is about, unless another is named', () => {
  const modes = (...words: string[]) => plan(...words).runs.map(({ mode }) => mode)
  assert.equal(modes('--scenario', 'S1', '--scenario', 'S17'), ['A', 'C'])
  assert.equal(modes('--scenario', 'S1', '--mode', 'B'), ['B'])
  assert.is(plan('--mode', 'C').runs[0]?.scenario.name, 'S17')
})

test('a wrong flag is a sentence', () => {
  assert.match(problem('--scenario', 'S99'), /there is no scenario S99; there are S1, /)
  assert.match(problem('--mode', 'D'), /there is no mode D/)
  assert.match(problem('--seed', '-1'), /--seed/)
  assert.match(problem('--sed', '1'), /--sed/)
  assert.match(problem('S1'), /S1/)
  assert.match(problem('--long', '--mode', 'A'), /--long is a run of its own/)
})

test('the program says so and exits with 2', () => {
  const main = fileURLToPath(new URL('main.js', import.meta.url))
  const run = (...words: string[]) => spawnSync(process.execPath, [main, ...words])
  const wrong = run('--mode', 'D')
  assert.is(wrong.status, 2)
  assert.match(wrong.stderr.toString(), /^gate: there is no mode D; there are A, B, C\n$/)
  const list = run('--list')
  assert.is(list.status, 0)
  assert.match(list.stdout.toString(), /^S1 .*\n/)
  assert.match(run('--help').stdout.toString(), /--report FOLDER/)
})

test.run()
