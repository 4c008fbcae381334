/**
 * The gate: a fleet is upgraded and downgraded again and again under load, through Keptn's gateway, and not one request may fail,
 * nor one acknowledged write be lost. It proves the service under a stricter model of kube-proxy, kubelet and Helm, not those.
 * @see docs/zero-downtime.md, section 8
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { clientOf, readBucketLog } from '../support/bucket-log.ts'
import { send } from '../support/send.ts'
import { startService } from '../support/service.ts'
import { type Ledger, readBack, readLedger } from './ledger.ts'
import type { LoadSettings } from './load.ts'
import { startLoad } from './loading.ts'
import { buildReport, type Report } from './report.ts'
import type { Scenario } from './scenarios.ts'
import { openStand, type Stand } from './stand.ts'
import { type GateTimes, thirdOfReal } from './times.ts'

export interface GateOptions {
  scenario: Scenario
  perSecond: number
  seed: number
  times?: GateTimes
  say?: (line: string) => void
}

/** Where the load has its files, beneath a project. */
export const scope = '/stage/production/service/carts'
/** Before the first step of a scenario and after its last. */
const steadyMs = 3_000

/** Plays one scenario under load. @returns what was seen; nothing is thrown for a red one */
export async function runGate(options: GateOptions): Promise<Report> {
  const { scenario, perSecond, seed, times = thirdOfReal, say = () => {} } = options
  const stand = await openStand({ times, seed, say })
  const { fleet, layer4, gateway } = stand
  try {
    const { replicas = 3, begin = 'previous' } = scenario
    for (let count = 0; count < replicas; count++) await fleet.grow(stand.build(begin))
    const load = loadOf(stand, { perSecond, seed })
    const projects = [...load.projects, ...load.longProjects, ...load.slowProjects]
    for (const project of projects) await makeProject(layer4.url, project)

    const loading = startLoad(load)
    let summary: Awaited<ReturnType<typeof loading.stop>>
    let faults: string[]
    try {
      await sleep(steadyMs)
      faults = await scenario.play(stand)
      await fleet.settled()
      await sleep(steadyMs)
      summary = await loading.stop()
    } finally {
      await loading.kill()
    }

    say('reading everything back')
    const ledger = readLedger(load.ledgerPath)
    const lost = await readBackEverywhere(stand, ledger)
    await fleet.stop()
    const served = fleet.endings.reduce((sum, { servedDraining }) => sum + servedDraining, 0)
    return buildReport({
      ledger,
      summary,
      witness: gateway.witness(),
      endings: fleet.endings,
      lost,
      faults: [...faults, ...layer4.refused.map((why) => `connection: ${why}`)],
      notes: [`${served} requests served after SIGTERM`],
    })
  } finally {
    await stand.close()
  }
}

function loadOf(stand: Stand, settings: Pick<LoadSettings, 'perSecond' | 'seed'>): LoadSettings {
  const named = (kind: string, count: number) =>
    Array.from({ length: count }, (_, index) => `${kind}-${index}`)
  return {
    ...settings,
    gatewayUrl: stand.gateway.url,
    serviceUrl: stand.layer4.url,
    scope,
    projects: named('short', 3),
    longProjects: named('long', 4),
    slowProjects: named('slow', 2),
    slowMs: stand.times.slowMs,
    ledgerPath: join(stand.folder, 'ledger'),
  }
}

/** Through every replica, through one with empty caches, and from the bucket. @returns a sentence for whatever is not as told */
async function readBackEverywhere(stand: Stand, ledger: Ledger): Promise<string[]> {
  const { fleet, minio, place } = stand
  const [replica] = fleet.replicas
  if (replica === undefined) throw new Error('no replica is left to read back through')
  const cold = await startService(replica.build)
  try {
    const urls = [...fleet.replicas.map(({ service }) => service.url), cold.url]
    const lost: string[] = []
    for (const url of urls) lost.push(...(await readBack(ledger, url, scope)))
    const readLog = (project: string) => readBucketLog(clientOf(minio), { ...place, project })
    return [...lost, ...(await compareBucket(ledger, readLog))]
  } finally {
    await cold.dispose()
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
