/** The command line of the gate on Kubernetes. */
import { parseArgs } from 'node:util'
import { type Control, controlNames, isControl } from './controls.ts'
import { groundSettings } from './ground.ts'
import { isScenario, type ScenarioName, scenarioNames, scenarios } from './scenarios.ts'

export interface Words {
  scenarios: ScenarioName[]
  control?: Control
  postsOnly: boolean
  /** What is asked for instead of a run. */
  instead?: 'help' | 'list' | 'lab'
}

const flags = {
  scenario: { type: 'string', multiple: true, default: [] as string[] },
  control: { type: 'string' },
  load: { type: 'string', default: 'posts' },
  list: { type: 'boolean', default: false },
  lab: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

/** @returns what was asked for, or a sentence that says what is wrong with it */
export function readWords(args: string[]): Words | string {
  try {
    const { values } = parseArgs({ args, options: flags })
    const unknown = values.scenario.find((name) => !isScenario(name))
    if (unknown !== undefined) return `there is no scenario '${unknown}' (--list)`
    const { control } = values
    if (control !== undefined && !isControl(control))
      return `--control takes one of ${controlNames.join(', ')}`
    if (control !== undefined && values.scenario.length > 0)
      return '--control brings its own scenario'
    if (values.load !== 'posts' && values.load !== 'mixed') return '--load takes posts or mixed'
    const chosen = scenarioNames.filter((name) => values.scenario.includes(name))
    const instead = (['help', 'list', 'lab'] as const).find((name) => values[name])
    return {
      scenarios: chosen.length > 0 ? chosen : scenarioNames,
      postsOnly: values.load === 'posts',
      ...(control !== undefined && { control }),
      ...(instead && { instead }),
    }
  } catch (error) {
    return (error as Error).message
  }
}

/** A line for each scenario. */
export function listing(): string {
  return scenarioNames.map((name) => `${name.padEnd(16)} ${scenarios[name].does}`).join('\n')
}

export const help = `npm run gate:kubernetes -- [--scenario NAME]… [--load posts|mixed] [--control NAME] [--list] [--lab]

  --scenario NAME  only that one, in the order of --list; all of them unless told
  --load           posts: nothing but POST, which nobody on the way sends twice (as it is unless told); mixed: all methods
  --control NAME   a mistake in the chart, which has to be noticed: ${controlNames.join(', ')}
  --list           what each scenario does
  --lab            starts the lab, says how to use it, and stops it when it is told to (Ctrl-C)

GATE_PER_SECOND is how many requests are sent in a second (20).

It starts the lab, a Kubernetes of this machine (root). Where KUBECONFIG is set it uses that cluster instead, its current
context and namespace, by the kubectl and helm of PATH, from a machine that reaches addresses of pods and Services. It then needs:
${Object.entries(groundSettings)
  .map(([name, what]) => `  ${name.padEnd(16)} ${what}`)
  .join('\n')}
`
