/** Charts with one mistake each: a gate that stays green with them proves nothing. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const inDeployment = (...changes: [from: string, to: string][]) => ({
  file: 'templates/deployment.yaml',
  changes,
})

const controls = {
  /** A pod is killed amid its requests, a second after it was told. */
  grace: inDeployment(['{{ include "grace" . }}', '16']),
  /** An old replica goes before the new one is there. */
  unavailable: inDeployment(['maxUnavailable: 0', 'maxUnavailable: 1']),
  /** A pod stops to listen before kube-proxy has heard that it goes. */
  'pre-stop': inDeployment(
    ['preStop:', 'postStart:'],
    ['seconds: {{ $v.drain.preStopSeconds }}', 'seconds: 1'],
    ['value: {{ $v.drain.acceptWindowSeconds | quote }}', 'value: "0.1"'],
  ),
}

export type Control = keyof typeof controls

export function isControl(name: string): name is Control {
  return Object.hasOwn(controls, name)
}

export const controlNames = Object.keys(controls)

/** Copies a chart, with a mistake if one is named. */
export function copyChart(from: string, to: string, control?: Control): void {
  cpSync(from, to, { recursive: true })
  if (control === undefined) return
  const { file, changes } = controls[control]
  let text = readFileSync(join(to, file), 'utf8')
  for (const [before, after] of changes) {
    if (text.split(before).length !== 2) throw new Error(`${file} does not hold ${before} once`)
    text = text.replace(before, () => after)
  }
  writeFileSync(join(to, file), text)
}
