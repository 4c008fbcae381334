/**
 * The promises under trouble: whatever breaks, each file is linearizable over all replicas, what was acknowledged is there, and
 * no write takes effect twice. What could not be served is answered 503 (or 502 by nginx, where a replica was killed), which is
 * counted and told, not judged.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { chanceOf, drawSeed } from '../support/chance.ts'
import { startLyingRedis } from '../support/fake-redis.ts'
import { type Fault, type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts'
import { requireServers, type S3Server, startMinio, startRedis } from '../support/servers.ts'
import { describeChaos, runChaos, type Troubles } from './chaos.ts'

const test = suite('three replicas in trouble')

if (requireServers('three replicas in trouble', 'minio', 'redis-server', 'nginx')) {
  let minio: S3Server
  let proxy: FaultProxy
  let redis: Awaited<ReturnType<typeof startRedis>>

  test.before(async () => {
    minio = await startMinio()
    proxy = await startFaultProxy(minio.endpoint)
    redis = await startRedis()
  })
  test.after(async () => {
    await proxy?.stop()
    await redis?.stop()
    await minio?.stop()
  })
  test.after.each(() => {
    proxy.decide = () => 'pass'
  })

  const run = async (name: string, troubles: Partial<Troubles> = {}) => {
    const seed = drawSeed(name)
    const redisUrl = redis.url
    const chaos = await runChaos({ minio, proxy, redisUrl, lastsMs: 25_000, seed, ...troubles })
    console.log(describeChaos(name, chaos))
    assert.equal(chaos.failures, [])
  }

  /** Of the creates of entries a share meets a fault. */
  const faults = (fault: Fault, share: number) => {
    const chance = chanceOf(1)
    proxy.decide = ({ method, path }) =>
      method === 'PUT' && path.includes('/log/') && chance.happens(share) ? fault : 'pass'
  }

  test('killed with -9 every few seconds, with Redis', () => run('kill -9'))

  test('beside a Redis that grants everybody', async () => {
    const lying = await startLyingRedis()
    await run('a Redis that grants everybody', { redisUrl: lying.url }).finally(lying.stop)
  })

  test('with Redis gone, and back', () =>
    run('Redis gone', {
      trouble: async (signal) => {
        await sleep(3_000)
        await redis.kill()
        await sleep(16_000, undefined, { signal }).catch(() => {})
        await redis.restart()
      },
    }))

  test('while the bucket does not answer for 2 s, and for 20 s', () =>
    run('the bucket paused', {
      lastsMs: 42_000,
      trouble: async () => {
        for (const [afterMs, forMs] of [
          [4_000, 2_000],
          [6_000, 20_000],
        ] as const) {
          await sleep(afterMs)
          minio.pause()
          await sleep(forMs)
          minio.resume()
        }
      },
    }))

  test('when entries are created and the answer is lost', async () => {
    faults('lose-answer', 0.2)
    await run('answers of PUT lost')
  })

  test('when the creation of entries is lost', async () => {
    faults('lose-request', 0.2)
    await run('PUT lost')
  })

  test('when the creation of entries is late by 10 s', async () => {
    faults({ delayMs: 10_000 }, 0.03)
    await run('PUT late by 10 s', { lastsMs: 35_000 })
  })
}

test.run()
