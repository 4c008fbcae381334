import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Lock } from '../../src/lock/lock.ts'

export interface LockUnderTest {
  /** Two ends of one lock, as two replicas hold them; the same twice for a lock inside one process. */
  one: Lock
  other: Lock
  close(): Promise<void>
}

/** Every adapter of the port `src/lock/lock.ts` passes this. */
export function lockContract(name: string, make: () => Promise<LockUnderTest>): void {
  const contract = suite(`${name}: contract of the lock`)
  let locks: LockUnderTest
  let names = 0
  const freshName = () => `project ${names++}`

  contract.before(async () => {
    locks = await make()
  })
  contract.after(() => locks.close())

  const take = async (lock: Lock, of: string, waitMs = 5_000) => {
    const answer = await lock.acquire(of, { waitMs })
    if (answer.result !== 'held') throw new Error(`not held: ${answer.result}`)
    return answer
  }

  contract('one that is free is given at once, uncontended', async () => {
    const held = await take(locks.one, freshName(), 0)
    assert.is(held.contended, false)
    await held.release()
  })

  contract('one that is held is busy when the wait is over, and not before', async () => {
    const name = freshName()
    const held = await take(locks.one, name)
    assert.equal(await locks.other.acquire(name, { waitMs: 0 }), { result: 'busy' })
    const startMs = performance.now()
    assert.equal(await locks.other.acquire(name, { waitMs: 120 }), { result: 'busy' })
    const waitedMs = performance.now() - startMs
    assert.ok(waitedMs >= 115 && waitedMs < 1_000, `${waitedMs} ms`)
    await held.release()
  })

  contract('whoever waits gets it when it is released, and is told of the contention', async () => {
    const name = freshName()
    const held = await take(locks.one, name)
    const next = take(locks.other, name)
    setTimeout(() => void held.release(), 30)
    const second = await next
    assert.is(second.contended, true)
    await second.release()
    await (await take(locks.one, name)).release()
  })

  contract('locks of different names have nothing to do with each other', async () => {
    const names = ['a', 'a*', '[a]', 'a b', 'ä/ö', '', 'x'.repeat(1_000)].map(
      (n) => freshName() + n,
    )
    const held = await Promise.all(names.map((name) => take(locks.one, name, 0)))
    for (const name of names) {
      assert.equal(await locks.other.acquire(name, { waitMs: 0 }), { result: 'busy' })
    }
    for (const lock of held) await lock.release()
    for (const name of names) await (await take(locks.other, name, 0)).release()
  })

  contract('to release twice takes nothing from the next one who holds it', async () => {
    const name = freshName()
    const first = await take(locks.one, name)
    await first.release()
    const second = await take(locks.other, name)
    await first.release()
    assert.equal(await locks.one.acquire(name, { waitMs: 0 }), { result: 'busy' })
    await second.release()
  })

  contract('a signal ends the wait, and leaves nobody in the queue', async () => {
    const name = freshName()
    const held = await take(locks.one, name)
    const controller = new AbortController()
    const startMs = performance.now()
    const waiting = locks.other.acquire(name, { waitMs: 10_000, signal: controller.signal })
    setTimeout(() => controller.abort(), 20)
    assert.equal(await waiting, { result: 'busy' })
    assert.ok(performance.now() - startMs < 1_000)
    const aborted = { waitMs: 10_000, signal: controller.signal }
    assert.equal(await locks.other.acquire(name, aborted), { result: 'busy' })
    await held.release()
    await (await take(locks.one, name)).release()
  })

  contract('of many who want it one holds it at a time, and all get it', async () => {
    const name = freshName()
    let holders = 0
    let turns = 0
    const work = async (lock: Lock) => {
      const held = await take(lock, name, 20_000)
      assert.is(++holders, 1)
      await new Promise((resolve) => setTimeout(resolve, 1))
      holders--
      turns++
      await held.release()
    }
    const all = Array.from({ length: 24 }, (_, i) => work(i % 2 === 0 ? locks.one : locks.other))
    await Promise.all(all)
    assert.is(turns, 24)
  })

  contract('two who want it again and again take turns', async () => {
    const name = freshName()
    const turns = { one: 0, other: 0 }
    const endMs = performance.now() + 600
    const work = async (who: 'one' | 'other') => {
      while (performance.now() < endMs) {
        const held = await take(locks[who], name)
        turns[who]++
        await new Promise((resolve) => setTimeout(resolve, 2))
        await held.release()
      }
    }
    await Promise.all([work('one'), work('other')])
    const share = Math.min(turns.one, turns.other) / (turns.one + turns.other)
    assert.ok(share > 0.08, JSON.stringify(turns))
  })

  contract.run()
}
