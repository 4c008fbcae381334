/** What the gate saw, and whether that is green. */
import type { Ending } from './fleet.ts'
import type { Witness } from './gateway.ts'
import type { Ledger, LedgerLine } from './ledger.ts'
import type { LoadSummary } from './load.ts'

export interface Report {
  /** Everything that makes it red, worst first; empty for green. */
  failures: string[]
  /** For people. */
  text: string
  requests: number
  replacements: number
}

const shortKinds = new Set<LedgerLine['kind']>(['post', 'get', 'put', 'delete'])
const shownMost = 20

export function buildReport(seen: {
  ledger: Ledger
  summary: LoadSummary
  witness: Witness
  endings: readonly Omit<Ending, 'servedDraining'>[]
  lost: string[]
  /** What else makes it red, such as connections that no endpoint took. */
  faults: readonly string[]
  /** What else is worth to be known. */
  notes: readonly string[]
}): Report {
  const { ledger, summary, witness, endings, faults, lost, notes } = seen
  const gone = endings.filter(({ exit, killed }) => exit !== 0 || killed)
  const failures = [
    ...lost.map((what) => `lost: ${what}`),
    ...ledger.failures.map((line) => `failed: ${describe(line)}`),
    ...witness.complaints.map((line) => `nginx: ${line}`),
    ...faults,
    ...gone.map(({ exit, killed }) => `replica: ended with ${exit}${killed ? ', killed' : ''}`),
  ]
  // Too little load proves nothing.
  const kept = summary.onTime / summary.scheduled
  if (kept < 0.99) failures.push(`load: only ${(kept * 100).toFixed(1)} % were sent on time`)
  const requests = ledger.lines.length
  const drains = endings.map(({ drainMs }) => drainMs)
  const took = ledger.lines
    .filter(({ kind, failure }) => shortKinds.has(kind) && failure === undefined)
    .map(({ tookMs }) => tookMs)
    .sort((a, b) => a - b)
  const at = (share: number) => took[Math.floor((took.length - 1) * share)]
  const kinds = [...shortKinds, 'long', 'slow'].map(
    (kind) => `${ledger.lines.filter((line) => line.kind === kind).length} ${kind}`,
  )
  const certainty = `with none failed of so many, fewer than ${(300 / requests).toFixed(3)} % do (95 %)`
  const lines = [
    `${endings.length} replicas drained, ${requests} requests in ${summary.seconds.toFixed(0)} s (${kinds.join(', ')})`,
    `${ledger.failures.length} failed, ${lost.length} lost; nginx saw ${witness.requests} requests, ${witness.complaints.length} complaints`,
    ...(ledger.failures.length === 0 ? [certainty] : []),
    `short requests: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms`,
    `replicas took ${Math.min(...drains)} to ${Math.max(...drains)} ms to end`,
    ...notes,
    `${(kept * 100).toFixed(2)} % of ${summary.scheduled} were sent on time`,
    ...failures.slice(0, shownMost).map((failure) => `RED ${failure}`),
    ...(failures.length > shownMost ? [`RED and ${failures.length - shownMost} more`] : []),
    failures.length === 0 ? 'GREEN' : 'RED',
  ]
  return { failures, text: lines.join('\n'), requests, replacements: endings.length }
}

function describe({ id, kind, project, file, sentMs, tookMs, failure }: LedgerLine): string {
  return `${kind} ${id} ${project}/${file} at ${sentMs} ms, after ${tookMs} ms: ${failure}`
}
