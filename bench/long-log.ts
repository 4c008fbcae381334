/** What a long log costs: its writes and reads, and the first answer of a process that did not know it. */
import { makeFolder, removeFolder } from '../test/support/processes.ts'
import type { Latencies } from './client.ts'
import { makeProject, project, readPathOf } from './files.ts'
import { type Bucket, openBucket, type Place, runClient } from './place.ts'
import { median } from './rows.ts'
import type { Effort, Scenario } from './scenario.ts'

const young = 'young'
/** Entries of the young project, those that make it among them. */
const youngEntries = 100
/** So many writes leave the young one young. */
const writeSamples = 100
const timeoutMs = 30_000

export const longLog: Scenario = {
  rows: ['long-log-writes', 'long-log-reads', 'cold', 'warm'],
  async run(place, effort) {
    const bucket = await place.makeBucket()
    const folder = makeFolder('bench-cache')
    try {
      const env = { CACHE_DIR: folder }
      const grown = await grow(place, { bucket, env, effort })
      const get = await getMs(bucket, effort)
      const first = (settings: Record<string, string>) =>
        firstAnswerMs(place, { bucket, env: settings, times: effort.starts })
      return {
        ...grown,
        cold: { value: await first({}), baseline: get },
        warm: { value: await first(env), baseline: get },
      }
    } finally {
      removeFolder(folder)
    }
  },
}

/** Makes the two projects, and compares them; what the process knew is in its cache folder then. */
async function grow(
  place: Place,
  { bucket, env, effort }: { bucket: Bucket; env: Record<string, string>; effort: Effort },
) {
  const service = await place.startService({ bucket, env })
  const urlOf = (name: string) => service.url + readPathOf(name)
  for (const [name, entries] of [
    [project, effort.entries],
    [young, youngEntries],
  ] as const) {
    await makeProject(service.url, name)
    await runClient({ kind: 'entries', url: urlOf(name), count: entries - youngEntries / 2 })
  }
  const urls = [urlOf(project), urlOf(young)]
  const pair = (what: 'read' | 'write', samples: number) =>
    runClient<Latencies>({ kind: 'pair', what, urls, samples })
  const writes = await pair('write', writeSamples)
  const reads = await pair('read', effort.samples)
  await service.stop()
  return { 'long-log-writes': writes, 'long-log-reads': reads }
}

/** From the request to its answer, of a process that is ready and was not asked for the project yet. */
async function firstAnswerMs(
  place: Place,
  { bucket, env, times }: { bucket: Bucket; env: Record<string, string>; times: number },
): Promise<number> {
  const taken: number[] = []
  for (let at = 0; at < times; at++) {
    const service = await place.startService({ bucket, env })
    // Another project first, so that connections and code are there.
    await timed(service.url + readPathOf(young))
    taken.push(await timed(service.url + readPathOf(project)))
    await service.stop()
  }
  return median(taken)
}

async function timed(url: string): Promise<number> {
  const startedMs = performance.now()
  const answer = await fetch(url)
  await answer.arrayBuffer()
  if (!answer.ok) throw new Error(`GET ${url}: ${answer.status}`)
  return performance.now() - startedMs
}

/** One GET of an entry, p50. */
async function getMs(bucket: Bucket, { samples }: Effort): Promise<number> {
  const store = await openBucket(bucket)
  const { objects } = await store.list({ prefix: `projects/${project}/log/`, timeoutMs })
  const taken: number[] = []
  for (let at = 0; at < Math.min(samples, 1_000); at++) {
    const startedMs = performance.now()
    await store.get(objects[at % objects.length]?.key ?? '', { timeoutMs })
    taken.push(performance.now() - startedMs)
  }
  await store.close()
  return median(taken)
}
