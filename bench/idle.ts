/** What a replica costs that nobody asks for anything, in a bucket of many projects of which a few were active. */
import { setTimeout as pause } from 'node:timers/promises'
import { mapParallel } from '../src/repository/environment.ts'
import { type Bucket, openBucket, type Place, readMetric, runClient } from './place.ts'
import type { Scenario } from './scenario.ts'

const activeShare = 0.02
const atATime = 32
const timeoutMs = 30_000
/** A few heartbeats. */
const idleSeconds = 30
/** What the last reads began in the background ends before anything is counted. */
const settleMs = 2_000
/** As `make-many` of `client.ts` names the first. */
const original = 'many-0'

export const idle: Scenario = {
  rows: ['idle-calls'],
  async run(place, { bystanders }) {
    const bucket = await place.makeBucket()
    await makeBystanders(place, bucket, bystanders)
    const { url, cpuSeconds, peakMiB } = await place.startService({ bucket })
    const active = Math.ceil(bystanders * activeShare)
    const readMs = await timed(async () => {
      for (let at = 0; at < active; at++) {
        await ask(`${url}/v1/project/${nameOf(at)}/resource/file-0.yaml`)
      }
    })
    await pause(settleMs)
    const calls = await readMetric(url, 'configuration_service_store_calls_total')
    const cpuBefore = await cpuSeconds()
    await pause(idleSeconds * 1_000)
    const value =
      ((await readMetric(url, 'configuration_service_store_calls_total')) - calls) *
      (60 / idleSeconds)
    const cpuPercent = (((await cpuSeconds()) - cpuBefore) / idleSeconds) * 100
    const listMs = await timed(() => ask(`${url}/v1/project?pageSize=50`))
    const notes = {
      active,
      firstReadMs: readMs / active,
      cpuPercent,
      listMs,
      peakMiB: await peakMiB(),
    }
    return { 'idle-calls': { value, notes } }
  },
}

const nameOf = (at: number) => `bystander-${at}`

/** The log of one project under many names: it does not say whose it is. */
async function makeBystanders(place: Place, bucket: Bucket, count: number): Promise<void> {
  const maker = await place.startService({ bucket })
  await runClient({ kind: 'make-many', url: maker.url, projects: 1, files: 1 })
  await maker.stop()
  const store = await openBucket(bucket)
  const prefix = `projects/${original}/log/`
  const { objects } = await store.list({ prefix, timeoutMs })
  for (const { key } of objects) {
    const found = await store.get(key, { timeoutMs })
    if (found === null || found === 'not-modified') throw new Error(`${key} is gone`)
    await mapParallel([...Array(count).keys()], atATime, (at) =>
      store.put(key.replace(original, nameOf(at)), found.body, { timeoutMs }),
    )
  }
  await store.close()
}

async function ask(url: string): Promise<void> {
  const answer = await fetch(url)
  await answer.arrayBuffer()
  if (!answer.ok) throw new Error(`GET ${url}: ${answer.status}`)
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return performance.now() - startedMs
}
