/** Many writers on one project: against creates one after the other, and of several replicas against one. */
import { startRedis } from '../test/support/servers.ts'
import type { Writes } from './client.ts'
import { countCommits, makeProject, project } from './files.ts'
import { type Bucket, type Place, runClient, type Subject } from './place.ts'
import { type Effort, mean, type Scenario } from './scenario.ts'

export const manyWriters = 128
const someWriters = 24
export const manyProjects = Array.from({ length: 64 }, (_, at) => `project-${at}`)
export const replicaCount = 3

export const writeLoad: Scenario = {
  rows: ['writes'],
  async run(place, effort) {
    const bucket = await place.makeBucket()
    const service = await place.startService({ bucket })
    await makeProject(service.url)
    const writes: Writes[] = []
    const creates: number[] = []
    const cpuBefore = await service.cpuSeconds()
    for (let round = 0; round < effort.rounds; round++) {
      creates.push((await createFor(bucket, effort)).perSecond)
      writes.push(await writeWith([service], manyWriters, effort))
    }
    const cpuSeconds = (await service.cpuSeconds()) - cpuBefore
    const value = mean(writes.map(({ perSecond }) => perSecond))
    return { writes: { value, baseline: mean(creates), notes: notesOf(writes, cpuSeconds) } }
  },
}

export const manyProjectsLoad: Scenario = {
  rows: ['many-projects'],
  async run(place, effort) {
    const bucket = await place.makeBucket()
    const service = await place.startService({ bucket })
    for (const name of manyProjects) await makeProject(service.url, name)
    const writes: Writes[] = []
    const creates: number[] = []
    const cpuBefore = await service.cpuSeconds()
    for (let round = 0; round < effort.rounds; round++) {
      creates.push((await createFor(bucket, effort, manyWriters)).perSecond)
      writes.push(await writeWith([service], manyWriters, effort, manyProjects))
    }
    const cpuSeconds = (await service.cpuSeconds()) - cpuBefore
    const value = mean(writes.map(({ perSecond }) => perSecond))
    const notes = notesOf(writes, cpuSeconds)
    return { 'many-projects': { value, baseline: mean(creates), notes } }
  },
}

export const replicaLoad: Scenario = {
  rows: ['replicas'],
  async run(place, effort) {
    const redis = await startRedis()
    try {
      return { replicas: await compareReplicas(place, effort, { REDIS_URL: redis.url }) }
    } finally {
      await redis.stop()
    }
  },
}

async function compareReplicas(place: Place, effort: Effort, env: Record<string, string>) {
  const alone = await startGroup(place, 1, env)
  const together = await startGroup(place, replicaCount, env)
  const rates: Record<'alone' | 'together', number[]> = { alone: [], together: [] }
  for (let round = 0; round < effort.rounds; round++) {
    rates.alone.push((await writeWith(alone, someWriters, effort)).perSecond)
    rates.together.push((await writeWith(together, someWriters, effort)).perSecond)
  }
  return { value: mean(rates.together), baseline: mean(rates.alone) }
}

/** Replicas on one fresh bucket. */
export async function startGroup(
  place: Place,
  count: number,
  env: Record<string, string>,
): Promise<Subject[]> {
  const bucket = await place.makeBucket()
  const replicas: Subject[] = []
  for (let at = 0; at < count; at++) replicas.push(await place.startService({ bucket, env }))
  await makeProject((replicas[0] as Subject).url)
  return replicas
}

/**
 * Loads replicas with writers.
 * @throws where the writes that were acknowledged are not that many commits in the history
 */
export async function writeWith(
  replicas: Subject[],
  writers: number,
  effort: Effort,
  projects: readonly string[] = [project],
): Promise<Writes> {
  const urls = replicas.map(({ url }) => url)
  const count = async () => {
    let commits = 0
    for (const name of projects) commits += await countCommits(urls[0] as string, name)
    return commits
  }
  const before = await count()
  const { sliceSeconds: seconds, warmUpSeconds } = effort
  const task = { kind: 'writers', urls, writers, projects, seconds, warmUpSeconds }
  const writes = await runClient<Writes>(task)
  holdTo(writes, (await count()) - before)
  return writes
}

/** @param made how many writes more than before are there @throws where those that were acknowledged are not as many */
export function holdTo({ acknowledged, commits }: Writes, made: number): void {
  if (commits === acknowledged && made === acknowledged) return
  const told = `${acknowledged} writes were acknowledged with ${commits} commits`
  throw new Error(`${told}, the history holds ${made} more than before`)
}

/** Creates objects of 1.5 KB through our adapter, for half as long as others write. */
export function createFor(bucket: Bucket, { sliceSeconds }: Effort, parallel = 1): Promise<Writes> {
  const task = { kind: 'creates', bucket, parallel, seconds: Math.max(1, sliceSeconds / 2) }
  return runClient<Writes>(task)
}

function notesOf(writes: readonly Writes[], cpuSeconds: number) {
  const acknowledged = writes.reduce((sum, one) => sum + one.acknowledged, 0)
  return {
    p50Ms: mean(writes.map(({ p50Ms }) => p50Ms)),
    p99Ms: mean(writes.map(({ p99Ms }) => p99Ms)),
    cpuMicros: (cpuSeconds * 1e6) / acknowledged,
  }
}
