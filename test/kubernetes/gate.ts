/**
 * The gate on Kubernetes: the chart, with its defaults, is installed, upgraded, rolled back, scaled and removed by Helm as
 * docs/operations.md says, under load through Keptn's gateway, and not one request may fail, nor one acknowledged write be lost.
 * Each scenario has load, projects, gateway and verdict of its own.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { countExcused, judge } from '../gate/excuses.ts'
import { makeProject, scope } from '../gate/gate.ts'
import { startGateway } from '../gate/gateway.ts'
import { type Outcome, startKeptnClients } from '../gate/keptn-clients.ts'
import { compareBucket, type Ledger, readBack, readLedger } from '../gate/ledger.ts'
import type { LoadSettings } from '../gate/load.ts'
import { startLoad } from '../gate/loading.ts'
import { buildReport } from '../gate/report.ts'
import { clientOf, readBucketLog } from '../support/bucket-log.ts'
import { makeFolder, removeFolder } from '../support/processes.ts'
import { send } from '../support/send.ts'
import { startMinio, startRedis } from '../support/servers.ts'
import type { Control } from './controls.ts'
import { afterwards, excusesOf, type Span, stale, underWay } from './excuses.ts'
import type { Ground } from './ground.ts'
import { makeOperator } from './operator.ts'
import { followPods, isReady, memoryLimitMiB, podsOf, settled } from './pods.ts'
import { createRelease, type Release } from './release.ts'
import { type Scenario, type ScenarioName, type Scene, scenarios } from './scenarios.ts'
import { describe, type Verdict } from './verdict.ts'

export interface GateOptions {
  ground: Ground
  scenarios: readonly ScenarioName[]
  perSecond: number
  postsOnly: boolean
  seed: number
  /** A mistake in the chart, which has to make it red. */
  control?: Control
  say: (line: string) => void
}

/** What all scenarios of a session have in common. */
interface Session extends Pick<GateOptions, 'perSecond' | 'postsOnly' | 'seed'> {
  scene: Omit<Scene, 'kills' | 'away'>
  release: Release
  bucket: string
  folder: string
  tell: (line: string) => void
}

const service = 'configuration-service'
const prefix = 'gate/'
const steadyMs = 3_000
/** So long after the bucket is back a replica may still not know it. */
const knownAfterMs = 1_000
/** Longer than preStop, so that every pod that goes has one of them under way when it is told. */
const slowMs = 17_000
/** In place of Keptn's 15 minutes. */
const pinnedMs = 20_000

const named = (kind: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${kind}-${index}`)

/** Plays scenarios one after another on one release. @returns what was seen; nothing is thrown for a red one */
export async function runKubernetesGate(options: GateOptions): Promise<Verdict[]> {
  const { ground, perSecond, postsOnly, seed, control, say } = options
  const { cluster, repository, hostAddress, killProcesses } = ground
  const opened: (() => Promise<unknown> | unknown)[] = []
  const open = <T>(thing: T, close: (thing: T) => Promise<unknown> | unknown): T => {
    opened.push(() => close(thing))
    return thing
  }
  const startedMs = performance.now()
  const tell = (line: string) =>
    say(`${((performance.now() - startedMs) / 1_000).toFixed(0).padStart(5)} s  ${line}`)
  try {
    const folder = open(makeFolder('gate'), removeFolder)
    const minio = open(await startMinio({ bind: '0.0.0.0' }), (server) => server.stop())
    const redis = open(await startRedis({ bind: '0.0.0.0' }), (server) => server.stop())
    const bucket = await minio.createBucket()
    const endpoint = `http://${hostAddress}:${minio.port}`
    const values = (build: string) => ({
      image: { repository, tag: build },
      store: { url: `s3://${bucket}/${prefix.slice(0, -1)}?endpoint=${endpoint}` },
      service: { aliases: ['resource-service'] },
    })
    const operator = makeOperator({ cluster, folder, tell, values, ...(control && { control }) })
    const release = createRelease({ cluster, operator, minio })
    open(release, (it) => it.remove().catch((error: Error) => tell(error.message)))
    const scene = {
      ...{ cluster, operator, minio, redis, hostAddress },
      ...(killProcesses && { killProcesses }),
    }
    const session = { scene, release, bucket, folder, tell, perSecond, postsOnly, seed }
    const verdicts: Verdict[] = []
    const ledgers: Ledger[] = []
    for (const [index, name] of options.scenarios.entries()) {
      tell(`${name} (${index + 1} of ${options.scenarios.length}): ${scenarios[name].does}`)
      const { verdict, ledger, isSpoiled } = await play(name, session)
      tell(describe(verdict))
      for (const failure of verdict.report.failures.slice(0, 10)) tell(`  RED ${failure}`)
      verdicts.push(verdict)
      ledgers.push(ledger)
      // Nobody knows how such a release is, so no other scenario can begin with it.
      if (isSpoiled) break
    }
    if (control === undefined) {
      tell('everything is read back once more, and the release removed')
      const faults = [...(await readAgain(session, ledgers)), ...(await release.remove())]
      verdicts.at(-1)?.report.failures.push(...faults)
    }
    return verdicts
  } finally {
    for (const close of opened.reverse()) await close()
  }
}

/** What scenarios wrote must be there still after all that came later. */
async function readAgain({ scene }: Session, ledgers: readonly Ledger[]): Promise<string[]> {
  const [pod] = [...(await podsOf(scene.cluster)).values()].filter(isReady)
  if (pod === undefined) return ['pod: none is ready in the end']
  const lost: string[] = []
  for (const ledger of ledgers) lost.push(...(await readBack(ledger, urlOf(pod), scope)))
  return lost.map((what) => `lost in the end: ${what}`)
}

async function play(
  name: ScenarioName,
  session: Session,
): Promise<{ verdict: Verdict; ledger: Ledger; isSpoiled: boolean }> {
  const { scene, release, folder, perSecond, postsOnly, seed } = session
  const { cluster } = scene
  const scenario: Scenario = scenarios[name]
  const { begins, passes = 2, fewest = begins.replicas, unfit = [] } = scenario
  await release.begin(begins)
  const followed = followPods(cluster)
  const address = async (service: string) => {
    const { spec } = await cluster.get<{ spec: { clusterIP: string } }>('service', service)
    return `${spec.clusterIP}:8080`
  }
  const gateway = await startGateway({ mode: 'A', service: await address('resource-service') })
  const serviceUrl = `http://${await address(service)}`
  const projects = named(`${name}-short`, 3)
  const slowProjects = named(`${name}-slow`, 6)
  for (const project of [...projects, ...slowProjects]) await makeProject(serviceUrl, project)
  const urls = { gatewayUrl: gateway.url, serviceUrl }
  const keptn = scenario.keptn
    ? await startKeptnClients({ ...urls, prefix: name, delayMs: pinnedMs })
    : undefined
  const load: LoadSettings = {
    ...{ ...urls, scope, projects, longProjects: [], slowProjects, slowMs },
    ...{ perSecond, postsOnly, ledgerPath: join(folder, `ledger-${name}`), seed },
  }
  const loading = startLoad(load)
  const faults: string[] = []
  const killed = new Set<string>()
  const killsAt: number[] = []
  const kills: Scene['kills'] = ({ metadata }) => {
    killed.add(metadata.uid)
    killsAt.push(Date.now())
  }
  const spans: Span[] = []
  const away: Scene['away'] = async (work) => {
    const fromMs = Date.now()
    await work()
    spans.push({ fromMs, untilMs: Date.now() + knownAfterMs })
  }
  let isSpoiled = scenario.isLast === true
  try {
    await sleep(steadyMs)
    try {
      for (let pass = 1; pass <= passes; pass++) await scenario.play({ ...scene, kills, away })
      await settled(cluster)
    } catch (error) {
      faults.push(`${name}: ${(error as Error).message}`)
      isSpoiled = true
    }
    await sleep(steadyMs)
    const outcomes = (await keptn?.stop()) ?? []
    const summary = await loading.stop()

    const whole = readLedger(load.ledgerPath)
    const witness = gateway.witness()
    const judged = judge(excusesOf(killsAt, spans), {
      failures: whole.failures,
      complaints: witness.complaints,
      refused: [],
      startedAtMs: summary.startedAtMs,
    })
    const ledger = { ...whole, failures: judged.failures }
    const counted = {
      underWay: countExcused(judged, underWay),
      afterwards: countExcused(judged, afterwards),
      stale: countExcused(judged, stale),
    }
    const found = await readAll(ledger, session)
    faults.push(...found.faults)
    const { pods, wrong, memory } = found
    const seen = followed.fewestReady(begins.replicas)
    if (seen < fewest) faults.push(`roll: only ${seen} of ${begins.replicas} replicas were ready`)
    const ends = followed.judge(pods, { killed, unfit: new Set(unfit) })
    const failed = ledger.failures.length
    const report = buildReport({
      title: name,
      ledger,
      summary,
      witness: { ...witness, complaints: judged.complaints },
      endings: ends.endings,
      replacements: ends.endings.length,
      wrong,
      faults: [...faults, ...ends.faults, ...faultsOf(outcomes)],
      notes: [],
    })
    const verdict = {
      ...{ scenario: name, report, excused: counted, failed },
      ...{ lost: wrong.length, untilReady: followed.secondsUntilReady(), memory },
      ...{ seconds: summary.seconds, outcomes },
    }
    return { verdict, ledger, isSpoiled }
  } finally {
    await loading.kill()
    await gateway.stop()
    await followed.stop()
  }
}

/** What every replica and the bucket hold of what was acknowledged, and what the replicas take. */
async function readAll(ledger: Ledger, { scene, bucket }: Session) {
  const { cluster, minio } = scene
  const pods = await podsOf(cluster)
  const faults: string[] = []
  const wrong: string[] = []
  const memory: number[] = []
  const attempt = async (what: string, work: () => Promise<void>) => {
    await work().catch((error: Error) => faults.push(`${what}: ${error.message}`))
  }
  for (const pod of pods.values()) {
    const { name } = pod.metadata
    await attempt(`reading from ${name}`, async () => {
      wrong.push(...(await readBack(ledger, urlOf(pod), scope)))
      const resident = await residentMiB(urlOf(pod))
      memory.push(resident)
      const limit = memoryLimitMiB(pod)
      if (resident > limit) faults.push(`memory: ${name} takes ${resident} MiB of ${limit}`)
    })
  }
  await attempt('reading the bucket', async () => {
    const readLog = (project: string) => readBucketLog(clientOf(minio), { bucket, prefix, project })
    wrong.push(...(await compareBucket(ledger, readLog)))
  })
  return { pods, wrong, memory, faults }
}

function faultsOf(outcomes: readonly Outcome[]): string[] {
  return outcomes.flatMap(({ client, sequences, failures }) => [
    ...failures.map((failure) => `keptn: ${client}: ${failure}`),
    ...(sequences === 0 ? [`keptn: ${client} went through no sequence`] : []),
  ])
}

function urlOf({ status }: { status: { podIP?: string } }): string {
  return `http://${status.podIP}:8080`
}

async function residentMiB(url: string): Promise<number> {
  const { body } = await send(url, { method: 'GET', path: '/metrics' })
  const [, bytes] = /^process_resident_memory_bytes (\S+)$/m.exec(body.toString()) ?? []
  return Math.round(Number(bytes) / 2 ** 20)
}
