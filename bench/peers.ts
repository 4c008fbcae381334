/**
 * The service beside others, and beside what limits it: the same files, the same load, durable writes, all in one run on one
 * machine.
 */
import { statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { startEtcd, startMinio, startRedis } from '../test/support/servers.ts'
import type { Writes } from './client.ts'
import { makeProject, project, readPath, writerPath, yamlFile } from './files.ts'
import { putAndCheck, rangeOf, revisionOf } from './peer-etcd.ts'
import { type GitPeer, makeGitPeer } from './peer-git.ts'
import { cpuSecondsOf, createPlace, type Place, runClient } from './place.ts'
import { record, startBaseline } from './read-load.ts'
import type { Row, Sample } from './rows.ts'
import { type Effort, mean } from './scenario.ts'
import {
  createFor,
  holdTo,
  manyProjects,
  manyWriters,
  replicaCount,
  startGroup,
  writeWith,
} from './write-load.ts'
import { type Load, loadByWrk } from './wrk.ts'

const connections = 128
/** @see statfs(2) */
const tmpfsMagic = 0x01021994

/** Whoever is measured. */
export interface Contender {
  readonly name: string
  readonly does: 'reads' | 'writes'
  /** This service, another, or what this service cannot be faster than. */
  readonly side: 'own' | 'other' | 'limit'
  readonly who: string
  readonly driven: string
}

const byClient = 'the load program, 128 writers'
export const contenders = [
  {
    name: 'service-reads',
    does: 'reads',
    side: 'own',
    who: 'this service, 1 replica',
    driven: 'wrk, GET',
  },
  {
    name: 'replicas-reads',
    does: 'reads',
    side: 'own',
    who: 'this service, 3 replicas',
    driven: 'three wrk at once, 43, 43 and 42 connections, GET',
  },
  {
    name: 'etcd-reads',
    does: 'reads',
    side: 'other',
    who: 'etcd, its JSON gateway',
    driven: 'wrk, POST `/v3/kv/range`',
  },
  {
    name: 'koa-reads',
    does: 'reads',
    side: 'limit',
    who: 'Koa alone, the same answer from memory',
    driven: 'wrk, GET',
  },
  {
    name: 'service-writes',
    does: 'writes',
    side: 'own',
    who: 'this service, 1 replica, one project',
    driven: `${byClient}, PUT`,
  },
  {
    name: 'service-many-writes',
    does: 'writes',
    side: 'own',
    who: 'this service, 1 replica, 64 projects',
    driven: `${byClient}, PUT`,
  },
  {
    name: 'replicas-writes',
    does: 'writes',
    side: 'own',
    who: 'this service, 3 replicas with Redis, one project',
    driven: `${byClient} over the three, PUT`,
  },
  {
    name: 'etcd-writes',
    does: 'writes',
    side: 'other',
    who: 'etcd, its JSON gateway',
    driven: `${byClient}, POST \`/v3/kv/put\``,
  },
  {
    name: 'git-durable-writes',
    does: 'writes',
    side: 'other',
    who: 'git commit + push, `core.fsync=all`',
    driven: 'one after the other, as under a lock',
  },
  {
    name: 'git-writes',
    does: 'writes',
    side: 'other',
    who: 'git commit + push, its defaults (not durable)',
    driven: 'one after the other, as under a lock',
  },
  {
    name: 'minio-one-create',
    does: 'writes',
    side: 'limit',
    who: 'MinIO alone, one create of 1.5 KB after the other',
    driven: 'our adapter',
  },
  {
    name: 'minio-creates',
    does: 'writes',
    side: 'limit',
    who: 'MinIO alone, 128 creates of 1.5 KB at a time',
    driven: 'our adapter',
  },
] as const satisfies readonly Contender[]

export type ContenderName = (typeof contenders)[number]['name']

/** A row whose figure is how many times as many a second one contender does as another. */
export interface PeerRow extends Row {
  readonly of: ContenderName
  readonly beside: ContenderName
}

const ratio = { figure: 'ratio', better: 'higher' } as const
export const peerRows = [
  {
    ...ratio,
    name: 'reads-beside-etcd',
    what: 'linearizable reads, 128 connections',
    baseline: "etcd's gateway, linearizable range of one key",
    unit: 'reads/s',
    of: 'service-reads',
    beside: 'etcd-reads',
    must: 3,
    aim: 7,
  },
  {
    ...ratio,
    name: 'writes-beside-etcd',
    what: '128 writers on one project, each write its own commit',
    baseline: "etcd's gateway, 128 puts at a time",
    unit: 'writes/s',
    of: 'service-writes',
    beside: 'etcd-writes',
    must: 0.4,
    aim: 1,
  },
  {
    ...ratio,
    name: 'writes-beside-git',
    what: 'the same',
    baseline: 'git commit + push, one after the other, `core.fsync=all`',
    unit: 'writes/s',
    of: 'service-writes',
    beside: 'git-durable-writes',
    must: 50,
    aim: 200,
  },
] as const satisfies readonly PeerRow[]

/** What one contender did in one run. */
export interface Measured {
  perSecond: number
  p50Ms: number
  p99Ms: number
  /** Processor time of all servers that had to do with it, for one request, microseconds; none where nobody counts it. */
  cpuMicros?: number
  /** Processors that the load itself kept busy; none where nobody counts them. */
  loadProcessors?: number
}

export type PeerRun = Record<ContenderName, Measured>

/** What a row is judged by: what each run measured of the two that it compares. */
export function samplesOf({ of, beside }: PeerRow, runs: readonly PeerRun[]): Sample[] {
  return runs.map((run) => ({ value: run[of].perSecond, baseline: run[beside].perSecond }))
}

/**
 * Starts everybody anew, and lets them take turns: all readers, then all writers.
 * @throws where the temporary folder lies in memory: nothing would be durable there
 */
export async function runPeers(effort: Effort): Promise<PeerRun> {
  if (statfsSync(tmpdir()).type === tmpfsMagic) {
    throw new Error(`${tmpdir()} lies in memory: set TMPDIR to a folder on a disk`)
  }
  const ends: (() => unknown)[] = []
  try {
    const ground = await openGround((end) => ends.unshift(end))
    const measured = [
      ...(await inTurns(await prepareReads(ground, effort), effort)),
      ...(await inTurns(await prepareWrites(ground, effort), effort)),
    ]
    return Object.fromEntries(measured) as PeerRun
  } finally {
    for (const end of ends) await end()
  }
}

type Ground = Awaited<ReturnType<typeof openGround>>

/** Everything that is compared, each on this disk. @param atEnd takes what stops a part of it; the last one comes first */
async function openGround(atEnd: (end: () => unknown) => void) {
  const begin = async <T extends { stop(): Promise<void> }>(starting: Promise<T>): Promise<T> => {
    const server = await starting
    atEnd(() => server.stop())
    return server
  }
  const git = (isDurable: boolean): GitPeer => {
    const peer = makeGitPeer(manyWriters, { isDurable })
    atEnd(() => peer.remove())
    return peer
  }
  const minio = await begin(startMinio())
  const redis = await begin(startRedis())
  const etcd = await begin(startEtcd())
  const place = createPlace({ minio: async () => minio })
  atEnd(() => place.close())
  return {
    place,
    minio: processorsOf(minio),
    redis: processorsOf(redis),
    etcd: { url: etcd.url, ...processorsOf(etcd) },
    alone: await startGroup(place, 1, {}),
    together: await startGroup(place, replicaCount, { REDIS_URL: redis.url }),
    git: { durable: git(true), usual: git(false) },
  }
}

interface Counted {
  cpuSeconds(): Promise<number>
}

function processorsOf(server: { readonly pid: number }): Counted {
  return { cpuSeconds: () => cpuSecondsOf(server.pid) }
}

/** One contender's turn: requests are all that were answered, the warm-up's too. */
interface Turn extends Load {
  loadProcessors?: number
}

/** What a contender does in its turn, and whose processor time that takes. */
interface Meter {
  name: ContenderName
  servers: readonly Counted[]
  turn(): Promise<Turn>
}

async function inTurns(
  meters: readonly Meter[],
  { rounds }: Effort,
): Promise<[ContenderName, Measured][]> {
  const turns = meters.map((): (Turn & { cpuMicros: number })[] => [])
  for (let round = 0; round < rounds; round++) {
    for (const [at, meter] of meters.entries()) turns[at]?.push(await countedTurn(meter))
  }
  return meters.map(({ name, servers }, at) => [name, joinTurns(turns[at] ?? [], servers.length)])
}

async function countedTurn({ servers, turn }: Meter): Promise<Turn & { cpuMicros: number }> {
  const cpuSeconds = async () => {
    let sum = 0
    for (const server of servers) sum += await server.cpuSeconds()
    return sum
  }
  const before = await cpuSeconds()
  const taken = await turn()
  return { ...taken, cpuMicros: (((await cpuSeconds()) - before) * 1e6) / taken.requests }
}

function joinTurns(turns: readonly (Turn & { cpuMicros: number })[], servers: number): Measured {
  const meanOf = (name: 'perSecond' | 'p50Ms' | 'p99Ms' | 'cpuMicros') =>
    mean(turns.map((turn) => turn[name]))
  const loads = turns.flatMap(({ loadProcessors }) => loadProcessors ?? [])
  return {
    perSecond: meanOf('perSecond'),
    p50Ms: meanOf('p50Ms'),
    p99Ms: meanOf('p99Ms'),
    ...(servers > 0 && { cpuMicros: meanOf('cpuMicros') }),
    ...(loads.length > 0 && { loadProcessors: mean(loads) }),
  }
}

async function prepareReads(ground: Ground, effort: Effort): Promise<Meter[]> {
  const { alone, together, etcd, minio, redis, place } = ground
  const urls = (replicas: Ground['alone']) => replicas.map(({ url }) => url + readPath)
  await putAndCheck(etcd.url, readPath, yamlFile('read'))
  const koa = await startKoa(place, urls(alone)[0] as string)
  const warmedUp = (load: (seconds: number) => Promise<Load>) => async () => {
    const warmUp = await load(effort.warmUpSeconds)
    const measured = await load(effort.sliceSeconds)
    return { ...measured, requests: warmUp.requests + measured.requests }
  }
  const gets = (asked: readonly string[]) => warmedUp((seconds) => spreadOver(asked, seconds))
  const range = { url: `${etcd.url}/v3/kv/range`, post: rangeOf(readPath) }
  return [
    { name: 'service-reads', servers: [...alone, minio], turn: gets(urls(alone)) },
    { name: 'replicas-reads', servers: [...together, minio, redis], turn: gets(urls(together)) },
    {
      name: 'etcd-reads',
      servers: [etcd],
      turn: warmedUp((seconds) => loadByWrk({ ...range, seconds })),
    },
    { name: 'koa-reads', servers: [koa], turn: gets(urls([koa])) },
  ]
}

async function startKoa(place: Place, url: string) {
  return startBaseline(place, 'bare', await record(url))
}

/** All connections dealt out to some URLs, with a wrk for each, as one wrk asks one address. */
async function spreadOver(urls: readonly string[], seconds: number): Promise<Load> {
  const share = (at: number) =>
    Math.floor(connections / urls.length) + (at < connections % urls.length ? 1 : 0)
  return joinLoads(
    await Promise.all(urls.map((url, at) => loadByWrk({ url, seconds, connections: share(at) }))),
  )
}

/** Loads at the same time as one; its times are those of whoever was the slowest. */
export function joinLoads(loads: readonly Load[]): Load {
  const sum = (name: keyof Load) => loads.reduce((so, load) => so + load[name], 0)
  const most = (name: keyof Load) => Math.max(...loads.map((load) => load[name]))
  return {
    requests: sum('requests'),
    perSecond: sum('perSecond'),
    p50Ms: most('p50Ms'),
    p99Ms: most('p99Ms'),
  }
}

async function prepareWrites(ground: Ground, effort: Effort): Promise<Meter[]> {
  const { alone, together, etcd, git, minio, redis, place } = ground
  for (const name of manyProjects) await makeProject(alone[0]?.url as string, name)
  const bucket = await place.makeBucket()
  const writes = (replicas: Ground['alone'], projects: readonly string[]) => async () =>
    turnOf(await writeWith(replicas, manyWriters, effort, projects))
  const creates = (parallel: number) => async () =>
    turnOf(await createFor(bucket, effort, parallel))
  const own = [...alone, minio]
  return [
    { name: 'service-writes', servers: own, turn: writes(alone, [project]) },
    { name: 'service-many-writes', servers: own, turn: writes(alone, manyProjects) },
    {
      name: 'replicas-writes',
      servers: [...together, minio, redis],
      turn: writes(together, [project]),
    },
    { name: 'etcd-writes', servers: [etcd], turn: () => putInto(etcd.url, effort) },
    { name: 'git-durable-writes', servers: [], turn: () => pushTo(git.durable, effort) },
    { name: 'git-writes', servers: [], turn: () => pushTo(git.usual, effort) },
    { name: 'minio-one-create', servers: [minio], turn: creates(1) },
    { name: 'minio-creates', servers: [minio], turn: creates(manyWriters) },
  ]
}

function turnOf({ acknowledged, ...writes }: Writes): Turn {
  return { ...writes, requests: acknowledged }
}

/**
 * Puts keys by as many writers as the service has, one key each.
 * @throws where the puts that were acknowledged are not that many revisions
 */
export async function putInto(
  url: string,
  { sliceSeconds, warmUpSeconds }: Pick<Effort, 'sliceSeconds' | 'warmUpSeconds'>,
): Promise<Turn> {
  await putAndCheck(url, writerPath(0), yamlFile('first'))
  const before = await revisionOf(url)
  const task = { kind: 'puts', url, writers: manyWriters, seconds: sliceSeconds, warmUpSeconds }
  const writes = await runClient<Writes>(task)
  holdTo(writes, (await revisionOf(url)) - before)
  return turnOf(writes)
}

/**
 * Commits and pushes one file after the other.
 * @throws where the pushes that succeeded are not that many commits in the bare repository
 */
export async function pushTo(
  peer: GitPeer,
  { sliceSeconds, warmUpSeconds }: Pick<Effort, 'sliceSeconds' | 'warmUpSeconds'>,
): Promise<Turn> {
  const before = peer.commits()
  const { clone, paths } = peer
  const span = { writers: 1, seconds: sliceSeconds, warmUpSeconds }
  const writes = await runClient<Writes>({ kind: 'pushes', clone, paths, ...span })
  holdTo(writes, peer.commits() - before)
  return turnOf(writes)
}
