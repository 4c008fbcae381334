import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { RuledStore } from '../../src/store/probe.ts'
import { StoreError } from '../../src/store/store.ts'
import { reach } from '../../src/verb.ts'

const test = suite('a verb that reaches for its store')

/** As a bucket with another key answers everything. */
const refuses = async () => {
  throw new StoreError('the signature does not match', { definite: true, reason: 'refused' })
}
const store = {
  get: refuses,
  create: refuses,
  list: refuses,
  put: refuses,
} as unknown as RuledStore

test('gives up after its patience, whatever is collected meanwhile', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const collecting = setInterval(collect, 20)
  const tooLong = new AbortController()
  const stopper = setTimeout(() => tooLong.abort(), 10_000)
  try {
    await reach(store, { probe: false, signal: tooLong.signal, giveUpAfterMs: 500 })
    assert.unreachable('it was reached')
  } catch (error) {
    assert.match((error as Error).message, /signature does not match/)
    assert.not(tooLong.signal.aborted, 'it had to be told to stop')
  } finally {
    clearInterval(collecting)
    clearTimeout(stopper)
  }
})

test('gives up at once where it is told to', async () => {
  const startedMs = performance.now()
  await reach(store, { probe: false, signal: AbortSignal.abort() }).then(
    () => assert.unreachable('it was reached'),
    (error) => assert.is((error as Error).message, 'interrupted'),
  )
  assert.ok(performance.now() - startedMs < 5_000)
})

test.run()
