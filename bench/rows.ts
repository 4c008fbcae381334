/** What is measured, against what, and how good it has to be. */

/** How a figure comes out of what was measured and its baseline. */
type Figure = 'ratio' | 'difference' | 'value'

export interface Row {
  readonly name: string
  readonly what: string
  readonly baseline: string
  /** Of what was measured, and of its baseline. */
  readonly unit: string
  readonly figure: Figure
  readonly better: 'higher' | 'lower'
  /** The figure has to be as good as this. */
  readonly must: number
  /** And would better be as good as this. */
  readonly aim: number
}

export const rows = [
  {
    name: 'reads',
    what: 'linearizable reads, 128 connections',
    baseline: 'Koa and its router, the same log line and metrics, the same bytes from memory',
    unit: 'reads/s',
    figure: 'ratio',
    better: 'higher',
    must: 0.7,
    aim: 0.9,
  },
  {
    name: 'stale-reads',
    what: 'the same with `Cache-Control: max-stale=5`',
    baseline: 'as above',
    unit: 'reads/s',
    figure: 'ratio',
    better: 'higher',
    must: 0.85,
    aim: 0.95,
  },
  {
    name: 'read-latency',
    what: 'linearizable read, 1 connection, p50',
    baseline: 'one GET of an absent key on the same store, p50',
    unit: 'ms',
    figure: 'difference',
    better: 'lower',
    must: 0.3,
    aim: 0.15,
  },
  {
    name: 'probes',
    what: 'store probes for 1,000 reads at 128 connections',
    baseline: '–',
    unit: 'probes',
    figure: 'value',
    better: 'lower',
    must: 30,
    aim: 10,
  },
  {
    name: 'write-latency',
    what: 'write, 1 writer, p50',
    baseline: 'one create of 1.5 KB on the same store, p50',
    unit: 'ms',
    figure: 'ratio',
    better: 'lower',
    must: 2,
    aim: 1.3,
  },
  {
    name: 'writes',
    what: '128 writers on one project, each write its own commit',
    baseline: 'sequential creates of 1.5 KB on the same store',
    unit: 'writes/s',
    figure: 'ratio',
    better: 'higher',
    must: 4,
    aim: 10,
  },
  {
    name: 'replicas',
    what: '3 replicas with Redis, 24 writers on one project',
    baseline: '1 replica with Redis, 24 writers on one project',
    unit: 'writes/s',
    figure: 'ratio',
    better: 'higher',
    must: 0.5,
    aim: 0.9,
  },
  {
    name: 'pinned-reads',
    what: 'reads at a commit (`gitCommitID`), 128 connections',
    baseline: 'as for reads',
    unit: 'reads/s',
    figure: 'ratio',
    better: 'higher',
    must: 0.85,
    aim: 0.95,
  },
  {
    name: 'many-projects',
    what: '128 writers over 64 projects',
    baseline: '128 creates of 1.5 KB at a time on the same store',
    unit: 'writes/s',
    figure: 'ratio',
    better: 'higher',
    must: 0.5,
    aim: 0.9,
  },
  {
    name: 'long-log-writes',
    what: 'write at entry 10,000, p50',
    baseline: 'the same at entry 100',
    unit: 'ms',
    figure: 'ratio',
    better: 'lower',
    must: 1.3,
    aim: 1.05,
  },
  {
    name: 'long-log-reads',
    what: 'read at entry 10,000, p50',
    baseline: 'the same at entry 100',
    unit: 'ms',
    figure: 'ratio',
    better: 'lower',
    must: 1.3,
    aim: 1.05,
  },
  {
    name: 'cold',
    what: 'first answer of a project with 10,000 entries, empty cache',
    baseline: 'one GET of an entry on the same store, p50',
    unit: 'ms',
    figure: 'ratio',
    better: 'lower',
    must: 60,
    aim: 25,
  },
  {
    name: 'warm',
    what: 'the same, cache folder of the process before',
    baseline: 'as above',
    unit: 'ms',
    figure: 'ratio',
    better: 'lower',
    must: 25,
    aim: 10,
  },
  {
    name: 'batch',
    what: '100 files in one request, p50',
    baseline: 'one create of 1.5 KB on the same store, p50',
    unit: 'ms',
    figure: 'ratio',
    better: 'lower',
    must: 6,
    aim: 3,
  },
  {
    name: 'mixed-p99',
    what: 'p99 of reads at 128 connections while 32 writers work',
    baseline: 'the same without writers',
    unit: 'ms',
    figure: 'ratio',
    better: 'lower',
    must: 3,
    aim: 1.5,
  },
  {
    name: 'memory',
    what: 'resident memory at its peak: 1,000 projects of 50 files read in turn, then 128 connections',
    baseline: '–',
    unit: 'MiB',
    figure: 'value',
    better: 'lower',
    must: 256,
    aim: 160,
  },
  {
    name: 'upload-delay',
    what: 'delay of the event loop, p99, while files of 10 MiB are written beside 128 connections that read',
    baseline: '–',
    unit: 'ms',
    figure: 'value',
    better: 'lower',
    must: 50,
    aim: 20,
  },
  {
    name: 'idle-calls',
    what: 'calls to the store a minute, of a replica that nobody asks: 10,000 projects, 200 of them were active',
    baseline: '–',
    unit: 'calls',
    figure: 'value',
    better: 'lower',
    must: 60,
    aim: 30,
  },
  {
    name: 'start',
    what: 'process start to ready, `file:` store, built',
    baseline: '`node -e 0`',
    unit: 's',
    figure: 'difference',
    better: 'lower',
    must: 1,
    aim: 0.4,
  },
] as const satisfies readonly Row[]

export type RowName = (typeof rows)[number]['name']

/** One run of one row. */
export interface Sample {
  value: number
  /** None where the row has none. */
  baseline?: number
  /** What else was seen, in the unit of its name. */
  notes?: Record<string, number>
}

/** A row as it came out. */
export interface Result extends Row {
  /** None where a run failed. */
  samples: readonly Sample[]
  figures: readonly number[]
  median: number | null
  verdict: 'aim' | 'must' | 'missed'
  /** Why there are no figures. */
  error?: string
  /** When it was measured, RFC 3339. */
  at: string
}

/**
 * Judges a row by the median of its runs.
 * @param samples one a run, at least one unless `error` is given
 */
export function judge(
  row: Row,
  outcome: { samples: readonly Sample[]; error?: string; at: string },
): Result {
  const figures =
    outcome.error === undefined ? outcome.samples.map((one) => figureOf(row, one)) : []
  const middle = figures.length === 0 ? null : median(figures)
  return { ...row, ...outcome, figures, median: middle, verdict: verdictOf(row, middle) }
}

function verdictOf(row: Row, figure: number | null): Result['verdict'] {
  const reaches = (bound: number) =>
    figure !== null && (row.better === 'higher' ? figure >= bound : figure <= bound)
  if (!reaches(row.must)) return 'missed'
  return reaches(row.aim) ? 'aim' : 'must'
}

function figureOf({ figure, name }: Row, { value, baseline }: Sample): number {
  if (figure === 'value') return value
  if (baseline === undefined) throw new Error(`${name} was measured without its baseline`)
  return figure === 'ratio' ? value / baseline : value - baseline
}

/** A figure in the form of its row: `0.91`, `+0.21 ms`, `12`. */
export function figure({ figure: kind, must, unit }: Row, number: number): string {
  if (kind === 'difference')
    return `${number < 0 ? '−' : '+'}${Math.abs(number).toFixed(2)} ${unit}`
  if (kind === 'value') return tidy(number)
  return must < 1 ? number.toFixed(2) : `${number.toFixed(1)} ×`
}

/** A number with three digits that count. */
export function tidy(number: number): string {
  return number >= 100
    ? Math.round(number).toLocaleString('en')
    : `${Number(number.toPrecision(3))}`
}

/** The middle of some numbers; the mean of the two middle ones where their count is even. */
export function median(numbers: readonly number[]): number {
  return quantile(numbers, 0.5)
}

/**
 * A quantile, between the two nearest numbers where it falls between them.
 * @param numbers in any order, at least one
 * @param share 0 to 1
 */
export function quantile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((left, right) => left - right)
  const at = (sorted.length - 1) * share
  const below = sorted[Math.floor(at)]
  const above = sorted[Math.ceil(at)]
  if (below === undefined || above === undefined) throw new Error('nothing was measured')
  return below + (above - below) * (at - Math.floor(at))
}
