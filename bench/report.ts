/** The results as JSON, and as a table in Markdown. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { repositoryRoot } from '../test/support/programs.ts'
import { drawChart } from './chart.ts'
import { figure, median, type Result, rows, tidy } from './rows.ts'

/** Rows of the last run of each, and what they were measured on. */
export interface Report {
  machine: { cores: number; node: string; platform: string }
  rows: readonly Result[]
}

/** Where results are kept. */
export const folder = join(repositoryRoot, 'bench')
export const readmeFile = join(folder, 'README.md')

/**
 * Puts new results in the place of older ones of the same rows, and writes JSON, chart and table.
 * @param delayMs what each call to the store took longer; with a delay they have files and a table of their own, and no chart
 */
export function writeReport(results: readonly Result[], delayMs: number): void {
  const name = delayMs > 0 ? 'results-slow-store' : 'results'
  const jsonFile = join(folder, `${name}.json`)
  const older = existsSync(jsonFile)
    ? (JSON.parse(readFileSync(jsonFile, 'utf8')) as Report).rows
    : []
  const report = { machine: thisMachine(), rows: merge(older, results) }
  writeFileSync(jsonFile, `${JSON.stringify(report, null, 2)}\n`)
  if (delayMs === 0) writeFileSync(join(folder, `${name}.svg`), drawChart(report.rows))
  const readme = readFileSync(readmeFile, 'utf8')
  writeFileSync(readmeFile, putBetweenMarkers(readme, renderTable(report), name))
}

/** In the order of the table; of two results for one row the newer one. */
export function merge(older: readonly Result[], newer: readonly Result[]): Result[] {
  const find = (from: readonly Result[], name: string) => from.find((one) => one.name === name)
  return rows.flatMap(({ name }) => find(newer, name) ?? find(older, name) ?? [])
}

/** @throws where the text has no markers of that name */
export function putBetweenMarkers(text: string, content: string, name = 'results'): string {
  const opening = `<!-- ${name}: begin -->`
  const closing = `<!-- ${name}: end -->`
  const [begin, end] = [text.indexOf(opening), text.indexOf(closing)]
  if (begin < 0 || end < begin) {
    throw new Error(`there is no place between ${opening} and ${closing}`)
  }
  return `${text.slice(0, begin + opening.length)}\n\n${content}\n${text.slice(end)}`
}

export function renderTable({ machine, rows: results }: Report): string {
  const { cores, node, platform } = machine
  const newest =
    results
      .map(({ at }) => at)
      .sort()
      .at(-1) ?? ''
  return `${renderRows(results)}\n\nNode ${node} on ${platform}, ${cores} cores, ${newest.slice(0, 10)}. Bare Koa: ${bareKoa(results)}.\n`
}

/** A table with a line for each result. */
export function renderRows(results: readonly Result[]): string {
  const lines = [
    '| What | Baseline in the same run | Measured | Baseline | Median (spread) | Must | Aim | |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ...results.map(renderRow),
  ]
  return lines.join('\n')
}

/** One line for the terminal. */
export function renderLine(result: Result): string {
  const { name, verdict, must, aim, error } = result
  const mark = { aim: 'aim reached', must: 'passed', missed: 'MISSED' }[verdict]
  if (error !== undefined) return `${name}: ${mark}: ${error}`
  const bounds = `must ${figure(result, must)}, aim ${figure(result, aim)}`
  const [measured, baseline] = medians(result)
  const from = baseline === '–' ? '' : ` (${measured} against ${baseline})`
  return `${name}: ${medianAndSpread(result)}${from}, ${bounds}: ${mark}${notesOf(result)}`
}

/** What else was seen, the median of the runs. */
function notesOf({ samples }: Result): string {
  const names = Object.keys(samples[0]?.notes ?? {})
  const told = names.map((name) => {
    const numbers = samples.flatMap(({ notes }) => notes?.[name] ?? [])
    return `${name} ${tidy(median(numbers))}`
  })
  return told.length === 0 ? '' : `\n  ${told.join(', ')}`
}

function renderRow(result: Result): string {
  const { what, baseline, must, aim, verdict } = result
  const mark = { aim: 'aim', must: 'must', missed: '**missed**' }[verdict]
  const cells = [
    what,
    baseline,
    ...medians(result),
    medianAndSpread(result),
    figure(result, must),
    figure(result, aim),
    mark,
  ]
  return `| ${cells.join(' | ')} |`
}

function medians({ samples, unit }: Result): [string, string] {
  const middle = (numbers: number[]) =>
    numbers.length === 0 ? '–' : `${tidy(median(numbers))} ${unit}`
  return [
    middle(samples.map(({ value }) => value)),
    middle(samples.flatMap(({ baseline }) => baseline ?? [])),
  ]
}

function medianAndSpread(result: Result): string {
  const { figures } = result
  if (result.median === null) return 'failed'
  const [least, most] = [Math.min(...figures), Math.max(...figures)]
  const spread = `${figure(result, least)} to ${figure(result, most)}`
  return figures.length < 2
    ? figure(result, result.median)
    : `${figure(result, result.median)} (${spread})`
}

function bareKoa(results: readonly Result[]): string {
  const notes = results.flatMap(({ samples }) => samples.map((sample) => sample.notes))
  const rates = notes.flatMap((note) => note?.bareKoaPerSecond ?? [])
  return rates.length === 0 ? 'not measured' : `${tidy(Math.max(...rates))} reads/s`
}

/** What results were measured on. */
export function thisMachine(): Report['machine'] {
  return { cores: availableParallelism(), node: process.version, platform: process.platform }
}
