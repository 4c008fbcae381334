/** Where a run takes place: a real MinIO with a fresh bucket, and the built program as processes of their own. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openS3Store } from '../src/store/s3.ts'
import type { Store } from '../src/store/store.ts'
import { type FaultProxy, startFaultProxy } from '../test/support/fault-proxy.ts'
import {
  freePort,
  makeFolder,
  type RunningProcess,
  removeFolder,
  startProcess,
  waitFor,
} from '../test/support/processes.ts'
import { repositoryRoot } from '../test/support/programs.ts'
import type { S3Server } from '../test/support/servers.ts'

export const programFile = join(repositoryRoot, 'dist', 'src', 'main.js')
const clientFile = join(repositoryRoot, 'dist', 'bench', 'client.js')

/** A bucket, and how to reach it. */
export interface Bucket {
  bucket: string
  endpoint: string
  region: string
  accessKeyId: string
  secretAccessKey: string
}

/** Opens a bucket by the service's own adapter. */
export function openBucket({ accessKeyId, secretAccessKey, ...location }: Bucket): Promise<Store> {
  const credentials = () => ({ accessKeyId, secretAccessKey })
  return openS3Store({ ...location, prefix: '', style: 'path', credentials })
}

/** A server that is measured. */
export interface Subject {
  readonly url: string
  /** Seconds of processor time that it took so far; 0 where the system does not tell. */
  cpuSeconds(): Promise<number>
  /** The most memory that was resident so far, MiB; 0 where the system does not tell. */
  peakMiB(): Promise<number>
  /** Lets it end by itself, then removes its folder; again: nothing. */
  stop(): Promise<void>
}

/** What a run starts; all of it is gone when the run is. */
export interface Place {
  /** Makes a fresh bucket. */
  makeBucket(): Promise<Bucket>
  /**
   * Starts the built program on a bucket and waits until it is ready.
   * @param options.env more settings
   * @param options.nodeFlags as `--cpu-prof`
   */
  startService(options: {
    bucket: Bucket
    env?: Record<string, string>
    nodeFlags?: string[]
  }): Promise<Subject>
  /**
   * Starts a program of Node's, its log lines thrown away, and waits until it answers 200.
   * @param options.args of `node`
   */
  startSubject(options: SubjectOptions): Promise<Subject>
  /** Lets all that was started end by itself. */
  close(): Promise<void>
}

interface SubjectOptions {
  args: string[]
  port: number
  env?: Record<string, string>
  readyPath: string
}

export interface StoreOptions {
  /** Where buckets are made, once one is asked for. */
  minio: () => Promise<S3Server>
  /** Each call takes so much longer; default 0. */
  delayMs?: number
}

export function createPlace({ minio: startedMinio, delayMs = 0 }: StoreOptions): Place {
  const subjects: Subject[] = []
  let slow: Promise<FaultProxy> | undefined
  const slowed = (endpoint: string): Promise<FaultProxy> => {
    slow ??= startFaultProxy(endpoint).then((proxy) => {
      proxy.decide = () => ({ delayMs })
      return proxy
    })
    return slow
  }
  const startSubject: Place['startSubject'] = async (options) => {
    const subject = await startReady(options)
    subjects.push(subject)
    return subject
  }
  return {
    async makeBucket() {
      const minio = await startedMinio()
      const { region, accessKeyId, secretAccessKey } = minio
      const { endpoint } = delayMs > 0 ? await slowed(minio.endpoint) : minio
      return { bucket: await minio.createBucket(), endpoint, region, accessKeyId, secretAccessKey }
    },
    async startService({ bucket, env = {}, nodeFlags = [] }) {
      const port = await freePort()
      const args = [...nodeFlags, programFile]
      const settings = { ...settingsFor(bucket), ...env, PORT: `${port}` }
      return startSubject({ args, port, env: settings, readyPath: '/readyz' })
    },
    startSubject,
    async close() {
      await Promise.all(subjects.map((subject) => subject.stop()))
      await (await slow)?.stop()
    },
  }
}

function settingsFor(bucket: Bucket): Record<string, string> {
  return {
    STORE_URL: `s3://${bucket.bucket}?endpoint=${bucket.endpoint}&region=${bucket.region}`,
    AWS_ACCESS_KEY_ID: bucket.accessKeyId,
    AWS_SECRET_ACCESS_KEY: bucket.secretAccessKey,
    DRAIN_WINDOW_SECONDS: '0.2',
  }
}

async function startReady({ args, port, env = {}, readyPath }: SubjectOptions): Promise<Subject> {
  const folder = makeFolder('bench')
  // The shell becomes the program; nobody spends processor time on reading lines.
  const command = ['-c', 'exec "$0" "$@" >/dev/null', process.execPath, ...args]
  const running = startProcess('/bin/sh', command, { cwd: folder, env })
  const url = `http://127.0.0.1:${port}`
  await waitFor(() => running.exited() !== undefined || answers(url + readyPath), {
    timeoutMs: 30_000,
    what: `${args.at(-1)} to be ready`,
  })
  if (running.exited() !== undefined) throw new Error(`it ended at once: ${running.output()}`)
  return {
    url,
    cpuSeconds: () => cpuSecondsOf(running.pid),
    peakMiB: () => peakMiBOf(running.pid),
    stop: () => stop(running, folder),
  }
}

/** Whether a URL is answered with 200. */
export async function answers(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url)
    await answer.arrayBuffer()
    return answer.status === 200
  } catch {
    return false
  }
}

async function stop(running: RunningProcess, folder: string): Promise<void> {
  running.signal('SIGTERM')
  await running.ended()
  removeFolder(folder)
}

/**
 * Seconds of processor time that a process took so far; 0 where the system does not tell.
 * @see proc(5): user and system time are the 14th and 15th field, in ticks of 10 ms
 */
export async function cpuSecondsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / 100
}

/** @see proc(5): the high water mark of `VmRSS` */
async function peakMiBOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return Number(/VmHWM:\s*(\d+) kB/.exec(status)?.[1] ?? 0) / 1_024
}

/** Sums up what `/metrics` says of a metric, whatever its labels. */
export async function readMetric(url: string, name: string): Promise<number> {
  const answer = await fetch(`${url}/metrics`)
  const lines = (await answer.text()).split('\n')
  const own = lines.filter((line) => /^[^{ ]+/.exec(line)?.[0] === name)
  if (own.length === 0) throw new Error(`there is no metric ${name}`)
  return own.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}

/** Runs a task of `client.ts` in a process of its own. @returns what it measured */
export async function runClient<Measured>(task: object): Promise<Measured> {
  const running = startProcess(process.execPath, [clientFile], {
    env: { BENCH_TASK: JSON.stringify(task) },
  })
  const exit = await running.ended()
  if (exit !== 0) throw new Error(`the client ended with ${exit}: ${running.output()}`)
  return JSON.parse(running.output()) as Measured
}
