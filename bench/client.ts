/**
 * The load of writes, and what is measured one by one, in a process of its own: the task comes in `BENCH_TASK`, what was
 * measured is printed as JSON.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { Agent, request } from 'node:http'
import { mapParallel } from '../src/repository/environment.ts'
import type { Store } from '../src/store/store.ts'
import { writerPath, yamlFile } from './files.ts'
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

/** Writers that each write a file of their own as fast as they are answered. */
interface WritersTask {
  kind: 'writers'
  /** Replicas; the writers are dealt out to them. */
  urls: string[]
  writers: number
  /** The writers are dealt out to them. */
  projects: string[]
  seconds: number
  warmUpSeconds: number
}

export type Task = LatencyTask | PairTask | CreatesTask | EntriesTask | ManyTask | WritersTask

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
  /** Different commits that the answers named. */
  commits: number
}

const createBytes = 1_500
const timeoutMs = 30_000
/** On a machine that is busy with other things fewer samples have to do. */
const latencyLimitMs = 30_000
const samplesLeast = 50
const agent = new Agent({ keepAlive: true })
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

async function createOne(store: Store): Promise<void> {
  const key = `bench/${randomUUID()}`
  const { result } = await store.create(key, randomBytes(createBytes), { timeoutMs })
  if (result !== 'created') throw new Error(`a create of a new key: ${result}`)
}

async function measureCreates(task: CreatesTask): Promise<{ perSecond: number }> {
  const store = await openBucket(task.bucket)
  for (let at = 0; at < 100; at++) await createOne(store)
  const startedMs = performance.now()
  const endMs = startedMs + task.seconds * 1_000
  let count = 0
  await inParallel(task.parallel, async () => {
    for (; performance.now() < endMs; count++) await createOne(store)
  })
  const perSecond = (count * 1_000) / (performance.now() - startedMs)
  await store.close()
  return { perSecond }
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

async function measureWriters(task: WritersTask): Promise<Writes> {
  const id = randomUUID()
  const fromMs = performance.now() + task.warmUpSeconds * 1_000
  const endMs = fromMs + task.seconds * 1_000
  const commits = new Set<string>()
  const durations: number[] = []
  let acknowledged = 0

  const write = async (writer: number): Promise<void> => {
    const { urls, projects } = task
    const path = writerPath(writer, projects[writer % projects.length])
    const url = `${urls[writer % urls.length]}${path}`
    for (let turn = 0; performance.now() < endMs; turn++) {
      const body = bodyOf(`${id} ${writer} ${turn}`)
      const startedMs = performance.now()
      const answer = JSON.parse(await send('PUT', url, body)) as { commitID: string }
      const endedMs = performance.now()
      acknowledged++
      commits.add(answer.commitID)
      if (endedMs >= fromMs && endedMs < endMs) durations.push(endedMs - startedMs)
    }
  }
  await inParallel(task.writers, write)
  return {
    perSecond: durations.length / task.seconds,
    p50Ms: quantile(durations, 0.5),
    p99Ms: quantile(durations, 0.99),
    acknowledged,
    commits: commits.size,
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
  }
}

process.stdout.write(JSON.stringify(await run(JSON.parse(process.env.BENCH_TASK ?? '') as Task)))
agent.destroy()
