/**
 * Replicas and their controller: what a Deployment with maxSurge 1 and maxUnavailable 0 does, step by step, with a kubelet that
 * sends SIGTERM after preStop and a kube-proxy that learns of it all a little late.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Chance } from '../support/chance.ts'
import { waitFor } from '../support/processes.ts'
import { send } from '../support/send.ts'
import { type Service, startService } from '../support/service.ts'
import type { GateTimes } from './times.ts'

/** What becomes the replica: which build, with which settings. */
export interface Build {
  name: string
  /** What node runs. */
  program: string
  env: Record<string, string>
}

/** Who is told which replicas there are. */
export interface Endpoints {
  add(port: number): void
  remove(port: number): void
}

/** What became of a replica, and when, by the machine's clock. */
export interface Step {
  atMs: number
  build: string
  what: 'ready' | 'SIGTERM' | 'ended'
}

/** How a replica ended. */
export interface Ending {
  build: string
  /** Its exit code, or the signal that killed it. */
  exit: number | string
  /** From SIGTERM to its end. */
  drainMs: number
  /** Whether grace was over before it was. */
  killed: boolean
  /** Requests that it served after SIGTERM had come. */
  servedDraining: number
}

export interface Replica {
  readonly build: Build
  readonly service: Service
}

export interface Fleet {
  readonly replicas: readonly Replica[]
  readonly endings: readonly Ending[]
  readonly steps: readonly Step[]
  /** How many were replaced. */
  readonly replacements: number
  /** Starts one more that nobody is sent to. @param until `listening` unless told */
  start(build: Build, until?: 'listening' | 'ready'): Promise<Service>
  /** Starts one more and brings it into service. */
  grow(build: Build): Promise<Replica>
  /** Replaces the oldest: the new one first. Returns once the old one is terminating, as a Deployment goes on. */
  replace(build: Build): Promise<void>
  /** Ends one, with preStop and a drain. Returns at once. */
  terminate(replica: Replica): void
  /** kill -9, and nobody is sent to it any more. */
  kill(replica: Replica): Promise<void>
  /** Nobody is sent to it any more, as it is not ready. */
  withdraw(replica: Replica): void
  /** It is ready again. */
  restore(replica: Replica): void
  /** Waits until whatever is terminating has ended. */
  settled(): Promise<void>
  /** Ends all, as a replacement does. */
  stop(): Promise<void>
  /** kill -9 for whatever is left. */
  dispose(): Promise<void>
}

/** A fleet with no replica yet. */
export function createFleet(options: {
  endpoints: readonly Endpoints[]
  times: GateTimes
  chance: Chance
  say: (line: string) => void
  /** Ends whatever it waits for. */
  signal?: AbortSignal
}): Fleet {
  const { endpoints, times, chance, say, signal } = options
  const replicas: Replica[] = []
  const endings: Ending[] = []
  const steps: Step[] = []
  let replacements = 0
  const terminating = new Set<Promise<void>>()
  const services: Service[] = []
  const wait = (ms: number) => sleep(ms, undefined, { ...(signal && { signal }) })
  const within = ([from, to]: readonly [number, number]) => wait(chance.between(from, to))
  const note = (what: Step['what'], { name }: Build) =>
    void steps.push({ atMs: Date.now(), build: name, what })

  async function start(build: Build, until: 'listening' | 'ready' = 'listening'): Promise<Service> {
    const service = await startService({
      timeoutMs: 120_000,
      program: build.program,
      until,
      env: {
        ...build.env,
        DRAIN_WINDOW_SECONDS: String(times.windowSeconds),
        REQUEST_TIMEOUT_SECONDS: String(times.requestSeconds),
      },
    })
    services.push(service)
    return service
  }

  async function grow(build: Build): Promise<Replica> {
    const startedMs = performance.now()
    const service = await start(build, 'ready')
    const ready = () =>
      send(service.url, { method: 'GET', path: '/readyz' }).then(({ status }) => status === 200)
    await waitFor(ready, { what: 'a new replica to be ready', timeoutMs: 30_000 })
    say(`replica ${service.port} was ready after ${Math.round(performance.now() - startedMs)} ms`)
    await wait(times.minReadyMs)
    const replica = { build, service }
    replicas.push(replica)
    await within(times.addMs)
    restore(replica)
    note('ready', build)
    return replica
  }

  function terminate(replica: Replica): void {
    replicas.splice(replicas.indexOf(replica), 1)
    const ended = Promise.all([forget(replica), end(replica)])
      .then(() => {})
      .catch((error) => {
        if (!signal?.aborted) throw error
      })
      .finally(() => terminating.delete(ended))
    terminating.add(ended)
  }

  /** Whoever sends to it learns that it goes, which may be after it does. */
  async function forget(replica: Replica): Promise<void> {
    await within(times.removeMs)
    withdraw(replica)
  }

  function withdraw({ service }: Replica): void {
    for (const one of endpoints) one.remove(service.port)
  }

  function restore({ service }: Replica): void {
    for (const one of endpoints) one.add(service.port)
  }

  async function end({ build, service }: Replica): Promise<void> {
    const startedMs = performance.now()
    await wait(times.preStopMs)
    note('SIGTERM', build)
    const signalledMs = performance.now()
    const before = requestsOf(service)
    let killed = false
    const graceLeftMs = times.graceMs - (signalledMs - startedMs)
    const timer = setTimeout(() => {
      killed = true
      service.process.signal('SIGKILL')
    }, graceLeftMs)
    const exit = await service.stop()
    clearTimeout(timer)
    note('ended', build)
    const drainMs = Math.round(performance.now() - signalledMs)
    const servedDraining = requestsOf(service) - before
    endings.push({ build: build.name, exit, drainMs, killed, servedDraining })
    say(`replica ${service.port} ended with ${exit} after ${drainMs} ms`)
  }

  return {
    replicas,
    endings,
    steps,
    get replacements() {
      return replacements
    },
    start,
    grow,
    async replace(build) {
      const [oldest] = replicas
      const { service } = await grow(build)
      if (oldest !== undefined) {
        terminate(oldest)
        replacements++
      }
      say(`replica ${service.port} took over from ${oldest?.service.port}`)
    },
    terminate,
    async kill(replica) {
      replicas.splice(replicas.indexOf(replica), 1)
      withdraw(replica)
      await replica.service.process.kill()
    },
    withdraw,
    restore,
    async settled() {
      await Promise.all(terminating)
    },
    async stop() {
      for (const replica of [...replicas]) terminate(replica)
      await Promise.all(terminating)
    },
    async dispose() {
      await Promise.all(services.map((service) => service.dispose()))
    },
  }
}

function requestsOf(service: Service): number {
  return service
    .events()
    .filter(({ event, route }) => event === 'request' && String(route).startsWith('/v1')).length
}
