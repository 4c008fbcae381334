/** Reads at 128 connections: the service and what it is compared with, by turns. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, makeFolder, removeFolder } from '../test/support/processes.ts'
import { repositoryRoot } from '../test/support/programs.ts'
import type { Recorded } from './baseline.ts'
import { makeProject, readPath } from './files.ts'
import { type Place, readMetric, type Subject } from './place.ts'
import { type Effort, mean, type Scenario } from './scenario.ts'
import { loadByWrk } from './wrk.ts'

const baselineFile = join(repositoryRoot, 'dist', 'bench', 'baseline.js')
const maxStale = { 'cache-control': 'max-stale=5' }
/** Of the answer; what differs from request to request is made anew by the baseline as well. */
const ownHeaders = new Set(['connection', 'content-length', 'date', 'keep-alive', 'x-request-id'])

export const readLoad: Scenario = {
  rows: ['reads', 'stale-reads', 'pinned-reads', 'probes'],
  async run(place, effort) {
    const service = await place.startService({ bucket: await place.makeBucket() })
    await makeProject(service.url)
    const recorded = await record(service.url + readPath)
    const observed = await startBaseline(place, 'observed', recorded)
    const bare = await startBaseline(place, 'bare', recorded)
    const contenders = {
      fresh: meter(service, {
        probes: () => readMetric(service.url, 'configuration_service_store_probes_total'),
      }),
      stale: meter(service, { headers: maxStale }),
      pinned: meter(service, { query: `?gitCommitID=${await commitOf(service.url)}` }),
      observed: meter(observed),
      bare: meter(bare),
    }
    await inTurns(Object.values(contenders), effort)
    return samplesOf(contenders)
  },
}

type Meter = ReturnType<typeof meter>

function samplesOf(meters: Record<'fresh' | 'stale' | 'pinned' | 'observed' | 'bare', Meter>) {
  const { fresh, stale, pinned, observed, bare } = meters
  const notes = { bareKoaPerSecond: bare.perSecond(), baselineCpuMicros: observed.cpuMicros() }
  const baseline = observed.perSecond()
  const own = (one: Meter) => ({
    value: one.perSecond(),
    baseline,
    notes: { ...notes, cpuMicros: one.cpuMicros() },
  })
  return {
    reads: own(fresh),
    'stale-reads': own(stale),
    'pinned-reads': own(pinned),
    probes: { value: fresh.probes() },
  }
}

/** Warms everybody up, then lets each have its turn, again and again. */
async function inTurns(meters: Meter[], effort: Effort): Promise<void> {
  for (const one of meters) await one.load(effort.warmUpSeconds)
  for (const one of meters) one.reset()
  for (let round = 0; round < effort.rounds; round++) {
    for (const one of meters) await one.load(effort.sliceSeconds)
  }
}

/** @param options.probes counts the store probes of the subject so far; a baseline has none */
function meter(
  subject: Subject,
  options: {
    headers?: Record<string, string>
    query?: string
    probes?: () => Promise<number>
  } = {},
) {
  const { headers = {}, query = '', probes: countProbes = async () => 0 } = options
  let rates: number[] = []
  let requests = 0
  let cpuSeconds = 0
  let probes = 0
  return {
    async load(seconds: number) {
      const probesBefore = await countProbes()
      const cpuBefore = await subject.cpuSeconds()
      const load = await loadByWrk({ url: subject.url + readPath + query, seconds, headers })
      cpuSeconds += (await subject.cpuSeconds()) - cpuBefore
      probes += (await countProbes()) - probesBefore
      requests += load.requests
      rates.push(load.perSecond)
    },
    reset() {
      rates = []
      requests = cpuSeconds = probes = 0
    },
    perSecond: () => mean(rates),
    cpuMicros: () => (cpuSeconds * 1e6) / requests,
    /** For 1,000 reads. */
    probes: () => (probes * 1_000) / requests,
  }
}

/** The commit that the file is in. */
async function commitOf(url: string): Promise<string> {
  const answer = await fetch(url + readPath)
  return ((await answer.json()) as { metadata: { version: string } }).metadata.version
}

/** Takes the answer of the service, so that the baselines give the same bytes. */
export async function record(url: string): Promise<Recorded> {
  const answer = await fetch(url)
  const headers = [...answer.headers].filter(([name]) => !ownHeaders.has(name))
  return { headers: Object.fromEntries(headers), body: await answer.text() }
}

/** Starts a program that gives a recorded answer to everybody. */
export async function startBaseline(
  place: Place,
  kind: 'observed' | 'bare',
  recorded: Recorded,
): Promise<Subject> {
  const folder = makeFolder('baseline')
  const file = join(folder, 'answer.json')
  writeFileSync(file, JSON.stringify(recorded))
  const port = await freePort()
  const args = [baselineFile, kind, file, `${port}`]
  const subject = await place.startSubject({ args, port, readyPath: readPath })
  removeFolder(folder)
  return subject
}
