/** The comparison with others as JSON, as tables in Markdown, and as a picture. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { needProgram, repositoryRoot } from '../test/support/programs.ts'
import { drawBars } from './chart.ts'
import {
  type Contender,
  contenders,
  type Measured,
  type PeerRun,
  peerRows,
  samplesOf,
} from './peers.ts'
import { folder, putBetweenMarkers, readmeFile, renderRows, thisMachine } from './report.ts'
import { judge, median, type Result, tidy } from './rows.ts'

/** The last comparison: what is judged, and what everybody did in each run. */
export interface PeerReport {
  machine: { cores: number; node: string; platform: string }
  versions: { etcd: string; git: string }
  rows: readonly Result[]
  contenders: readonly (Contender & { samples: readonly Measured[] })[]
}

/** Judges the rows. @param outcome.error why a run failed, if one did */
export function judgePeers(
  outcome: { runs: readonly PeerRun[]; error?: string },
  at: string,
): Result[] {
  const { runs, error } = outcome
  return peerRows.map((row) => {
    const samples = samplesOf(row, runs)
    return judge(row, { samples, at, ...(error !== undefined && { error }) })
  })
}

/** Puts together what is written down of some runs, at least one. */
export function makePeerReport(runs: readonly PeerRun[], rows: readonly Result[]): PeerReport {
  return {
    machine: thisMachine(),
    versions: { etcd: versionOf('etcd'), git: versionOf('git') },
    rows,
    contenders: contenders.map((one) => ({ ...one, samples: runs.map((run) => run[one.name]) })),
  }
}

/** Writes JSON, chart and tables, what is judged into the project's README too. */
export function writePeerReport(report: PeerReport): void {
  writeFileSync(join(folder, 'peers.json'), `${JSON.stringify(report, null, 2)}\n`)
  writeFileSync(join(folder, 'peers.svg'), drawPeers(report))
  for (const [file, text] of [
    [readmeFile, renderPeers(report)],
    [join(repositoryRoot, 'README.md'), renderJudged(report)],
  ] as const) {
    writeFileSync(file, putBetweenMarkers(readFileSync(file, 'utf8'), text, 'peers'))
  }
}

/** What is judged, then what everybody did. */
export function renderPeers(report: PeerReport): string {
  const does = (['reads', 'writes'] as const).map((one) => renderContenders(report, one))
  return [renderRows(report.rows), ...does, madeOn(report)].join('\n\n')
}

/** What is judged. */
export function renderJudged(report: PeerReport): string {
  return `${renderRows(report.rows)}\n\n${madeOn(report)}`
}

function madeOn({ machine, versions, rows }: PeerReport): string {
  const { cores, node, platform } = machine
  const date = rows[0]?.at.slice(0, 10)
  return `etcd ${versions.etcd}, git ${versions.git}, Node ${node} on ${platform}, ${cores} cores, ${date}.\n`
}

/** One line for the terminal. */
export function renderContenderLine({ name, samples }: PeerReport['contenders'][number]): string {
  const loads = samples.flatMap(({ loadProcessors }) => loadProcessors ?? [])
  const load = loads.length === 0 ? '' : `, load ${median(loads).toFixed(2)} processors`
  return `${name}: ${cellsOf(samples).join(', ')}${load}`
}

function renderContenders(report: PeerReport, does: Contender['does']): string {
  const one = does === 'reads' ? 'read' : 'write'
  const lines = [
    `| Who | ${does}/s, median (spread) | p50, ms | p99, ms | µs of processor time a ${one} | Driven by |`,
    '| --- | --- | --- | --- | --- | --- |',
    ...report.contenders
      .filter((contender) => contender.does === does)
      .map(({ who, driven, samples }) => `| ${[who, ...cellsOf(samples), driven].join(' | ')} |`),
  ]
  return lines.join('\n')
}

function cellsOf(samples: readonly Measured[]): string[] {
  const rates = samples.map(({ perSecond }) => perSecond)
  const spread =
    rates.length < 2 ? '' : ` (${tidy(Math.min(...rates))} to ${tidy(Math.max(...rates))})`
  const cpu = samples.flatMap(({ cpuMicros }) => cpuMicros ?? [])
  return [
    `${tidy(median(rates))}${spread}`,
    tidy(median(samples.map(({ p50Ms }) => p50Ms))),
    tidy(median(samples.map(({ p99Ms }) => p99Ms))),
    cpu.length === 0 ? '–' : tidy(median(cpu)),
  ]
}

function drawPeers(report: PeerReport): string {
  const barsOf = (does: Contender['does']) =>
    report.contenders
      .filter((contender) => contender.does === does)
      .map(({ who, side, samples }) => {
        const length = median(samples.map(({ perSecond }) => perSecond))
        return { label: who, side, length, told: tidy(length) }
      })
  return drawBars('The service beside others', [
    { title: 'reads/s, 128 connections', bars: barsOf('reads') },
    { title: 'durable writes/s', bars: barsOf('writes') },
  ])
}

function versionOf(program: string): string {
  const told = execFileSync(needProgram(program), ['--version'], { encoding: 'utf8' })
  return /\d+(\.\d+)+/.exec(told)?.[0] ?? 'unknown'
}
