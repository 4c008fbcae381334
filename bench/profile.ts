/** Where the service's processor time goes: V8's own profiles of the reads and of the writes. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { SourceMap } from 'node:module'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makeFolder, removeFolder } from '../test/support/processes.ts'
import { repositoryRoot } from '../test/support/programs.ts'
import { makeProject, project, readPath } from './files.ts'
import { type Place, runClient, type Subject } from './place.ts'
import { loadByWrk } from './wrk.ts'

const shown = 10

interface CpuProfile {
  /** Microseconds of the monotonic clock. */
  startTime: number
  nodes: { id: number; callFrame: Frame }[]
  /** Ids of nodes, one a sample. */
  samples: number[]
  /** Microseconds since the sample before. */
  timeDeltas: number[]
}

interface Frame {
  functionName: string
  url: string
  /** From 0, as the column. */
  lineNumber: number
  columnNumber: number
}

/** Profiles one service under reads, and one under writes, and prints what took most. */
export async function profile(place: Place, seconds: number): Promise<void> {
  await profileOne(place, 'linearizable reads, 128 connections', async ({ url }) => {
    await loadByWrk({ url: url + readPath, seconds })
  })
  await profileOne(place, '128 writers on one project', async ({ url }) => {
    const task = {
      kind: 'writers',
      urls: [url],
      writers: 128,
      projects: [project],
      seconds,
      warmUpSeconds: 0,
    }
    await runClient(task)
  })
}

async function profileOne(
  place: Place,
  what: string,
  load: (service: Subject) => Promise<void>,
): Promise<void> {
  const folder = makeFolder('profile')
  const bucket = await place.makeBucket()
  const nodeFlags = ['--cpu-prof', `--cpu-prof-dir=${folder}`]
  const service = await place.startService({ bucket, nodeFlags })
  await makeProject(service.url)
  const fromMicros = monotonicMicros()
  await load(service)
  const toMicros = monotonicMicros()
  await service.stop()
  const [file] = readdirSync(folder)
  if (file === undefined) throw new Error('the service left no profile')
  const taken = JSON.parse(readFileSync(join(folder, file), 'utf8')) as CpuProfile
  removeFolder(folder)
  console.log(`${what}: the share of the processor time each function took by itself`)
  const lines = renderProfile(taken, { fromMicros, toMicros })
  for (const line of lines) console.log(`  ${line}`)
}

/** Of the clock that V8 stamps its profiles with. */
function monotonicMicros(): number {
  return Number(process.hrtime.bigint() / 1_000n)
}

/**
 * The functions that took most by themselves, most first, and how long the process was idle.
 * @param during only samples of this time count
 */
export function renderProfile(
  taken: CpuProfile,
  during: { fromMicros: number; toMicros: number },
): string[] {
  const names = new Map(taken.nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]))
  const micros = new Map<string, number>()
  let now = taken.startTime
  for (const [at, id] of taken.samples.entries()) {
    const delta = taken.timeDeltas[at] ?? 0
    now += delta
    if (now < during.fromMicros || now > during.toMicros) continue
    const name = names.get(id) ?? ''
    micros.set(name, (micros.get(name) ?? 0) + delta)
  }
  const idle = micros.get('(idle)') ?? 0
  micros.delete('(idle)')
  const busy = [...micros.values()].reduce((sum, own) => sum + own, 0)
  const most = [...micros].sort(([, left], [, right]) => right - left).slice(0, shown)
  return [
    ...most.map(([name, own]) => `${percent(own / busy)}  ${name}`),
    `${percent(idle / (idle + busy))}  of the time it was idle`,
  ]
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1).padStart(5)} %`
}

function nameOf({ functionName, url, lineNumber, columnNumber }: Frame): string {
  const name = functionName || '(anonymous)'
  if (url === '') return name
  if (!url.startsWith('file:')) return `${name} ${url}`
  const file = fileURLToPath(url)
  const map = sourceMapOf(file)
  const entry = map?.findEntry(lineNumber, columnNumber)
  const line = entry && 'originalLine' in entry ? entry.originalLine : lineNumber
  const shownFile = relative(repositoryRoot, file)
  const source = map ? shownFile.replace(/^dist\//, '').replace(/\.js$/, '.ts') : shownFile
  return `${name} ${source}:${line + 1}`
}

const sourceMaps = new Map<string, SourceMap | null>()

function sourceMapOf(file: string): SourceMap | null {
  let map = sourceMaps.get(file)
  if (map === undefined) {
    const isThere = existsSync(`${file}.map`)
    map = isThere ? new SourceMap(JSON.parse(readFileSync(`${file}.map`, 'utf8'))) : null
    sourceMaps.set(file, map)
  }
  return map
}
