/** What an operator, or a bad day, does to a running fleet: each scenario of docs/zero-downtime.md, section 8, under its name. */
import type { BuildName, Stand } from './stand.ts'

export interface Scenario {
  /** `S1`. */
  name: string
  title: string
  /** Default 3. */
  replicas?: number
  /** Which build the fleet is of when the load begins, `previous` unless told. */
  begin?: BuildName
  /** Does it. @returns a sentence for whatever was not as it has to be, beside what the load sees */
  play(stand: Stand): Promise<string[]>
}

/** S1: N-1 to N and back, the format untouched. @param upgrades how many rolls of the whole fleet, up and down in turn */
export function rolls(upgrades: number): Scenario {
  return {
    name: 'S1',
    title: 'N-1 to N and back, the format untouched',
    async play(stand) {
      for (let roll = 1; roll <= upgrades; roll++) {
        const build = stand.build(roll % 2 === 1 ? 'this' : 'previous')
        stand.say(`roll ${roll} of ${upgrades}: to ${build.name}`)
        await rollTo(stand, build)
      }
      return []
    },
  }
}

/** Replaces every replica, one after the other. */
async function rollTo({ fleet }: Stand, build: ReturnType<Stand['build']>): Promise<void> {
  const { length } = fleet.replicas
  for (let count = 0; count < length; count++) await fleet.replace(build)
}
