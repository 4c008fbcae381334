import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Clock } from '../../src/clock.ts'
import { createBudget, type Share } from '../../src/resources/budget.ts'
import { systemClock } from '../../src/system-clock.ts'
import { refusal } from './fixture.ts'

const budgets = suite('byte budget')

budgets('what does not fit waits its turn, and the small ones behind it do too', async () => {
  const budget = createBudget(100, systemClock)
  const first = await budget.take(60, 1000)
  const order: string[] = []
  const take = async (name: string, sizeBytes: number) => {
    const share = await budget.take(sizeBytes, 1000)
    order.push(name)
    return share
  }
  const waiting = [take('large', 80), take('small', 10)]
  await new Promise(setImmediate)
  assert.equal(order, [])
  first.shrink(30)
  await new Promise(setImmediate)
  assert.equal(order, [])
  first.release()
  first.release()
  await Promise.all(waiting)
  assert.equal(order, ['large', 'small'])
  assert.is(await refusal(budget.take(11, 1)), 'overloaded: too many archives are being unpacked')
  const [large, small] = (await Promise.all(waiting)) as [Share, Share]
  large.release()
  small.release()
  const all = await budget.take(100, 1)
  all.release()
})

budgets('more than the whole budget is all of it', async () => {
  const budget = createBudget(100, systemClock)
  const all = await budget.take(5000, 1000)
  const next = budget.take(1, 1000)
  all.shrink(99)
  await next
})

budgets('who waits too long is refused, and lets those behind pass', async () => {
  let expire = () => {}
  const clock: Clock = {
    ...systemClock,
    schedule(delayMs, work) {
      if (delayMs !== 7) return systemClock.schedule(delayMs, work)
      expire = work
      return () => {}
    },
  }
  const budget = createBudget(100, clock)
  await budget.take(50, 1000)
  const late = budget.take(80, 7)
  const behind = budget.take(50, 1000)
  expire()
  assert.is(await refusal(late), 'overloaded: too many archives are being unpacked')
  await behind
})

budgets.run()
