/** Whoever runs the service: does what docs/operations.md says, with the lines that stand there. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { blockAfter } from '../support/markdown.ts'
import { repositoryRoot } from '../support/programs.ts'
import { chartOf } from './builds.ts'
import type { Cluster } from './cluster.ts'
import { type Control, copyChart } from './controls.ts'

export interface Operator {
  /** Writes a file into the folder in which the lines are run. */
  write(name: string, text: string): void
  /** Takes the chart of a build, and writes values.yaml for it. @param more values, over those that every release has */
  takes(build: string, more?: object): Promise<void>
  /**
   * Runs the lines after `<!-- lab: … -->`.
   * @param also words at the end of each command of Helm
   * @throws where one fails
   */
  does(what: string, also?: string): Promise<void>
  /** As `does`, for lines that have to fail. @returns what they said @throws where they do not */
  fails(what: string, also?: string): Promise<string>
  /** Runs lines that stand nowhere. @throws where one fails */
  runs(lines: string): Promise<string>
}

export function makeOperator(options: {
  cluster: Cluster
  folder: string
  tell: (line: string) => void
  /** What every release has. */
  values: (build: string) => object
  /** Makes a mistake in the charts. */
  control?: Control
}): Operator {
  const { cluster, folder, tell, values, control } = options
  const operations = readFileSync(join(repositoryRoot, 'docs', 'operations.md'), 'utf8')
  const chart = join(folder, 'charts', 'configuration-service')
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text)

  async function run(what: string, also: string) {
    const lines = blockAfter(operations, `<!-- lab: ${what} -->`)
      .split('\n')
      .map((line) => (line.startsWith('helm ') ? `${line} ${also}` : line))
    const startMs = performance.now()
    const ran = await cluster.shell(lines.join('\n'), folder)
    const took = `${((performance.now() - startMs) / 1_000).toFixed(0)} s`
    tell(`${what}${also && ` ${also}`} ${ran.exit === 0 ? 'took' : 'failed after'} ${took}`)
    return ran
  }

  return {
    write,
    async takes(build, more = {}) {
      rmSync(chart, { recursive: true, force: true })
      copyChart(await chartOf(build), chart, control)
      write('values.yaml', JSON.stringify({ ...values(build), ...more }))
    },
    async does(what, also = '') {
      const { exit, output } = await run(what, also)
      if (exit === 0) return
      const pods = await cluster.kubectl('get', 'pods,jobs', '--output=wide')
      const ours = '--selector=app.kubernetes.io/name=configuration-service'
      const { output: logs } = await cluster.shell(
        `kubectl logs ${ours} --prefix --tail=20`,
        folder,
      )
      throw new Error(`${what} ended with ${exit}: ${output}\n${pods}\n${logs}`)
    },
    async fails(what, also = '') {
      const { exit, output } = await run(what, also)
      if (exit === 0) throw new Error(`${what} ${also} did not fail: ${output}`)
      return output
    },
    async runs(lines) {
      const { exit, output } = await cluster.shell(lines, folder)
      if (exit !== 0) throw new Error(`${lines} ended with ${exit}: ${output}`)
      return output
    },
  }
}

/** What an uninstall has left behind, in sentences. */
export async function leftovers(cluster: Cluster): Promise<string[]> {
  const kinds = 'deployment,replicaset,pod,service,job,serviceaccount,poddisruptionbudget'
  const { items } = await cluster.get<{ items: { kind: string; metadata: { name: string } }[] }>(
    kinds,
    '--selector=app.kubernetes.io/name=configuration-service',
  )
  return items.map(({ kind, metadata }) => `uninstall: ${kind} ${metadata.name} is still there`)
}
