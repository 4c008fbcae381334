import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createProgressLine } from '../../src/progress-line.ts'

const test = suite('how far a migration is')

function watch(isTTY: boolean) {
  const written: string[] = []
  const clock = { nowMs: 0 }
  const stream = { isTTY, write: (text: string | Uint8Array) => written.push(String(text)) > 0 }
  const line = createProgressLine(stream, () => clock.nowMs)
  const show = (atMs: number, visited: number) => {
    clock.nowMs = atMs
    line.show({ what: 'to 2', visited, total: 4 })
  }
  return { written, line, show }
}

test('on a terminal a bar grows in its place, and its last state is shown and left behind', () => {
  const { written, line, show } = watch(true)
  show(50, 1)
  show(100, 2)
  show(120, 3)
  show(130, 4)
  line.end()
  assert.equal(written, [
    '\rto 2 [###############...............] 2/4',
    '\rto 2 [##############################] 4/4',
    '\n',
  ])
})

test('elsewhere it is a line every 3 s, and nothing for what is over sooner', () => {
  const { written, line, show } = watch(false)
  show(100, 1)
  show(2_999, 2)
  show(3_000, 3)
  show(3_100, 4)
  line.end()
  assert.equal(written, ['to 2: 3 of 4 projects\n'])
})

test('what showed nothing leaves nothing behind', () => {
  const { written, line } = watch(true)
  line.end()
  assert.equal(written, [])
})

test.run()
