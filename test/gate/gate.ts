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
import { judge } from './excuses.ts'
import type { Mode } from './gateway.ts'
import { compareBucket, type Ledger, readBack, readLedger } from './ledger.ts'
import type { LoadSettings, LoadSummary } from './load.ts'
import { type Loading, startLoad } from './loading.ts'
import { makeProjects } from './made.ts'
import { compareRebuilt } from './rebuild.ts'
import { buildReport, cutShort, type Report } from './report.ts'
import { type Played, type Scenario, type Stage, untouched } from './scenario.ts'
import { openStand, type Stand } from './stand.ts'
import { standsAt } from './standing.ts'
import { type GateTimes, thirdOfReal } from './times.ts'
import { watchForRed } from './watch.ts'

export interface GateOptions {
  scenario: Scenario
  /** How the gateway reaches the replicas: the scenario's own way, or A, unless told. */
  mode?: Mode
  perSecond: number
  /** Long requests that are under way at any time, default 4. */
  longRequests?: number
  /** Between the gateway and the replicas, each way; default 0. */
  latencyMs?: number
  seed: number
  times?: GateTimes
  /** How long there is load before the first step and after the last, milliseconds; what latencies are compared with. */
  steadyMs?: number
  /** Whether nobody else uses the machine, so that latencies may be judged. */
  quiet?: boolean
  /** Ends with whatever makes it red first. */
  stopsAtFirstRed?: boolean
  say?: (line: string) => void
}

/** Where the load has its files, beneath a project. */
export const scope = '/stage/production/service/carts'

/** Plays one scenario under load. @returns what was seen; nothing is thrown for a red one */
export async function runGate(options: GateOptions): Promise<Report> {
  const { scenario, seed, times = thirdOfReal, say = () => {}, latencyMs } = options
  const mode = options.mode ?? scenario.mode ?? 'A'
  const over = new AbortController()
  const stand = await openStand({
    mode,
    times,
    seed,
    say,
    signal: over.signal,
    ...(latencyMs && { latencyMs }),
  })
  const { fleet, layer4, gateway } = stand
  try {
    const { replicas = 3, begin = 'previous', ends = untouched } = scenario
    for (let count = 0; count < replicas; count++) await fleet.grow(stand.build(begin))
    await gateway.caughtUp()
    const load = loadOf(stand, options)
    const projects = [...load.projects, ...load.longProjects, ...load.slowProjects]
    for (const project of projects) await makeProject(layer4.url, project)

    const made = await makeProjects(layer4.url, scenario.projects ?? 0)
    const stage: Stage = { ...stand, made, projects: projects.length + made.projects }
    const played = await playUnderLoad({ stage, load, options, over })
    if ('red' in played) return cutShort(played.red, fleet.replacements)

    say('reading everything back')
    const ledger = readLedger(load.ledgerPath)
    const misplaced = await standsAt(stage, ends)
    const wrong = await readBackEverywhere(stage, ledger)
    await fleet.stop()
    const witness = gateway.witness()
    const judged = judge(played.excuses ?? [], {
      failures: ledger.failures,
      complaints: witness.complaints,
      refused: layer4.refused,
      startedAtMs: played.summary.startedAtMs,
    })
    const served = fleet.endings.reduce((sum, { servedDraining }) => sum + servedDraining, 0)
    return buildReport({
      title: `${scenario.name}, mode ${mode}: ${scenario.title}`,
      ledger: { ...ledger, failures: judged.failures },
      summary: played.summary,
      upgrades: played.upgrades,
      witness: { ...witness, complaints: judged.complaints },
      endings: fleet.endings,
      steps: fleet.steps,
      replacements: fleet.replacements,
      quiet: options.quiet ?? false,
      wrong,
      faults: [
        ...played.faults,
        ...misplaced,
        ...judged.refused.map((why) => `connection: ${why}`),
      ],
      notes: [
        `${served} requests served after SIGTERM`,
        ...(played.notes ?? []),
        ...judged.excused.map(({ why, lines }) => `${lines.length} failures excused: ${why}`),
      ],
    })
  } finally {
    await stand.close()
  }
}

interface PlayedUnderLoad extends Played {
  summary: LoadSummary
  /** By the machine's clock: before the first step and after the last. */
  upgrades: { fromMs: number; toMs: number }
}

async function playUnderLoad(parts: {
  stage: Stage
  load: LoadSettings
  options: GateOptions
  over: AbortController
}): Promise<PlayedUnderLoad | { red: string[] }> {
  const { stage, load, options, over } = parts
  const { ledgerPath } = load
  const loading = startLoad(load)
  let red: string[] = []
  const endWatch = watchForRed({ ...stage, ledgerPath }, (failures) => {
    stage.say(`red: ${failures[0]}`)
    if (!options.stopsAtFirstRed) return
    red = failures
    over.abort()
  })
  try {
    const playing = play({ stage, loading, options, signal: over.signal })
    const cut = new Promise((resolve) => over.signal.addEventListener('abort', resolve))
    await Promise.race([playing, cut])
    // What waits for the end of a replica waits no longer.
    if (over.signal.aborted) await stage.fleet.dispose()
    return await playing
  } catch (error) {
    if (!over.signal.aborted) throw error
    return { red }
  } finally {
    endWatch()
    await loading.kill()
  }
}

async function play(parts: {
  stage: Stage
  loading: Loading
  options: GateOptions
  signal: AbortSignal
}): Promise<PlayedUnderLoad> {
  const { stage, loading, options, signal } = parts
  const steady = () => sleep(options.steadyMs ?? 3_000, undefined, { signal })
  await steady()
  const fromMs = Date.now()
  const played = await options.scenario.play(stage)
  await stage.fleet.settled()
  const toMs = Date.now()
  await steady()
  return { ...played, upgrades: { fromMs, toMs }, summary: await loading.stop() }
}

function loadOf(stand: Stand, options: GateOptions): LoadSettings {
  const { perSecond, longRequests = 4, seed } = options
  const named = (kind: string, count: number) =>
    Array.from({ length: count }, (_, index) => `${kind}-${index}`)
  return {
    perSecond,
    seed,
    gatewayUrl: stand.gateway.url,
    serviceUrl: stand.layer4.url,
    scope,
    projects: named('short', 3),
    longProjects: named('long', longRequests),
    slowProjects: named('slow', 2),
    slowMs: stand.times.slowMs,
    ledgerPath: join(stand.folder, 'ledger'),
  }
}

/** Through every replica, through one with empty caches, from the bucket, and by stock git. @returns a sentence for whatever is not as told */
async function readBackEverywhere(stage: Stage, ledger: Ledger): Promise<string[]> {
  const { fleet, minio, place, folder, made } = stage
  const [replica] = fleet.replicas
  if (replica === undefined) throw new Error('no replica is left to read back through')
  const client = clientOf(minio)
  const wrong: string[] = []
  // In processes of its own, which take longest.
  const rebuilding = compareRebuilt(ledger, { client, ...place, folder })
  rebuilding.catch(() => {})
  const cold = await startService(replica.build)
  try {
    for (const { url } of [...fleet.replicas.map(({ service }) => service), cold]) {
      wrong.push(...(await readBack(ledger, url, scope)))
      stage.say(`read back through ${url}`)
    }
    wrong.push(...(await made.check(cold.url)))
  } finally {
    await cold.dispose()
  }
  const readLog = (project: string) => readBucketLog(client, { ...place, project })
  wrong.push(...(await compareBucket(ledger, readLog)))
  stage.say('read back from the log')
  const rebuilt = await rebuilding
  stage.say(`${rebuilt.entries} entries read back by stock git`)
  return [...wrong, ...rebuilt.wrong]
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
