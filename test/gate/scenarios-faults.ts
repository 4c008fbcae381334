/** What breaks by itself: S8 to S11. */
import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from '../support/processes.ts'
import { send } from '../support/send.ts'
import type { Service } from '../support/service.ts'
import type { Scenario } from './scenario.ts'
import { mustMigrate, standsAt, statusOf } from './standing.ts'

/** Long enough for the load to meet whatever a fault leaves behind. */
const afterwardsMs = 4_000

/** S8. */
export const troubledRedis: Scenario = {
  name: 'S8',
  title: 'Redis is restarted, and stands still for 5 s',
  begin: 'this',
  async play({ redis, say }) {
    say('Redis is killed, and started again')
    await redis.restart()
    await sleep(afterwardsMs)
    say('Redis stands still')
    redis.pause()
    await sleep(5_000)
    redis.resume()
    await sleep(afterwardsMs)
    say('Redis is away')
    await redis.kill()
    await sleep(5_000)
    await redis.restart()
    await sleep(afterwardsMs)
    return { faults: [] }
  },
}

/** What the service says while its bucket is away for longer than it waits for it: not now, or what it knew last, marked as such. */
const unavailable = /^503 |^stale, and says so$/

/** S9: for 2 s nothing fails; for longer only what has to. */
export const pausedBucket: Scenario = {
  name: 'S9',
  title: 'MinIO stands still for 2 s, three times, then for 12 s',
  begin: 'this',
  async play({ minio, say }) {
    const pause = async (forMs: number) => {
      say(`MinIO stands still for ${forMs} ms`)
      minio.pause()
      await sleep(forMs)
      minio.resume()
      await sleep(afterwardsMs)
    }
    for (let count = 0; count < 3; count++) await pause(2_000)
    const fromMs = Date.now()
    await pause(12_000)
    const untilMs = Date.now() - afterwardsMs
    const why = 'MinIO stood still for 12 s'
    return { faults: [], excuses: [{ why, fromMs, untilMs, failure: unavailable }] }
  },
}

/** S10: what it was sent before it stood still may come too late, or be refused when it wakes up; nothing that comes later. */
export const frozenReplica: Scenario = {
  name: 'S10',
  title:
    'a replica stands still for three times the life of its announcement, while the format changes',
  begin: 'this',
  projects: 24,
  ends: { format: 2, reached: true },
  async play(stage) {
    const { fleet, layer4, chance, times, say } = stage
    const [frozen] = fleet.replicas
    if (frozen === undefined) throw new Error('there is no replica')
    const { service } = frozen
    const { port } = service
    const fromMs = Date.now()
    service.process.signal('SIGSTOP')
    say(`replica ${port} stands still`)
    const asleep = sleep(3 * 6 * times.heartbeatSeconds * 1_000)
    // Until a kubelet knows.
    await sleep(chance.between(...times.removeMs))
    fleet.withdraw(frozen)
    const most = layer4.connectionsTo(port)
    const migrating = mustMigrate(stage, 'to 2 --rate 6')
    await asleep
    const { replicas } = await statusOf(stage)
    const faults: string[] = []
    if (!replicas.some(({ liveness }) => liveness === 'silent')) {
      faults.push('a replica that stood still is not told of as silent')
    }
    service.process.signal('SIGCONT')
    const untilMs = Date.now()
    await isReadyAgain(service)
    fleet.restore(frozen)
    say(`replica ${port} goes on`)
    faults.push(...(await migrating))
    await sleep(afterwardsMs)
    faults.push(...(await standsAt(stage, { format: 2, reached: true })))
    const why = `of the ${most} requests that the replica was sent before it stood still`
    const failure = /^(408|503) |no answer in|^stale, and says so$/
    return { faults, excuses: [{ why, fromMs, untilMs, failure, most }] }
  },
}

/** S11. */
export const killedReplica: Scenario = {
  name: 'S11',
  title: 'replicas are killed: what was under way there fails, and nothing else',
  begin: 'this',
  ends: { format: 1, reached: false, killed: 3 },
  async play({ fleet, layer4, say }) {
    const excuses = []
    for (let count = 0; count < 3; count++) {
      const [killed] = fleet.replicas
      if (killed === undefined) throw new Error('there is no replica')
      const { port } = killed.service
      const most = layer4.connectionsTo(port)
      const fromMs = Date.now()
      say(`replica ${port} is killed, with ${most} connections`)
      await fleet.kill(killed)
      const why = `under way at replica ${port}, which was killed with ${most} connections`
      const failure = /^502 |ECONNRESET|EPIPE|socket hang up|ended before it was whole/
      excuses.push({ why, fromMs, untilMs: Date.now(), failure, most, port })
      await fleet.grow(killed.build)
      await sleep(afterwardsMs)
    }
    return { faults: [], excuses }
  },
}

async function isReadyAgain({ url }: Service): Promise<void> {
  const ready = () => send(url, { method: 'GET', path: '/readyz' })
  await waitFor(async () => (await ready()).status === 200, {
    what: 'a thawed replica to be ready',
  })
}
