/**
 * Writes `LINES` numbered lines of 1 KiB to stdout as fast as it can, for `lines.test.ts`; tells on stderr once it is done,
 * and ends when it is told on stdin that somebody reads.
 */
import { openLines } from '../../src/lines.ts'

const lines = openLines({
  fd: 1,
  maxChars: Number(process.env.MAX_CHARS),
  onDropped: (dropped) => `dropped ${dropped}\n`,
})
const count = Number(process.env.LINES)
for (let n = 0; n < count; n++) {
  lines.write(`line ${n} ${'x'.repeat(1_000)}\n`)
  if (n % 100 === 99) await new Promise((resolve) => setImmediate(resolve))
}
process.stderr.write('written\n')
process.stdin.once('data', async () => {
  await lines.finish(20_000)
  process.exit(0)
})
