/** What a verb that runs once prints in the end: one line of JSON, or text for people. */
import type { Verdict } from './cluster/expand.ts'
import { inWords } from './cluster/formats.ts'
import type { StatusReport } from './cluster/status.ts'

export interface Report {
  verdict: Verdict
  message: string
}

/**
 * Prints a report: to stdout what was asked for, to stderr why it was not done.
 * @param command.name as a person called it
 */
export function tellReport(
  command: { name: string; verb: string; json: boolean },
  report: Report,
): void {
  if (command.json) {
    process.stdout.write(`${JSON.stringify({ verb: command.verb, ...report })}\n`)
    return
  }
  const { verdict, message } = report
  if (verdict === 'done') process.stdout.write(`${message}\n`)
  else
    process.stderr.write(`configuration-service: ${command.name}: ${wordOf[verdict]}: ${message}\n`)
}

const wordOf = { more: 'more to do', failed: 'failed', refused: 'refused' }

/** The status as text. */
export function describeStatus(status: StatusReport): string {
  const { build, expanded, target, projects, replicas, blockers } = status
  const formats = Object.entries(projects.byFormat).map(([format, n]) => `${n} of format ${format}`)
  const stopped = projects.stopped.map((project) => `  stopped: ${project}`)
  const lines = [
    `this build  reads ${inWords(build.reads)}, writes ${inWords(build.writes)}`,
    ...(build.unfit === null ? [] : [`            and may not serve: ${build.unfit}`]),
    `expanded    ${expanded === 0 ? 'not yet' : `to format ${expanded}`}`,
    `target      ${target === null ? 'none' : `format ${target.format}, ${target.state} (proposed ${target.since})`}`,
    `projects    ${projects.total}${formats.length === 0 ? '' : `: ${formats.join(', ')}`}`,
    ...stopped,
    `replicas    ${replicas.length}`,
    ...replicas.map(
      (one) =>
        `  ${one.replicaId}  ${one.role === 'migrate' ? 'migrate, ' : ''}${one.liveness}${one.draining ? ', draining' : ''}, ` +
        `heard ${Math.round(one.ageMs / 1_000)} s ago, build ${one.build}, ` +
        `reads ${inWords(one.reads)}, writes ${inWords(one.writes)}, has seen decision ${one.clusterSeq}`,
    ),
    ...blockers.map(({ replicaId, reason }) => `  blocked by ${replicaId}: ${reason}`),
  ]
  return lines.join('\n')
}
