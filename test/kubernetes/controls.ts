/** Charts with one mistake each: a gate that stays green with them proves nothing. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ScenarioName } from './scenarios.ts'

interface Mistake {
  /** In deployment.yaml. */
  changes: [from: string, to: string][]
  /** Where it has to be noticed. */
  scenario: ScenarioName
}

export const controls = {
  /** A pod is killed amid its requests, a second after it was told: the least that the API server takes beside preStop. */
  grace: { scenario: 'upgrade', changes: [['{{ include "grace" . }}', '16']] },
  /** An old replica goes before the new one is there. */
  unavailable: { scenario: 'upgrade', changes: [['maxUnavailable: 0', 'maxUnavailable: 1']] },
  /** A pod stops to listen before kube-proxy has heard that it goes. */
  'pre-stop': {
    scenario: 'upgrade',
    changes: [
      ['preStop:', 'postStart:'],
      ['seconds: {{ $v.drain.preStopSeconds }}', 'seconds: 1'],
      ['value: {{ $v.drain.acceptWindowSeconds | quote }}', 'value: "0.1"'],
    ],
  },
  /** A pod counts as ready as soon as its process answers, so one that can serve nobody replaces those that do. */
  readiness: {
    scenario: 'out-of-range',
    changes: [
      ['path: /startupz', 'path: /livez'],
      ['path: /readyz', 'path: /livez'],
    ],
  },
} satisfies Record<string, Mistake>

export type Control = keyof typeof controls

export function isControl(name: string): name is Control {
  return Object.hasOwn(controls, name)
}

export const controlNames = Object.keys(controls) as Control[]

const file = join('templates', 'deployment.yaml')

/** Copies a chart, with a mistake if one is named. */
export function copyChart(from: string, to: string, control?: Control): void {
  cpSync(from, to, { recursive: true })
  if (control === undefined) return
  let text = readFileSync(join(to, file), 'utf8')
  for (const [before, after] of controls[control].changes) {
    if (text.split(before).length !== 2) throw new Error(`${file} does not hold ${before} once`)
    text = text.replace(before, () => after)
  }
  writeFileSync(join(to, file), text)
}
