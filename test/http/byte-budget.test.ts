import { EventEmitter } from 'node:events'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isServiceError } from '../../src/errors.ts'
import { createByteBudget } from '../../src/http/byte-budget.ts'

const test = suite('byte budget')
const options = { totalBytes: 1_000, smallBytes: 100, waitMs: 5_000, maxWaiters: 2 }

/** Whether a promise is settled once all that can go on has gone on. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  promise.then(
    () => {
      settled = true
    },
    () => {
      settled = true
    },
  )
  await new Promise((resolve) => setImmediate(resolve))
  return settled
}

test('who finds too little waits until enough is given back', async () => {
  const budget = createByteBudget(options)
  const give = await budget.take(700)
  const second = budget.take(200)
  assert.not.ok(await isSettled(second))
  give()
  ;(await second)()
  assert.is(budget.takenBytes, 0)
})

test('large takers leave a quarter to small ones', async () => {
  const budget = createByteBudget(options)
  const give = await budget.take(750)
  const large = budget.take(101)
  assert.not.ok(await isSettled(large))
  const small = await Promise.all([budget.take(100), budget.take(100)])
  assert.is(budget.takenBytes, 950)
  const waiting = budget.take(60)
  assert.not.ok(await isSettled(waiting))
  give()
  await Promise.all([large, waiting])
  for (const back of small) back()
})

test('large takers are served in order', async () => {
  const budget = createByteBudget(options)
  const give = await budget.take(400)
  const first = budget.take(700)
  const second = budget.take(200)
  assert.not.ok(await isSettled(second), 'it fits, and would starve the first')
  give()
  const giveFirst = await first
  assert.not.ok(await isSettled(second))
  giveFirst()
  await second
})

test('more than all there is counts as all there is', async () => {
  const budget = createByteBudget(options)
  const give = await budget.take(10_000)
  assert.is(budget.takenBytes, 750)
  give()
  give()
  assert.is(budget.takenBytes, 0)
})

test('nobody waits for ever, nor do too many wait', async () => {
  const budget = createByteBudget({ ...options, waitMs: 20 })
  const give = await budget.take(750)
  const waiting = [budget.take(500), budget.take(500)].map((one) => one.catch((error) => error))
  await assertOverloaded(budget.take(500))
  for (const error of await Promise.all(waiting)) assert.ok(isServiceError(error, 'overloaded'))
  give()
  assert.is(budget.takenBytes, 0)
  ;(await budget.take(750))()
})

test('who goes away while waiting makes room for who waits behind', async () => {
  const budget = createByteBudget(options)
  const give = await budget.take(400)
  const client = new EventEmitter()
  const gone = budget.take(700, client).catch((error) => error)
  const behind = budget.take(200)
  client.emit('close')
  assert.ok(isServiceError(await gone, 'client_gone'))
  ;(await behind)()
  give()
  assert.is(budget.takenBytes, 0)
})

async function assertOverloaded(taking: Promise<unknown>): Promise<void> {
  try {
    await taking
  } catch (error) {
    assert.ok(isServiceError(error, 'overloaded'))
    return
  }
  assert.unreachable('it should have been refused')
}

test.run()
