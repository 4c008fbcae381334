/** What a scenario plays on: real servers, a gateway, a fleet of replicas with no one in it yet, and the builds they can be of. */
import { join } from 'node:path'
import { type Chance, chanceOf } from '../support/chance.ts'
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts'
import { type PreviousBuild, previousBuild } from '../support/previous-build.ts'
import {
  makeFolder,
  type RunningProcess,
  removeFolder,
  startProcess,
} from '../support/processes.ts'
import { repositoryRoot } from '../support/programs.ts'
import { type S3Server, type Server, startMinio, startRedis } from '../support/servers.ts'
import { mainFile } from '../support/service.ts'
import { type Build, createFleet, type Fleet } from './fleet.ts'
import { type Gateway, type GatewayOptions, startGateway } from './gateway.ts'
import { type Layer4, startLayer4 } from './l4.ts'
import type { GateTimes } from './times.ts'

/** N-1, N, and the fixtures N+1, which fences writers, and N+2, which nobody comes back from. */
export type BuildName = 'previous' | 'this' | 'next' | 'last'

export interface Stand {
  /** Whatever is written here is gone with the stand. */
  readonly folder: string
  readonly minio: S3Server
  readonly redis: Server & { url: string }
  /** Between the replicas and MinIO. */
  readonly proxy: FaultProxy
  readonly layer4: Layer4
  readonly gateway: Gateway
  readonly fleet: Fleet
  readonly chance: Chance
  readonly times: GateTimes
  /** Where the store is. */
  readonly place: { bucket: string; prefix: string }
  say(line: string): void
  /** A build with its settings. @param env added to what it needs */
  build(name: BuildName, env?: Record<string, string>): Build
  /** Starts `migrate …` of a build. @param words such as `to 2` */
  migrate(build: Build, words: string): RunningProcess
  /** In the order opposite to that in which it was opened. */
  close(): Promise<void>
}

export interface StandOptions extends Pick<GatewayOptions, 'mode'> {
  times: GateTimes
  seed: number
  /** Between the gateway and the replicas, each way. */
  latencyMs?: number
  /** Ends whatever the fleet waits for. */
  signal?: AbortSignal
  say: (line: string) => void
}

const prefix = 'gate/'

export async function openStand(options: StandOptions): Promise<Stand> {
  const { mode, times, seed, latencyMs, signal, say } = options
  const opened: (() => Promise<unknown> | unknown)[] = []
  const close = async () => {
    for (const end of opened.reverse()) await end()
  }
  const open = <T>(thing: T, end: (thing: T) => Promise<unknown> | unknown): T => {
    opened.push(() => end(thing))
    return thing
  }
  try {
    const programs = programsOf(await previousBuild())
    const folder = open(makeFolder('gate'), removeFolder)
    const minio = open(await startMinio(), (server) => server.stop())
    const redis = open(await startRedis(), (server) => server.stop())
    const proxy = open(await startFaultProxy(minio.endpoint), (server) => server.stop())
    const layer4 = open(await startLayer4({ ...(latencyMs && { latencyMs }) }), (server) =>
      server.stop(),
    )
    const chance = chanceOf(seed)
    const gateway = open(
      await startGateway({
        mode,
        service: `127.0.0.1:${layer4.port}`,
        lateMs: () => chance.between(...times.laterMs),
        keptMs: times.keptMs,
      }),
      (server) => server.stop(),
    )
    const bucket = await minio.createBucket()
    // What makes a request long: its objects do not fit into an entry, and the store takes its time with their pack.
    proxy.decide = ({ method, path }) =>
      method === 'PUT' && /\/long-\d+\/packs\//.test(path) ? { delayMs: times.longMs } : 'pass'
    const fleet = open(
      createFleet({
        endpoints: [layer4, gateway],
        times,
        chance,
        say,
        ...(signal && { signal }),
      }),
      (all) => all.dispose(),
    )
    const needed = {
      STORE_URL: `s3://${bucket}/${prefix.slice(0, -1)}?endpoint=${proxy.endpoint}`,
      AWS_ACCESS_KEY_ID: minio.accessKeyId,
      AWS_SECRET_ACCESS_KEY: minio.secretAccessKey,
      REDIS_URL: redis.url,
      HEARTBEAT_SECONDS: String(times.heartbeatSeconds),
    }
    return {
      folder,
      minio,
      redis,
      proxy,
      layer4,
      gateway,
      fleet,
      chance,
      times,
      place: { bucket, prefix },
      say,
      build: (name, env = {}) => ({ ...programs[name], env: { ...needed, ...env } }),
      migrate: ({ program, env }, words) =>
        open(
          startProcess(process.execPath, [program, 'migrate', ...words.split(' ')], {
            cwd: folder,
            env,
          }),
          (running) => running.kill(),
        ),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

function programsOf(previous: PreviousBuild): Record<BuildName, Pick<Build, 'name' | 'program'>> {
  const fixture = (name: string) =>
    join(repositoryRoot, 'dist', 'test', 'fixtures', 'builds', `${name}.js`)
  return {
    previous: { name: previous.name, program: previous.program },
    this: { name: 'this build', program: mainFile },
    next: { name: 'N+1', program: fixture('next') },
    last: { name: 'N+2', program: fixture('last') },
  }
}
