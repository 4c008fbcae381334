/** What a gate saw, and whether that is green. */
import type { Ending, Step } from './fleet.ts'
import type { Witness } from './gateway.ts'
import type { Ledger, LedgerLine } from './ledger.ts'
import type { LoadSummary } from './load.ts'

export interface Seen {
  title: string
  ledger: Ledger
  summary: LoadSummary
  witness: Witness
  endings: readonly Omit<Ending, 'servedDraining'>[]
  /** How many replicas were replaced by others. */
  replacements: number
  /** What reading everything back found: sentences that begin with `lost`, `unexpected`, `doubled` or `log`. */
  wrong: readonly string[]
  /** What else makes it red, such as connections that no endpoint took. */
  faults: readonly string[]
  /** What else is worth to be known. */
  notes: readonly string[]
  /** What became of the replicas, by the machine's clock. */
  steps?: readonly Step[]
  /** From the first step of the scenario to its last. */
  upgrades?: { fromMs: number; toMs: number }
  /**
   * Whether nobody else uses the machine. Only then latencies and the length of drains are judged: else they say more about the
   * neighbours than about us, and a gate that is red because of them is one that people learn to run again.
   */
  quiet?: boolean
}

export interface Report {
  /** Everything that makes it red, worst first; empty for green. */
  failures: string[]
  /** For people. */
  text: string
  requests: number
  /** Those of them that nobody on the way would ever send twice. */
  posts: number
  replacements: number
  /** Absent where the gate was cut short. */
  seen?: Seen
}

const shortKinds = new Set<LedgerLine['kind']>(['post', 'get', 'put', 'delete'])
const kinds = [...shortKinds, 'long', 'slow'] as const
const shownMost = 20

export function buildReport(seen: Seen): Report {
  const { ledger, summary, witness, endings, wrong, notes } = seen
  const failures = failuresOf(seen)
  const counted = { requests: ledger.lines.length, posts: ledger.lines.filter(isPost).length }
  const counts = kinds.map(
    (kind) => `${ledger.lines.filter((line) => line.kind === kind).length} ${kind}`,
  )
  const stale = ledger.failures.filter(({ failure }) => failure?.startsWith('stale'))
  const drains = endings.map(({ drainMs }) => drainMs)
  const lines = [
    seen.title,
    `${seen.replacements} replacements, ${endings.length} replicas drained, in ${Math.min(...drains)} to ${Math.max(...drains)} ms`,
    `${counted.requests} requests in ${summary.seconds.toFixed(0)} s (${counts.join(', ')}), ${counted.posts} of them POST`,
    `${ledger.failures.length} failed, ${stale.length} of them stale reads; ${wrong.length} wrong when read back; nginx saw ${witness.requests} requests, ${witness.complaints.length} complaints`,
    ...(ledger.failures.length === 0 ? [certaintyOf(counted)] : []),
    ...latencyLines(seen),
    seen.quiet ? 'latencies are judged' : 'latencies are told and not judged',
    ...notes,
    `${(100 * onTimeShare(summary)).toFixed(2)} % of ${summary.scheduled} were sent on time`,
    ...verdictLines(failures),
  ]
  return { failures, text: lines.join('\n'), ...counted, replacements: seen.replacements, seen }
}

/** What is told of a gate that stopped at the first red. */
export function cutShort(failures: string[], replacements: number): Report {
  return { failures, text: verdictLines(failures).join('\n'), requests: 0, posts: 0, replacements }
}

/** With none failed of n, fewer than 3/n do, in 95 of 100 cases. */
export function certaintyOf({ requests, posts }: { requests: number; posts: number }): string {
  const bound = (count: number) => `${Number((300 / count).toPrecision(2))} %`
  return `with none failed, fewer than ${bound(requests)} of all requests do, and ${bound(posts)} of POSTs (95 %, the rule of three)`
}

export function verdictLines(failures: readonly string[]): string[] {
  return [
    ...failures.slice(0, shownMost).map((failure) => `RED ${failure}`),
    ...(failures.length > shownMost ? [`RED and ${failures.length - shownMost} more`] : []),
    failures.length === 0 ? 'GREEN' : 'RED',
  ]
}

function failuresOf(seen: Seen): string[] {
  const { ledger, summary, witness, endings, wrong, faults } = seen
  const failures = [
    ...wrong,
    ...ledger.failures.map(describe),
    ...witness.complaints.map((line) => `nginx: ${line}`),
    ...faults,
    ...endings.flatMap(endedBadly),
  ]
  // Too little load proves nothing.
  const kept = onTimeShare(summary)
  if (kept < 0.99) failures.push(`load: only ${(kept * 100).toFixed(1)} % were sent on time`)
  if (seen.quiet) failures.push(...tooSlow(seen))
  return failures
}

function onTimeShare({ onTime, scheduled }: LoadSummary): number {
  return onTime / scheduled
}

function isPost({ kind }: LedgerLine): boolean {
  return kind === 'post' || kind === 'long'
}

/** A failure in a sentence. */
export function describe({ id, kind, project, file, sentMs, tookMs, failure }: LedgerLine): string {
  return `failed: ${kind} ${id} ${project}/${file} at ${sentMs} ms, after ${tookMs} ms: ${failure}`
}

/** A sentence where a replica ended otherwise than it should. */
export function endedBadly({ exit, killed }: Pick<Ending, 'exit' | 'killed'>): string[] {
  if (exit === 0 && !killed) return []
  return [`replica: ended with ${exit}${killed ? ', killed' : ''}`]
}

interface Latency {
  p50: number
  p99: number
  longest: number
}

/** How long requests took, milliseconds; null where there were none. */
export function latencyOf(lines: readonly LedgerLine[]): Latency | null {
  const took = lines.map(({ tookMs }) => tookMs).sort((a, b) => a - b)
  const at = (share: number) => took[Math.floor((took.length - 1) * share)] ?? 0
  return took.length === 0 ? null : { p50: at(0.5), p99: at(0.99), longest: at(1) }
}

/** Requests that take as long as the service does. */
export function shortLines({ lines }: Ledger): LedgerLine[] {
  return lines.filter(({ kind, failure }) => shortKinds.has(kind) && failure === undefined)
}

/** Before and after the upgrades, and during them. */
function latencies({ ledger, summary, upgrades }: Seen) {
  const short = shortLines(ledger)
  if (upgrades === undefined) return { during: latencyOf(short), steady: null }
  const isDuring = ({ sentMs }: LedgerLine) => {
    const atMs = summary.startedAtMs + sentMs
    return atMs >= upgrades.fromMs && atMs < upgrades.toMs
  }
  return {
    during: latencyOf(short.filter(isDuring)),
    steady: latencyOf(short.filter((line) => !isDuring(line))),
  }
}

function latencyLines(seen: Seen): string[] {
  const { during, steady } = latencies(seen)
  const inWords = (name: string, latency: Latency | null) =>
    latency === null
      ? []
      : [
          `short requests ${name}: p50 ${latency.p50} ms, p99 ${latency.p99} ms, longest ${latency.longest} ms`,
        ]
  return [...inWords('while replicas change', during), ...inWords('before and after', steady)]
}

const p99LeastMs = 250
const longestMs = 2_000
const drainMostMs = 15_000

function tooSlow(seen: Seen): string[] {
  const { during, steady } = latencies(seen)
  if (during === null || steady === null) return ['latency: there is nothing to compare']
  const p99MostMs = Math.max(p99LeastMs, 3 * steady.p99)
  const failures: string[] = []
  if (during.p99 > p99MostMs) failures.push(`latency: p99 ${during.p99} ms, above ${p99MostMs} ms`)
  if (during.longest > longestMs) failures.push(`latency: the longest took ${during.longest} ms`)
  for (const { drainMs } of seen.endings) {
    if (drainMs > drainMostMs) failures.push(`replica: took ${drainMs} ms to end`)
  }
  return failures
}
