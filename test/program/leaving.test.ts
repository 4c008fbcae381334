import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { podEnd, settings } from '../../src/config.ts'
import { closeAll, drainTimes, leaving, longestEndMs } from '../../src/lifecycle.ts'
import { silent } from '../../src/observe.ts'

const test = suite('the end of a pod')

test('at the worst it is over before its grace is, with every number that the settings default to', () => {
  const windowSeconds = Number(settings.drainWindowSeconds.default)
  const requestSeconds = Number(settings.requestSeconds.default)
  const { preStopSeconds, marginSeconds } = podEnd
  const graceSeconds = preStopSeconds + windowSeconds + requestSeconds + marginSeconds
  assert.is(graceSeconds, 60)
  const endMs = preStopSeconds * 1_000 + longestEndMs(drainTimes({ windowSeconds, requestSeconds }))
  assert.ok(endMs <= graceSeconds * 1_000, `${endMs} ms`)
})

test('with any window the margin that the chart asks for is enough', () => {
  // templates/_refuse.tpl: half of the window, rounded up, and 5 s.
  for (const windowSeconds of [1, 5, 6, 10, 15, 60, 120]) {
    const marginSeconds = Math.ceil(windowSeconds / 2) + 5
    const endMs = longestEndMs(drainTimes({ windowSeconds, requestSeconds: 25 }))
    assert.ok(endMs <= (windowSeconds + 25 + marginSeconds) * 1_000, `${windowSeconds}: ${endMs}`)
  }
})

test('what hangs while it is closed takes no more than the time for all, and keeps nobody else from being closed', async () => {
  const closed: string[] = []
  const hangs = () => new Promise<void>(() => {})
  const failed: unknown[] = []
  const startedMs = performance.now()
  await closeAll({
    steps: [
      ['first', hangs],
      ['second', async () => void closed.push('second')],
      ['third', hangs],
      ['fourth', async () => void closed.push('fourth')],
    ],
    totalMs: 400,
    observer: { ...silent, log: (_level, _event, fields) => void failed.push(fields?.step) },
  })
  const tookMs = performance.now() - startedMs
  assert.equal(
    [closed, failed],
    [
      ['second', 'fourth'],
      ['first', 'third'],
    ],
  )
  assert.ok(tookMs >= 300 && tookMs < 400 + leaving.lookMs, `${tookMs} ms`)
})

test.run()
