import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'

const test = suite('lines')

/** Runs the program; reads nothing of its stdout before it says that it is done, if it is to be stuck. */
async function run(options: { lines: number; maxChars: number; isStuck: boolean }) {
  const program = fileURLToPath(new URL('./lines-program.js', import.meta.url))
  const env = { LINES: String(options.lines), MAX_CHARS: String(options.maxChars) }
  const child = spawn(process.execPath, [program], { env, stdio: 'pipe' })
  const early = options.isStuck ? null : text(child.stdout)
  await once(child.stderr, 'data')
  const output = early ?? text(child.stdout)
  child.stdin.write('read\n')
  const [code] = await once(child, 'exit')
  child.stdin.destroy()
  assert.is(code, 0)
  return (await output).split('\n').slice(0, -1)
}

const numberOf = (line: string) => /^line (\d+) x{1000}$/.exec(line)?.[1]

test('every line arrives whole and in order', async () => {
  const shown = await run({ lines: 5_000, maxChars: 2 ** 24, isStuck: false })
  assert.equal(
    shown.map(numberOf),
    Array.from({ length: 5_000 }, (_, n) => `${n}`),
  )
})

test('a reader that is stuck holds nobody up, and gets every line that fits once it reads', async () => {
  const shown = await run({ lines: 5_000, maxChars: 2 ** 24, isStuck: true })
  assert.is(shown.length, 5_000)
  assert.is(shown.map(numberOf).indexOf(undefined), -1)
})

test('lines that do not fit are dropped, counted and told', async () => {
  const shown = await run({ lines: 5_000, maxChars: 1_000_000, isStuck: true })
  const told = shown.flatMap((line) => Number(/^dropped (\d+)$/.exec(line)?.[1] ?? []))
  const dropped = told.reduce((sum, one) => sum + one, 0)
  const arrived = shown.filter((line) => numberOf(line) !== undefined)
  assert.ok(dropped > 2_500, `dropped ${dropped}`)
  assert.is(arrived.length + dropped, 5_000)
})

test('a reader that goes away ends no process', async () => {
  const program = fileURLToPath(new URL('./lines-program.js', import.meta.url))
  const env = { LINES: '500', MAX_CHARS: '1000000' }
  const child = spawn(process.execPath, [program], { env, stdio: 'pipe' })
  child.stdout.destroy()
  await once(child.stderr, 'data')
  child.stdin.write('end\n')
  const [code] = await once(child, 'exit')
  assert.is(code, 0)
})

test.run()
