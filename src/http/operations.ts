/** Routes for operators: probes, metrics, the document of the API and its viewer. Open, and about no project. */
import { type Answer, empty, text } from './answer.ts'
import { type Handler, isSet, type Route } from './call.ts'

/** What a probe is told. */
export interface HealthReport {
  ok: boolean
  /** What was looked at, for `?verbose`. */
  checks: readonly { name: string; ok: boolean; reason?: string }[]
}

export interface Health {
  /** Whether the process may be given requests: not before it was ready once, not while it drains. */
  ready(): HealthReport
  /** Whether it has come up. */
  started(): HealthReport
}

/** Metrics in Prometheus' text form. */
export type ReadMetrics = () => Promise<{ text: string; contentType: string }>

/** Builds the routes of probes and metrics. */
export function createOperations(health: Health, metrics: ReadMetrics): Route[] {
  return [
    open('/livez', 'livez', async () => text(200, 'ok\n')),
    open('/readyz', 'readyz', async ({ match }) =>
      report(health.ready(), isSet(match.query, 'verbose')),
    ),
    open('/startupz', 'startupz', async ({ match }) =>
      report(health.started(), isSet(match.query, 'verbose')),
    ),
    open('/health', 'health', async () => empty(200)),
    open('/metrics', 'metrics', async () => {
      const { text: body, contentType } = await metrics()
      return { status: 200, headers: { 'Content-Type': contentType }, body }
    }),
  ]
}

/** A route that asks for no token. */
export function open(pattern: string, id: string, handle: Handler): Route {
  return { method: 'GET', pattern, id, role: 'open', handle }
}

/** The form of Kubernetes' own probes: a line a check, and the verdict. */
function report({ ok, checks }: HealthReport, verbose: boolean): Answer {
  const verdict = ok ? 'ok' : 'not ok'
  const shown = verbose ? checks : checks.filter((check) => !check.ok)
  const lines = shown.map((check) => {
    const reason = check.reason === undefined ? '' : `: ${check.reason}`
    return `[${check.ok ? '+' : '-'}] ${check.name} ${check.ok ? 'ok' : 'not ok'}${reason}\n`
  })
  return text(ok ? 200 : 503, `${lines.join('')}${verdict}\n`)
}
