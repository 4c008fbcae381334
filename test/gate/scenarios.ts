/** What an operator, or a bad day, does to a running fleet: each scenario of docs/zero-downtime.md, section 8, under its name. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Mode } from './gateway.ts'
import type { BuildName, Stand } from './stand.ts'

export interface Scenario {
  /** `S1`. */
  name: string
  title: string
  /** Default 3. */
  replicas?: number
  /** Which build the fleet is of when the load begins, `previous` unless told. */
  begin?: BuildName
  /** How the gateway reaches the replicas, where that is what it is about. */
  mode?: Mode
  /** Does it. @returns a sentence for whatever was not as it has to be, beside what the load sees */
  play(stand: Stand): Promise<string[]>
}

/**
 * S1: N-1 to N and back, the format untouched.
 * @param upgrades how many rolls of the whole fleet, up and down in turn
 * @param paceMs how long a replacement takes at least
 */
export function rolls(upgrades: number, paceMs = 0): Scenario {
  return {
    name: 'S1',
    title: 'N-1 to N and back, the format untouched',
    async play(stand) {
      for (let roll = 1; roll <= upgrades; roll++) {
        const build = stand.build(roll % 2 === 1 ? 'this' : 'previous')
        stand.say(`roll ${roll} of ${upgrades}: to ${build.name}`)
        await rollTo(stand, build, paceMs)
      }
      return []
    },
  }
}

/** S17: as S1, by a gateway that knows the pods themselves, and learns late which of them there are. */
export function latePods(upgrades: number): Scenario {
  return {
    ...rolls(upgrades),
    name: 'S17',
    title: "the pods' own addresses in the gateway, up to 14 s late",
    mode: 'C',
  }
}

/** Replaces every replica, one after the other. */
async function rollTo(
  { fleet }: Stand,
  build: ReturnType<Stand['build']>,
  paceMs: number,
): Promise<void> {
  const { length } = fleet.replicas
  for (let count = 0; count < length; count++) {
    await Promise.all([fleet.replace(build), sleep(paceMs)])
  }
}

/** All that `npm run gate` knows. */
export const scenarios: readonly Scenario[] = [rolls(6), latePods(6)]

/** @param name such as `S1` @throws where there is none */
export function findScenario(name: string): Scenario {
  const found = scenarios.find((scenario) => scenario.name === name)
  if (found !== undefined) return found
  const names = scenarios.map((scenario) => scenario.name)
  throw new Error(`there is no scenario ${name}; there are ${names.join(', ')}`)
}
