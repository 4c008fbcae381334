/**
 * Replicas and their controller: what a Deployment with maxSurge 1 and maxUnavailable 0 does, step by step, with a kubelet that
 * sends SIGTERM after preStop and a kube-proxy that learns of it all a little late.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Chance } from '../support/chance.ts'
import { waitFor } from '../support/processes.ts'
import { send } from '../support/send.ts'
import { type Service, startService } from '../support/service.ts'
import type { Layer4 } from './l4.ts'
import type { GateTimes } from './times.ts'

/** What becomes the replica: which build, with which settings. */
export interface Build {
  name: string
  /** What node runs. */
  program: string
  env: Record<string, string>
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
  /** Starts one more and brings it into service. */
  grow(build: Build): Promise<Replica>
  /** Replaces the oldest: the new one first. Returns once the old one is terminating, as a Deployment goes on. */
  replace(build: Build): Promise<void>
  /** Waits until whatever is terminating has ended. */
  settled(): Promise<void>
  /** Ends all, as a replacement does. */
  stop(): Promise<void>
  /** kill -9 for whatever is left. */
  dispose(): Promise<void>
}

/** A fleet with no replica yet. */
export function createFleet(options: {
  layer4: Layer4
  times: GateTimes
  chance: Chance
  say: (line: string) => void
}): Fleet {
  const { layer4, times, chance, say } = options
  const replicas: Replica[] = []
  const endings: Ending[] = []
  const terminating = new Set<Promise<void>>()
  const services: Service[] = []
  const within = ([from, to]: readonly [number, number]) => sleep(chance.between(from, to))

  async function grow(build: Build): Promise<Replica> {
    const startedMs = performance.now()
    const service = await startService({
      timeoutMs: 120_000,
      program: build.program,
      env: {
        ...build.env,
        DRAIN_WINDOW_SECONDS: String(times.windowSeconds),
        REQUEST_TIMEOUT_SECONDS: String(times.requestSeconds),
      },
    })
    services.push(service)
    const ready = () =>
      send(service.url, { method: 'GET', path: '/readyz' }).then(({ status }) => status === 200)
    await waitFor(ready, { what: 'a new replica to be ready', timeoutMs: 30_000 })
    say(`replica ${service.port} was ready after ${Math.round(performance.now() - startedMs)} ms`)
    await sleep(times.minReadyMs)
    const replica = { build, service }
    replicas.push(replica)
    await within(times.addMs)
    layer4.add(service.port)
    return replica
  }

  function terminate(replica: Replica): void {
    replicas.splice(replicas.indexOf(replica), 1)
    const ended = endOf(replica).finally(() => terminating.delete(ended))
    terminating.add(ended)
  }

  async function endOf({ build, service }: Replica): Promise<void> {
    const leaving = within(times.removeMs).then(() => layer4.remove(service.port))
    const startedMs = performance.now()
    await sleep(times.preStopMs)
    await leaving
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
    const drainMs = Math.round(performance.now() - signalledMs)
    const servedDraining = requestsOf(service) - before
    endings.push({ build: build.name, exit, drainMs, killed, servedDraining })
    say(`replica ${service.port} ended with ${exit} after ${drainMs} ms`)
  }

  return {
    replicas,
    endings,
    grow,
    async replace(build) {
      const [oldest] = replicas
      const { service } = await grow(build)
      if (oldest !== undefined) terminate(oldest)
      say(`replica ${service.port} took over from ${oldest?.service.port}`)
    },
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
