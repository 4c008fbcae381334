/**
 * The load of writes, and what is measured one by one, in a process of its own: the task comes in `BENCH_TASK`, what was
 * measured is printed as JSON.
 */
import { execFile } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { mapParallel } from '../src/repository/environment.ts'
import type { Store } from '../src/store/store.ts'
import { writerPath, yamlFile } from './files.ts'
import { putOf } from './peer-etcd.ts'
import { type Bucket, openBucket } from './place.ts'
import { quantile } from './rows.ts'

/** Reads and probes, or writes and creates, by turns. */
interface LatencyTask {
  kind: 'latency'
  what: 'read' | 'write' | 'batch'
  bucket: Bucket
  /** Of the file that is read or written, or of the scope whose files are. */
  url: string
  /** So many of each are measured, unless that takes too long, after half as many that are not. */
  samples: number
}

/** Two files, by turns. */
interface PairTask {
  kind: 'pair'
  what: 'read' | 'write'
  /** What is measured, and what it is compared with. */
  urls: readonly [string, string]
  samples: number
}

/** Creates of 1.5 KB. */
interface CreatesTask {
  kind: 'creates'
  bucket: Bucket
  seconds: number
  /** At a time. */
  parallel: number
}

/** One write after the other, each an entry of the log. */
interface EntriesTask {
  kind: 'entries'
  /** Of the file that is written. */
  url: string
  count: number
}

/** Projects with files, made and then read in turn. */
interface ManyTask {
  kind: 'make-many' | 'read-many'
  url: string
  projects: number
  files: number
}

/** How many write at a time, each as fast as it is answered, and for how long. */
interface Span {
  writers: number
  seconds: number
  warmUpSeconds: number
}

/** Writers that each write a file of their own. */
interface WritersTask extends Span {
  kind: 'writers'
  /** Replicas; the writers are dealt out to them. */
  urls: string[]
  /** The writers are dealt out to them. */
  projects: string[]
}

/** Writers that each put a key of their own into etcd, through its gateway. */
interface PutsTask extends Span {
  kind: 'puts'
  url: string
}

/** Files that are committed in a clone and pushed, each by itself. */
interface PushesTask extends Span {
  kind: 'pushes'
  /** The folder of the clone. */
  clone: string
  /** In the clone, written in turn. */
  paths: string[]
}

export type Task =
  | LatencyTask
  | PairTask
  | CreatesTask
  | EntriesTask
  | ManyTask
  | WritersTask
  | PutsTask
  | PushesTask

/** p50 in milliseconds. */
export interface Latencies {
  value: number
  baseline: number
}

export interface Writes {
  perSecond: number
  p50Ms: number
  p99Ms: number
  /** All that were answered, those of the warm-up too. */
  acknowledged: number
  /** Different commits (revisions of etcd) that the answers named. */
  commits: number
  /** Processors that the load itself kept busy. */
  loadProcessors: number
}

const createBytes = 1_500
const timeoutMs = 30_000
/** On a machine that is busy with other things fewer samples have to do. */
const latencyLimitMs = 30_000
const samplesLeast = 50
const agent = new Agent({ keepAlive: true })
const execute = promisify(execFile)
/** One shell for both: a fork of this process takes longer than one of a shell. */
const commitAndPush = 'git commit --quiet --message=write -- "$0" && exec git push --quiet'
/** Projects that are made or read at the same time. */
const atATime = 8

async function measureLatencies({ what, bucket, url, samples }: LatencyTask): Promise<Latencies> {
  const store = await openBucket(bucket)
  const latencies = await byTurns(stepsOf[what](store, url), samples)
  await store.close()
  return latencies
}

function measurePair({ what, urls, samples }: PairTask): Promise<Latencies> {
  const step = (url: string) => () =>
    what === 'read' ? send('GET', url) : send('PUT', url, bodyOf(randomUUID()))
  return byTurns({ value: step(urls[0]), baseline: step(urls[1]) }, samples)
}

async function byTurns(steps: Steps, samples: number): Promise<Latencies> {
  const values: number[] = []
  const baselines: number[] = []
  const endMs = performance.now() + latencyLimitMs
  for (let at = -Math.ceil(samples / 2); at < samples; at++) {
    if (values.length >= samplesLeast && performance.now() > endMs) break
    const [valueMs, baselineMs] = [await timed(steps.value), await timed(steps.baseline)]
    if (at < 0) continue
    values.push(valueMs)
    baselines.push(baselineMs)
  }
  return { value: quantile(values, 0.5), baseline: quantile(baselines, 0.5) }
}

interface Steps {
  value(): Promise<unknown>
  baseline(): Promise<unknown>
}

const stepsOf = { read: readAndProbe, write: writeAndCreate, batch: batchAndCreate }

function readAndProbe(store: Store, url: string): Steps {
  return {
    value: () => send('GET', url),
    async baseline() {
      const found = await store.get('projects/sockshop/log/99999999999999999999.bundle', {
        timeoutMs,
      })
      if (found !== null) throw new Error('a key that should be absent is there')
    },
  }
}

function writeAndCreate(store: Store, url: string): Steps {
  return {
    value: () => send('PUT', url, bodyOf(randomUUID())),
    baseline: () => createOne(store),
  }
}

function batchAndCreate(store: Store, url: string): Steps {
  return {
    value: () => send('PUT', url, filesOf(100)),
    baseline: () => createOne(store),
  }
}

/** @returns its key */
async function createOne(store: Store): Promise<string> {
  const key = `bench/${randomUUID()}`
  const { result } = await store.create(key, randomBytes(createBytes), { timeoutMs })
  if (result !== 'created') throw new Error(`a create of a new key: ${result}`)
  return key
}

async function measureCreates({ bucket, parallel, seconds }: CreatesTask): Promise<Writes> {
  const store = await openBucket(bucket)
  for (let at = 0; at < 100; at++) await createOne(store)
  const measured = await writeFor({ writers: parallel, seconds, warmUpSeconds: 0 }, () =>
    createOne(store),
  )
  await store.close()
  return measured
}

async function writeEntries({ url, count }: EntriesTask): Promise<object> {
  for (let at = 0; at < count; at++) await send('PUT', url, bodyOf(randomUUID()))
  return {}
}

async function makeMany({ url, projects, files }: ManyTask): Promise<object> {
  await mapParallel([...Array(projects).keys()], atATime, async (at) => {
    await send('POST', `${url}/v1/project`, `{"projectName":"many-${at}"}`)
    await send('PUT', `${url}/v1/project/many-${at}/resource`, filesOf(files))
  })
  return {}
}

async function readMany({ url, projects, files }: ManyTask): Promise<object> {
  await mapParallel([...Array(projects).keys()], atATime, async (at) => {
    for (let file = 0; file < files; file++)
      await send('GET', `${url}/v1/project/many-${at}/resource/${nameOfFile(file)}`)
  })
  return {}
}

async function inParallel(count: number, work: (at: number) => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, at) => work(at)))
}

function measureWriters({ urls, projects, ...span }: WritersTask): Promise<Writes> {
  return writeFor(span, async (writer, id) => {
    const path = writerPath(writer, projects[writer % projects.length])
    const answer = await send('PUT', `${urls[writer % urls.length]}${path}`, bodyOf(id))
    return (JSON.parse(answer) as { commitID: string }).commitID
  })
}

function measurePuts({ url, ...span }: PutsTask): Promise<Writes> {
  return writeFor(span, async (writer, id) => {
    const answer = await send('POST', `${url}/v3/kv/put`, putOf(writerPath(writer), yamlFile(id)))
    return (JSON.parse(answer) as { header: { revision: string } }).header.revision
  })
}

function measurePushes({ clone, paths, ...span }: PushesTask): Promise<Writes> {
  const env = { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' }
  let turn = 0
  return writeFor(span, async (_writer, id) => {
    const path = paths[turn++ % paths.length] as string
    await writeFile(join(clone, path), yamlFile(id))
    await execute('/bin/sh', ['-c', commitAndPush, path], { cwd: clone, env })
    return id
  })
}

/**
 * Lets writers write for a while.
 * @param write one write, of the writer of that number, with an id of its own; tells what the answer named
 */
async function writeFor(
  { writers, seconds, warmUpSeconds }: Span,
  write: (writer: number, id: string) => Promise<string>,
): Promise<Writes> {
  const id = randomUUID()
  const startMs = performance.now()
  const fromMs = startMs + warmUpSeconds * 1_000
  const endMs = fromMs + seconds * 1_000
  const named = new Set<string>()
  const durations: number[] = []
  let acknowledged = 0
  const cpuBefore = process.cpuUsage()
  await inParallel(writers, async (writer) => {
    for (let turn = 0; performance.now() < endMs; turn++) {
      const startedMs = performance.now()
      named.add(await write(writer, `${id} ${writer} ${turn}`))
      const endedMs = performance.now()
      acknowledged++
      if (endedMs >= fromMs && endedMs < endMs) durations.push(endedMs - startedMs)
    }
  })
  const { user, system } = process.cpuUsage(cpuBefore)
  return {
    perSecond: durations.length / seconds,
    p50Ms: quantile(durations, 0.5),
    p99Ms: quantile(durations, 0.99),
    acknowledged,
    commits: named.size,
    loadProcessors: (user + system) / 1_000 / (performance.now() - startMs),
  }
}

function bodyOf(id: string): string {
  return `{"resourceContent":"${yamlFile(id).toString('base64')}"}`
}

/** The body that writes files of a scope, each with a content of its own. */
function filesOf(count: number): string {
  const resources = Array.from({ length: count }, (_, at) => ({
    resourceURI: nameOfFile(at),
    resourceContent: yamlFile(randomUUID()).toString('base64'),
  }))
  return JSON.stringify({ resources })
}

function nameOfFile(at: number): string {
  return `file-${at}.yaml`
}

async function timed(step: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now()
  await step()
  return performance.now() - startedMs
}

/** @returns the body @throws where the answer is no 2xx */
function send(method: string, url: string, body?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers =
      body === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
    const sent = request(url, { method, agent, headers }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        const { statusCode = 0 } = response
        if (statusCode >= 200 && statusCode < 300) resolve(text)
        else reject(new Error(`${method} ${url}: ${statusCode} ${text}`))
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

function run(task: Task): Promise<object> {
  switch (task.kind) {
    case 'latency':
      return measureLatencies(task)
    case 'pair':
      return measurePair(task)
    case 'creates':
      return measureCreates(task)
    case 'entries':
      return writeEntries(task)
    case 'make-many':
      return makeMany(task)
    case 'read-many':
      return readMany(task)
    case 'writers':
      return measureWriters(task)
    case 'puts':
      return measurePuts(task)
    case 'pushes':
      return measurePushes(task)
  }
}

process.stdout.write(JSON.stringify(await run(JSON.parse(process.env.BENCH_TASK ?? '') as Task)))
agent.destroy()
