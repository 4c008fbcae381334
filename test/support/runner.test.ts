import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { repositoryRoot } from './programs.ts'
import { type RunOptions, runTests } from './runner.ts'

const runner = suite('the test runner')

/** Runs fixtures and gives back what was printed. */
async function run(filters: string[], options: Partial<RunOptions> = {}) {
  const lines: string[] = []
  const counts = await runTests({
    folder: fileURLToPath(new URL('../fixtures/runner', import.meta.url)),
    sources: join(repositoryRoot, 'test', 'fixtures', 'runner'),
    long: false,
    filters,
    jobs: 2,
    runsAlone: () => false,
    fileLimitMs: 60_000,
    totalLimitMs: 60_000,
    skipsFail: false,
    print: (line) => lines.push(line),
    ...options,
  })
  return { counts, text: lines.join('\n'), last: lines.at(-1) }
}

runner('counts the tests of a green file', async () => {
  const { counts, last } = await run(['green'])
  assert.equal(counts, { passed: 2, failed: 0, skipped: 0 })
  assert.is(last, '2 passed, 0 failed')
})

runner('adds files up, and prints the whole output of one that failed', async () => {
  const { last, text } = await run(['green', 'red'])
  assert.is(last, '3 passed, 1 failed')
  assert.match(text, 'the sentence that tells why')
  assert.match(text, /^FAIL red\.test\.js/m)
  assert.match(text, /^ok {3}green\.test\.js/m)
})

runner('a file that runs alone waits for all others', async () => {
  const { text } = await run(['green', 'red'], { runsAlone: (path) => path === 'green.test.js' })
  assert.ok(text.indexOf('red.test.js') < text.indexOf('ok   green.test.js'))
  assert.match(text, /^ok {3}green\.test\.js/m)
})

runner('leaves out what is for mutants alone', async () => {
  const { text } = await run(['apart'])
  assert.match(text, /^no test file in /)
})

runner('a file without run() is a failure', async () => {
  assert.is((await run(['forgotten'])).last, '0 passed, 1 failed')
})

runner('a file that does not end is killed and is a failure', async () => {
  const { last, text } = await run(['hangs'], { fileLimitMs: 1_500 })
  assert.is(last, '1 passed, 1 failed')
  assert.match(text, 'did not end in time')
})

runner('no file runs longer than all of them may', async () => {
  assert.is((await run(['hangs'], { totalLimitMs: 1_500 })).last, '1 passed, 1 failed')
})

runner('a file that ends badly after its tests passed is a failure', async () => {
  const { last, text } = await run(['crashes'])
  assert.is(last, '1 passed, 1 failed')
  assert.match(text, 'after all tests')
})

runner('a suite that is skipped is told at the end, and is a failure in CI', async () => {
  const { last, text } = await run(['skips', 'green'])
  assert.is(last, '2 passed, 0 failed, 1 skipped')
  assert.match(text, /^SKIPPED skips: a server is not installed$/m)
  const strict = await run(['skips', 'green'], { skipsFail: true })
  assert.is(strict.last, '2 passed, 1 failed, 1 skipped')
})

runner('long files are run when they are asked for, and only they', async () => {
  const { last, text } = await run([], { long: true })
  assert.is(last, '1 passed, 0 failed')
  assert.match(text, /slow\.long\.test\.js/)
})

runner('a compiled file whose source is gone is not run', async () => {
  const { last } = await run(['green'], { sources: repositoryRoot })
  assert.is(last, '0 passed, 1 failed')
})

runner('a filter that matches nothing is a failure', async () => {
  assert.is((await run(['no such file'])).last, '0 passed, 1 failed')
})

runner.run()
