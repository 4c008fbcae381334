/**
 * The gate: a fleet is replaced again and again under load, through Keptn's gateway, and not one request may fail, nor one
 * acknowledged write be lost. It proves the service under a stricter model of kube-proxy, kubelet and Helm, not those.
 * @see docs/zero-downtime.md, section 8
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { clientOf, readBucketLog } from '../support/bucket-log.ts'
import { chanceOf } from '../support/chance.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { makeFolder, removeFolder } from '../support/processes.ts'
import { send } from '../support/send.ts'
import { startMinio, startRedis } from '../support/servers.ts'
import { startService } from '../support/service.ts'
import { createFleet } from './fleet.ts'
import { startModeA } from './gateway.ts'
import { startLayer4 } from './l4.ts'
import { type Ledger, readBack, readLedger } from './ledger.ts'
import type { LoadSettings } from './load.ts'
import { startLoad } from './loading.ts'
import { buildReport, type Report } from './report.ts'
import { type GateTimes, thirdOfReal } from './times.ts'

export interface GateOptions {
  /** How many times each of the three replicas is replaced. */
  rounds: number
  perSecond: number
  seed: number
  times?: GateTimes
  say?: (line: string) => void
}

/** Where the load has its files, beneath a project. */
export const scope = '/stage/production/service/carts'
const replicas = 3
/** Before the first replacement and after the last. */
const steadyMs = 3_000
const prefix = 'gate/'

/** Runs the gate in mode A. @returns what was seen; nothing is thrown for a red one */
export async function runGate(options: GateOptions): Promise<Report> {
  const { rounds, perSecond, seed, times = thirdOfReal, say = () => {} } = options
  const opened: (() => Promise<unknown> | unknown)[] = []
  const open = <T>(thing: T, close: (thing: T) => Promise<unknown> | unknown): T => {
    opened.push(() => close(thing))
    return thing
  }
  try {
    const folder = open(makeFolder('gate'), removeFolder)
    const minio = open(await startMinio(), (server) => server.stop())
    const redis = open(await startRedis(), (server) => server.stop())
    const proxy = open(await startFaultProxy(minio.endpoint), (server) => server.stop())
    const layer4 = open(await startLayer4(), (server) => server.stop())
    const gateway = open(await startModeA(`127.0.0.1:${layer4.port}`), (server) => server.stop())
    const bucket = await minio.createBucket()
    const build = {
      name: 'this build',
      env: {
        STORE_URL: `s3://${bucket}/${prefix.slice(0, -1)}?endpoint=${proxy.endpoint}`,
        AWS_ACCESS_KEY_ID: minio.accessKeyId,
        AWS_SECRET_ACCESS_KEY: minio.secretAccessKey,
        REDIS_URL: redis.url,
      },
    }
    // What makes a request long: its objects do not fit into an entry, and the store takes its time with their pack.
    proxy.decide = ({ method, path }) =>
      method === 'PUT' && /\/long-\d+\/packs\//.test(path) ? { delayMs: times.longMs } : 'pass'

    const fleet = open(createFleet({ layer4, times, chance: chanceOf(seed), say }), (all) =>
      all.dispose(),
    )
    for (let count = 0; count < replicas; count++) await fleet.grow(build)
    const named = (kind: string, count: number) =>
      Array.from({ length: count }, (_, index) => `${kind}-${index}`)
    const load: LoadSettings = {
      gatewayUrl: gateway.url,
      serviceUrl: layer4.url,
      scope,
      projects: named('short', 3),
      longProjects: named('long', 4),
      slowProjects: named('slow', 2),
      slowMs: times.slowMs,
      perSecond,
      ledgerPath: join(folder, 'ledger'),
      seed,
    }
    const projects = [...load.projects, ...load.longProjects, ...load.slowProjects]
    for (const project of projects) await makeProject(layer4.url, project)

    const loading = open(startLoad(load), (it) => it.kill())
    await sleep(steadyMs)
    for (let round = 1; round <= rounds; round++) {
      say(`round ${round} of ${rounds}`)
      for (let count = 0; count < replicas; count++) await fleet.replace(build)
    }
    await fleet.settled()
    await sleep(steadyMs)
    const summary = await loading.stop()

    say('reading everything back')
    const ledger = readLedger(load.ledgerPath)
    const cold = open(await startService({ env: build.env }), (service) => service.dispose())
    const urls = [...fleet.replicas.map(({ service }) => service.url), cold.url]
    const lost: string[] = []
    for (const url of urls) lost.push(...(await readBack(ledger, url, scope)))
    const inBucket = await compareBucket(ledger, (project) =>
      readBucketLog(clientOf(minio), { bucket, prefix, project }),
    )
    await fleet.stop()
    return buildReport({
      ledger,
      summary,
      witness: gateway.witness(),
      endings: fleet.endings,
      lost: [...lost, ...inBucket],
      faults: layer4.refused.map((why) => `connection: ${why}`),
      notes: [
        `${fleet.endings.reduce((sum, { servedDraining }) => sum + servedDraining, 0)} requests served after SIGTERM`,
      ],
    })
  } finally {
    for (const close of opened.reverse()) await close()
  }
}

/** Makes a project with the stage and the service of `scope`. */
export async function makeProject(url: string, project: string): Promise<void> {
  const post = async (path: string, body: object) => {
    const { status } = await send(url, { method: 'POST', path, body: JSON.stringify(body) })
    if (status !== 204) throw new Error(`${path} was answered ${status}`)
  }
  await post('/v1/project', { projectName: project })
  await post(`/v1/project/${project}/stage`, { stageName: 'production' })
  await post(`/v1/project/${project}/stage/production/service`, { serviceName: 'carts' })
}

/** The log itself as the last witness: each acknowledged write is one commit, and there is none that nobody sent. */
export async function compareBucket(
  ledger: Ledger,
  readLog: (project: string) => Promise<{ messages: Map<string, number>; faults: string[] }>,
): Promise<string[]> {
  const wrong: string[] = []
  const sent = new Set(ledger.lines.map(({ id }) => id))
  const commits = new Map<string, number>()
  for (const project of ledger.files.keys()) {
    const { messages, faults } = await readLog(project)
    wrong.push(...faults.map((fault) => `${project}: ${fault}`))
    for (const [message, count] of messages) commits.set(message, count)
  }
  for (const id of ledger.acknowledged.keys()) {
    const count = commits.get(id) ?? 0
    if (count !== 1) wrong.push(`${id} was acknowledged, and is ${count} times in the log`)
  }
  for (const [message, count] of commits) {
    if (message.startsWith('load ') && !sent.has(message)) wrong.push(`nobody sent ${message}`)
    if (count > 1 && !ledger.acknowledged.has(message)) wrong.push(`${message} is there twice`)
  }
  return wrong
}
