import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createLocalLock } from '../../src/lock/local.ts'
import { lockContract } from '../contract/lock.ts'

lockContract('local', async () => {
  const lock = createLocalLock()
  return { one: lock, other: lock, close: () => lock.close() }
})

const local = suite('local lock')

local('whoever came first is served first', async () => {
  const lock = createLocalLock()
  const order: number[] = []
  const work = async (index: number) => {
    const answer = await lock.acquire('p', { waitMs: 1_000 })
    order.push(index)
    await new Promise((resolve) => setTimeout(resolve, 1))
    if (answer.result === 'held') await answer.release()
  }
  await Promise.all([0, 1, 2, 3, 4, 5].map(work))
  assert.equal(order, [0, 1, 2, 3, 4, 5])
})

local.run()
