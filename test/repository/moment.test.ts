import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ageMsOf, laterOf, type Moment, momentOf } from '../../src/repository/moment.ts'
import { systemClock } from '../../src/system-clock.ts'
import { waitFor } from '../support/processes.ts'

const test = suite('moments')

const then: Moment = { monotonicMs: 1_000, bootMs: 50_000, wallMs: 1_000_000 }

/** A clock some time after `then`, by each of its three ways to count. */
const after = (monotonicMs: number, bootMs: number, wallMs: number) => ({
  ...systemClock,
  monotonicMs: () => then.monotonicMs + monotonicMs,
  bootMs: () => then.bootMs + bootMs,
  nowMs: () => then.wallMs + wallMs,
})

const hourMs = 3_600_000

for (const [what, clock, ageMs] of [
  ['nothing happened', after(9_000, 9_000, 9_001), 9_001],
  ['the wall clock was set back', after(9_000, 9_000, 9_000 - hourMs), 9_000],
  ['the wall clock was set forward', after(9_000, 9_000, 9_000 + hourMs), 9_000 + hourMs],
  ['the machine was suspended', after(1_000, 9_000, 9_000), 9_000],
  ['suspended, and the wall clock set back', after(1_000, 9_000, 9_000 - hourMs), 9_000],
  ['a hypervisor paused the machine', after(1_000, 1_000, 9_000), 9_000],
] as const)
  test(`an age is what the clock says that counted most: ${what}`, () => {
    assert.is(ageMsOf(clock, then), ageMs)
  })

test('without a moment it is infinite', () => {
  assert.is(ageMsOf(systemClock, null), Number.POSITIVE_INFINITY)
})

test('the later one of two is the later of this process', () => {
  const set = momentOf(after(1, 1, -hourMs))
  assert.is(laterOf(then, set), set)
  assert.is(laterOf(set, then), set)
  assert.is(laterOf(null, then), then)
})

test('the clock that counts from the start of the machine goes on', async () => {
  const startMs = systemClock.bootMs()
  assert.ok(startMs > 0)
  // Some systems tell whole seconds.
  await waitFor(() => systemClock.bootMs() > startMs, { timeoutMs: 5_000, what: 'a tick' })
  assert.ok(systemClock.bootMs() < startMs + 60_000)
})

test.run()
