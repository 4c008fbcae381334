/** Whoever runs the service: does what docs/operations.md says, with the lines that stand there. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { blockAfter } from '../support/markdown.ts'
import { repositoryRoot } from '../support/programs.ts'
import { type Control, copyChart } from './controls.ts'
import type { Lab } from './lab.ts'

export interface Operator {
  /** Writes a file into the folder in which the lines are run. */
  write(name: string, text: string): void
  /** Runs the lines after `<!-- lab: … -->`. @throws where one fails */
  does(what: string): Promise<void>
  /** What was done, and how long it took. */
  told(): string[]
}

export function makeOperator(options: {
  lab: Lab
  folder: string
  tell: (line: string) => void
  /** Makes a mistake in the chart. */
  control?: Control
}): Operator {
  const { lab, folder, tell } = options
  const operations = readFileSync(join(repositoryRoot, 'docs', 'operations.md'), 'utf8')
  const chart = join('charts', 'configuration-service')
  copyChart(join(repositoryRoot, chart), join(folder, chart), options.control)
  const told: string[] = []
  return {
    write: (name, text) => writeFileSync(join(folder, name), text),
    async does(what) {
      const lines = blockAfter(operations, `<!-- lab: ${what} -->`)
      const startMs = performance.now()
      const { exit, output } = await lab.shell(lines, folder)
      const seconds = ((performance.now() - startMs) / 1_000).toFixed(0)
      tell(`${what} took ${seconds} s`)
      told.push(`${what} ${seconds} s`)
      if (exit !== 0) {
        const seen = await lab.kubectl('get', 'pods,jobs,events', '--output=wide')
        throw new Error(`${what} ended with ${exit}: ${output}\n${seen}`)
      }
    },
    told: () => told,
  }
}

/** What an uninstall has left behind, in sentences. */
export async function leftovers(lab: Lab): Promise<string[]> {
  const kinds = 'deployment,replicaset,pod,service,job,serviceaccount,poddisruptionbudget'
  const { items } = await lab.get<{ items: { kind: string; metadata: { name: string } }[] }>(
    kinds,
    '--selector=app.kubernetes.io/name=configuration-service',
  )
  return items.map(({ kind, metadata }) => `uninstall: ${kind} ${metadata.name} is still there`)
}
