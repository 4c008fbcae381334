/** The report of a campaign: a table for people, and the same as data. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { aimMs, mustMs, type Row } from './verdict.ts'

export interface Campaign {
  rows: readonly Row[]
  /** Kinds that this machine cannot run, and why. */
  notRun: readonly { kind: string; reason: string }[]
  /** Why it did not come to its end, in a sentence. */
  endedEarly?: string
  seed: number
  /** Of the command line. */
  words: readonly string[]
  seconds: number
}

/** Every broken promise, with its kind. */
export function failuresOf({ rows, endedEarly }: Pick<Campaign, 'rows' | 'endedEarly'>): string[] {
  const ofRows = rows.flatMap(({ kind, failures }) => failures.map((text) => `${kind}: ${text}`))
  return endedEarly === undefined ? ofRows : [...ofRows, endedEarly]
}

/** Writes `faults.md` and `faults.json`. @returns the paths */
export function writeReport(folder: string, campaign: Campaign): string[] {
  mkdirSync(folder, { recursive: true })
  const [text, data] = [join(folder, 'faults.md'), join(folder, 'faults.json')]
  writeFileSync(text, markdownOf(campaign))
  writeFileSync(data, `${JSON.stringify(campaign, null, 2)}\n`)
  return [text, data]
}

const heads = [
  'Fault',
  'Times',
  'Requests',
  'Acknowledged writes',
  'Lost',
  'Doubled',
  'Stale',
  'Longest outage of one client',
  'of all clients',
  'First good read after it',
  'write',
  'keyed write',
  'keyed write at every replica',
]

/** The table, with when and on what it was made. */
export function markdownOf(campaign: Campaign): string {
  const { rows, notRun, seed, words, seconds } = campaign
  const failures = failuresOf(campaign)
  const sum = (of: (row: Row) => number) =>
    rows.reduce((total, row) => total + of(row), 0).toLocaleString('en')
  const table = [heads, heads.map(() => '---'), ...rows.map(cellsOf)]
  const command = ['npm run faults --', ...wordsToShow(words), `--seed ${seed}`].join(' ')
  const parts = [
    `\`${command}\`, ${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${cpus().length} cores, ${Math.round(seconds / 60)} minutes: **${failures.length === 0 ? 'green' : 'red'}**.`,
    `${sum(({ faults }) => faults)} faults, ${sum(({ requests }) => requests)} requests, ${sum(({ acknowledged }) => acknowledged)} acknowledged writes: ${sum(({ lost }) => lost)} lost, ${sum(({ doubled }) => doubled)} doubled, ${sum(({ stale }) => stale)} stale. First good answer after a fault: must ${mustMs / 1_000} s, aim ${aimMs / 1_000} s.`,
    table.map((cells) => `| ${cells.join(' | ')} |`).join('\n'),
    ...notRun.map(({ kind, reason }) => `Not run: ${kind}: ${reason}.`),
    ...(failures.length > 0 ? [failures.map((text) => `- **${text}**`).join('\n')] : []),
  ]
  return `${parts.join('\n\n')}\n`
}

/** Without the seed, which is told in any case, and the folder. */
function wordsToShow(words: readonly string[]): string[] {
  const left = new Set(['--seed', '--report'])
  return words.filter((word, at) => !left.has(word) && !left.has(words[at - 1] ?? ''))
}

function cellsOf(row: Row): string[] {
  const { read, write, 'keyed write': keyed } = row.recoveryMs
  const counts = [row.faults, row.requests, row.acknowledged, row.lost, row.doubled, row.stale]
  const times = [row.outageMs, row.outageOfAllMs, read, write, keyed, row.everywhereMs]
  return [row.title, ...counts.map((count) => count.toLocaleString('en')), ...times.map(secondsOf)]
}

function secondsOf(ms: number | null): string {
  return ms === null ? 'never' : `${(ms / 1_000).toFixed(2)} s`
}
