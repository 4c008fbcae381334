/** What an operator, or a bad day, does to a running fleet: each scenario of docs/zero-downtime.md, section 8, under its name. */
import type { Scenario } from './scenario.ts'
import { frozenReplica, killedReplica, pausedBucket, troubledRedis } from './scenarios-faults.ts'
import {
  backUnderLoad,
  lateOldReplicas,
  oldBuildAfterwards,
  oldReplicaAlive,
  troubledJobs,
  turnedBackHalfway,
  upUnderLoad,
} from './scenarios-migrations.ts'
import { changedSettings } from './scenarios-settings.ts'
import { failingJob, latePods, oneReplica, rolls, withoutHooks } from './scenarios-upgrades.ts'

export type { Scenario } from './scenario.ts'
export { rolls } from './scenarios-upgrades.ts'

export const scenarios: readonly Scenario[] = [
  rolls(6),
  upUnderLoad,
  backUnderLoad,
  turnedBackHalfway,
  oldReplicaAlive,
  oldBuildAfterwards,
  troubledJobs,
  troubledRedis,
  pausedBucket,
  frozenReplica,
  killedReplica,
  failingJob,
  withoutHooks,
  lateOldReplicas(10),
  oneReplica,
  changedSettings,
  latePods(6),
]

/** @param name such as `S5` @throws where there is none */
export function findScenario(name: string): Scenario {
  const found = scenarios.find((scenario) => scenario.name === name)
  if (found !== undefined) return found
  const names = scenarios.map((scenario) => scenario.name)
  throw new Error(`there is no scenario ${name}; there are ${names.join(', ')}`)
}
