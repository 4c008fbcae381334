/** What the faults befall: replicas behind Keptn's gateway, the bucket, Redis, and a proxy on every line between them. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { gatewayConfig, outside } from '../http/gateway.ts'
import { type BucketLog, clientOf, readBucketLog, readFolderLog } from '../support/bucket-log.ts'
import { freePort, makeFolder } from '../support/processes.ts'
import {
  type S3Server,
  type Server,
  startMinio,
  startNginx,
  startRedis,
} from '../support/servers.ts'
import { type Service, startService } from '../support/service.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'
import { type Equipment, insideOf, meansOf } from './equipment.ts'

/** Lines between two parts. */
export const lines = ['gateway-replica', 'replica-bucket', 'replica-redis'] as const
export type Line = (typeof lines)[number]

/** One of the replicas; what it runs as changes with each start, its port and its folder do not. */
export interface Replica {
  readonly service: Service
  /** kill -9, where it still runs. */
  kill(): Promise<void>
  /** Starts it again, and waits until it is ready. */
  start(): Promise<void>
}

export interface Stand {
  /** Of the gateway. */
  readonly url: string
  readonly replicas: readonly Replica[]
  readonly nginx: Server
  /** Path of a file at the gateway. */
  pathOf(project: string, file: string): string
  readLog(project: string): Promise<BucketLog>
  stop(): Promise<void>
}

export interface BucketStand extends Stand {
  readonly minio: S3Server
  readonly redis: Server
  /** One proxy for each replica. */
  readonly proxies: Record<Line, readonly TcpProxy[]>
  /** Starts all replicas anew where they are not equipped so. */
  equip(equipment: Equipment): Promise<void>
}

const replicaCount = 3
const prefix = 'faults'
const startMs = 60_000

/** Three replicas over MinIO, with Redis. @param program the build that is tried, this tree's unless told */
export async function startBucketStand(program?: string): Promise<BucketStand> {
  const [minio, redis] = await Promise.all([startMinio(), startRedis()])
  const bucket = await minio.createBucket()
  const proxies: Record<Line, TcpProxy[]> = {
    'gateway-replica': [],
    'replica-bucket': [],
    'replica-redis': [],
  }
  const replicas: StartedReplica[] = []
  let equipped: Equipment = 'plain'
  for (let count = 0; count < replicaCount; count++) {
    const toBucket = await startTcpProxy(minio.port)
    const toRedis = await startTcpProxy(redis.port)
    const replica = await startReplica({
      ...(program !== undefined && { program }),
      env: {
        STORE_URL: `s3://${bucket}/${prefix}?endpoint=http://127.0.0.1:${toBucket.port}`,
        AWS_ACCESS_KEY_ID: minio.accessKeyId,
        AWS_SECRET_ACCESS_KEY: minio.secretAccessKey,
        REDIS_URL: `redis://127.0.0.1:${toRedis.port}`,
      },
    })
    replicas.push(replica)
    proxies['replica-bucket'].push(toBucket)
    proxies['replica-redis'].push(toRedis)
    proxies['gateway-replica'].push(await startTcpProxy(replica.service.port))
  }
  const gateway = await startGateway(proxies['gateway-replica'].map(({ port }) => port))
  const client = clientOf(minio)
  return {
    ...gateway,
    replicas,
    minio,
    redis,
    proxies,
    readLog: (project) => readBucketLog(client, { bucket, prefix: `${prefix}/`, project }),
    async equip(equipment) {
      if (equipment === equipped) return
      equipped = equipment
      await Promise.all(replicas.map((replica) => replica.equip(equipment)))
    },
    async stop() {
      await Promise.all(replicas.map(({ service }) => service.dispose()))
      await Promise.all([gateway.nginx.stop(), redis.stop(), minio.stop()])
      for (const proxy of lines.flatMap((line) => proxies[line])) await proxy.stop()
    },
  }
}

/** One replica over a `file:` store on a small disk. @param program as of `startBucketStand` */
export async function startFileStand(program?: string): Promise<Stand> {
  const replica = await startReplica({
    ...(program !== undefined && { program }),
    env: {},
    equipment: 'small-store',
  })
  const gateway = await startGateway([replica.service.port])
  return {
    ...gateway,
    replicas: [replica],
    readLog: (project) => readFolderLog(join(storeOf(replica.service), 'projects', project)),
    async stop() {
      await replica.service.dispose()
      await gateway.nginx.stop()
    },
  }
}

/** The folder of a `file:` store on a small disk, as it can be reached from outside. */
export function storeOf({ process, folder }: Service): string {
  return insideOf(process.pid, join(folder, 'data', 'store'))
}

/** The cache folder on a small disk, as it can be reached from outside. */
export function cacheOf({ process, folder }: Service): string {
  return insideOf(process.pid, join(folder, 'data', 'cache'))
}

interface StartedReplica extends Replica {
  equip(equipment: Equipment): Promise<void>
}

async function startReplica(options: {
  env: Record<string, string>
  program?: string
  equipment?: Equipment
}): Promise<StartedReplica> {
  const { program } = options
  const port = String(await freePort())
  let { equipment = 'plain' } = options
  const begin = (folder: string) => {
    const means = meansOf(equipment, folder)
    return startService({
      ...(program !== undefined && { program }),
      env: { ...options.env, ...means.env, PORT: port },
      through: means.through,
      folder,
      timeoutMs: startMs,
    })
  }
  let service = await begin(makeFolder('replica'))
  const kill = () => service.process.kill()
  const start = async () => {
    await kill()
    service = await begin(service.folder)
  }
  return {
    get service() {
      return service
    },
    kill,
    start,
    async equip(next) {
      equipment = next
      await kill()
      // Under another disk the folder would be hidden, and be back when nobody expects it.
      rmSync(join(service.folder, 'data'), { recursive: true, force: true })
      await start()
    },
  }
}

/** The gateway as docs/gateway.md has it; three addresses stand for the Service. */
async function startGateway(ports: readonly number[]) {
  const servers = ports.map((port) => `server 127.0.0.1:${port} max_fails=0;`)
  const nginx = await startNginx(
    (port) => `upstream replicas { ${servers.join(' ')} }\n${gatewayConfig(port, 'replicas')}`,
  )
  const access = outside(nginx.port)
  const pathOf = (project: string, file: string) =>
    `${access.base}/project/${project}/resource/${access.escape(file)}`
  return { url: nginx.url, nginx, pathOf }
}
