/** Three replicas behind nginx while things break: replicas are killed and come back, and whatever else a test breaks. */
import { setTimeout as sleep } from 'node:timers/promises'
import { clientOf, readBucketLog } from '../support/bucket-log.ts'
import { chanceOf } from '../support/chance.ts'
import type { FaultProxy } from '../support/fault-proxy.ts'
import { freePort, waitFor } from '../support/processes.ts'
import { send } from '../support/send.ts'
import { type S3Server, startNginx } from '../support/servers.ts'
import { type Service, startService } from '../support/service.ts'
import { createClients, makeProjects } from './chaos-clients.ts'
import { checkFiles, checkLog, type Journal, newJournal } from './journal.ts'

export interface Troubles {
  minio: S3Server
  /** Between the replicas and MinIO. */
  proxy: FaultProxy
  /** For how long the clients go on, milliseconds. */
  lastsMs: number
  /** Of Redis; none: a lock in each process. */
  redisUrl?: string
  /** What breaks beside the replicas; it ends early where `signal` says so. */
  trouble?: (signal: AbortSignal) => Promise<void>
  seed: number
}

export interface Chaos {
  journal: Journal
  kills: number
  /** How long the clients went on. */
  seconds: number
  /** Everything that is wrong; empty where every promise was kept. */
  failures: string[]
}

const clients = 12
const prefix = 'chaos'
const projects = ['chaos-a', 'chaos-b']
/** Keptn's own reading of time: past it a client has gone. */
const keptnMs = 35_000
const startMs = 60_000
const enough = { kills: 3, each: 100 }

/** Runs clients through the troubles, lets all be well again, and checks what they were told. */
export async function runChaos(options: Troubles): Promise<Chaos> {
  const { minio, proxy, lastsMs, seed } = options
  const bucket = await minio.createBucket()
  const env = {
    STORE_URL: `s3://${bucket}/${prefix}?endpoint=${proxy.endpoint}`,
    AWS_ACCESS_KEY_ID: minio.accessKeyId,
    AWS_SECRET_ACCESS_KEY: minio.secretAccessKey,
    ...(options.redisUrl !== undefined && { REDIS_URL: options.redisUrl }),
  }
  const services: Service[] = []
  for (let replica = 0; replica < 3; replica++) {
    const port = String(await freePort())
    services.push(await startService({ env: { ...env, PORT: port }, timeoutMs: startMs }))
  }
  const nginx = await startNginx((port) => gatewayOf(port, services))
  const journal = newJournal()
  const crowd = createClients({ url: nginx.url, journal, seed, projects, timeoutMs: keptnMs })
  await makeProjects(nginx.url, projects)
  const ended = new AbortController()
  let kills = 0
  let lastedMs = 0

  /** One replica at a time is down, for a moment at least. */
  async function killAndRestart(): Promise<void> {
    const chance = chanceOf(seed)
    while (!ended.signal.aborted) {
      await sleep(chance.between(1_500, 3_500), undefined, { signal: ended.signal }).catch(() => {})
      if (ended.signal.aborted) return
      const at = chance.between(0, services.length - 1)
      const { port, folder, process } = services[at] as Service
      await process.kill()
      kills++
      await sleep(chance.between(0, 500))
      const again = { ...env, PORT: String(port) }
      services[at] = await startService({ env: again, folder, timeoutMs: startMs })
    }
  }

  try {
    const running = Array.from({ length: clients }, (_, client) => crowd.run(client))
    const killing = killAndRestart()
    const breaking = options.trouble?.(ended.signal) ?? Promise.resolve()
    const startedMs = performance.now()
    const failed = Promise.all([killing, breaking, ...running])
    await Promise.race([sleep(lastsMs), failed])
    // On a busy machine it takes longer until enough has happened for the checks to tell something.
    await Promise.race([
      waitFor(() => kills >= enough.kills && hasEnough(journal), {
        what: 'enough to happen',
        timeoutMs: 5 * lastsMs,
      }),
      failed,
    ])
    lastedMs = performance.now() - startedMs
    ended.abort()
    await Promise.all([killing, breaking])
    crowd.stop(60_000)
    await Promise.all(running)
    // What is late is still on its way, and may land.
    await waitFor(() => !proxy.isBusy(), { what: 'late calls to arrive', timeoutMs: 60_000 })
    for (const { url } of services) await servesAgain(url)
    for (const { url } of services) await crowd.readAll(url)
    const findings = checkFiles(journal)
    for (const project of projects) {
      const at = { bucket, prefix: `${prefix}/`, project }
      const log = await readBucketLog(clientOf(minio), at)
      findings.push(...checkLog(journal, project, log))
    }
    const failures = [...journal.violations, ...findings.map(({ text }) => text)]
    return { journal, kills, failures, seconds: lastedMs / 1_000 }
  } finally {
    ended.abort()
    crowd.stop(0)
    crowd.close()
    await Promise.all(services.map((service) => service.dispose()))
    await nginx.stop()
  }
}

/** Whether enough was acknowledged and read. */
function hasEnough({ writes, reads }: Journal): boolean {
  return reads.length >= enough.each && acknowledgedOf(writes).length >= enough.each
}

function acknowledgedOf(writes: Journal['writes']) {
  return writes.filter(({ commit }) => commit !== undefined)
}

/** Waits until a replica answers as if nothing had been, stale answers being none. */
async function servesAgain(url: string): Promise<void> {
  const answers = async () => {
    const path = `/v1/project/${projects[0]}/resource/metadata.yaml`
    const { status, headers } = await send(url, { method: 'GET', path })
    return status === 200 && headers['x-configuration-stale'] === undefined
  }
  await waitFor(() => answers().catch(() => false), {
    what: `${url} to be well again`,
    timeoutMs: 60_000,
  })
}

/** Nothing is sent twice, and a replica that is away is met by every third request. */
function gatewayOf(port: number, services: readonly Service[]): string {
  const servers = services.map((service) => `server 127.0.0.1:${service.port} max_fails=0;`)
  return `
    upstream replicas { ${servers.join(' ')} }
    server {
      listen 127.0.0.1:${port};
      client_max_body_size 20m;
      keepalive_timeout 600s;
      location / {
        proxy_pass http://replicas;
        proxy_next_upstream off;
        proxy_connect_timeout 5s;
        proxy_read_timeout 60s;
      }
    }`
}

/** One paragraph for people: what was answered how often. */
export function describeChaos(name: string, { journal, kills, seconds }: Chaos): string {
  const acknowledged = acknowledgedOf(journal.writes).length
  const lines = [...journal.counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([what, times]) => `  ${times} × ${what}`)
  return [
    `${name}: ${kills} replicas killed in ${seconds.toFixed(0)} s, ${journal.writes.length} writes, ${acknowledged} acknowledged, ${journal.reads.length} fresh reads`,
    ...lines,
  ].join('\n')
}
