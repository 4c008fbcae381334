/**
 * The load of writes, and what is measured one by one, in a process of its own: the task comes in `BENCH_TASK`, what was
 * measured is printed as JSON.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { Agent, request } from 'node:http'
import { openS3Store } from '../src/store/s3.ts'
import type { Store } from '../src/store/store.ts'
import { writerPath, yamlFile } from './files.ts'
import type { Bucket } from './place.ts'
import { quantile } from './rows.ts'

/** Reads and probes, or writes and creates, by turns. */
interface LatencyTask {
  kind: 'latency'
  what: 'read' | 'write'
  bucket: Bucket
  /** Of the file that is read or written. */
  url: string
  /** So many of each are measured, unless that takes too long, after half as many that are not. */
  samples: number
}

/** Creates of 1.5 KB, one after the other. */
interface CreatesTask {
  kind: 'creates'
  bucket: Bucket
  seconds: number
}

/** Writers that each write a file of their own as fast as they are answered. */
interface WritersTask {
  kind: 'writers'
  /** Replicas; the writers are dealt out to them. */
  urls: string[]
  writers: number
  seconds: number
  warmUpSeconds: number
}

export type Task = LatencyTask | CreatesTask | WritersTask

/** p50 in milliseconds. */
export interface Latencies {
  service: number
  store: number
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

async function measureLatencies({ what, bucket, url, samples }: LatencyTask): Promise<Latencies> {
  const store = await openStore(bucket)
  const steps = what === 'read' ? readAndProbe(store, url) : writeAndCreate(store, url)
  const service: number[] = []
  const raw: number[] = []
  const endMs = performance.now() + latencyLimitMs
  for (let at = -samples / 2; at < samples; at++) {
    if (raw.length >= samplesLeast && performance.now() > endMs) break
    const [serviceMs, storeMs] = [await timed(steps.service), await timed(steps.store)]
    if (at < 0) continue
    service.push(serviceMs)
    raw.push(storeMs)
  }
  await store.close()
  return { service: quantile(service, 0.5), store: quantile(raw, 0.5) }
}

interface Steps {
  service(): Promise<unknown>
  store(): Promise<unknown>
}

function readAndProbe(store: Store, url: string): Steps {
  return {
    service: () => send('GET', url),
    async store() {
      const found = await store.get('projects/sockshop/log/99999999999999999999.bundle', {
        timeoutMs,
      })
      if (found !== null) throw new Error('a key that should be absent is there')
    },
  }
}

function writeAndCreate(store: Store, url: string): Steps {
  return {
    service: () => send('PUT', url, bodyOf(randomUUID())),
    store: () => createOne(store),
  }
}

async function createOne(store: Store): Promise<void> {
  const key = `bench/${randomUUID()}`
  const { result } = await store.create(key, randomBytes(createBytes), { timeoutMs })
  if (result !== 'created') throw new Error(`a create of a new key: ${result}`)
}

async function measureCreates({ bucket, seconds }: CreatesTask): Promise<{ perSecond: number }> {
  const store = await openStore(bucket)
  for (let at = 0; at < 100; at++) await createOne(store)
  const startedMs = performance.now()
  const endMs = startedMs + seconds * 1_000
  let count = 0
  for (; performance.now() < endMs; count++) await createOne(store)
  const perSecond = (count * 1_000) / (performance.now() - startedMs)
  await store.close()
  return { perSecond }
}

async function measureWriters(task: WritersTask): Promise<Writes> {
  const id = randomUUID()
  const fromMs = performance.now() + task.warmUpSeconds * 1_000
  const endMs = fromMs + task.seconds * 1_000
  const commits = new Set<string>()
  const durations: number[] = []
  let acknowledged = 0

  const write = async (writer: number): Promise<void> => {
    const url = `${task.urls[writer % task.urls.length]}${writerPath(writer)}`
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
  await Promise.all(Array.from({ length: task.writers }, (_, writer) => write(writer)))
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

function openStore({ accessKeyId, secretAccessKey, ...location }: Bucket): Promise<Store> {
  const credentials = () => ({ accessKeyId, secretAccessKey })
  return openS3Store({ ...location, prefix: '', style: 'path', credentials })
}

async function run(task: Task): Promise<object> {
  if (task.kind === 'latency') return measureLatencies(task)
  return task.kind === 'creates' ? measureCreates(task) : measureWriters(task)
}

process.stdout.write(JSON.stringify(await run(JSON.parse(process.env.BENCH_TASK ?? '') as Task)))
agent.destroy()
