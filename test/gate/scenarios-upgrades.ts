/** Other programs in the same fleet: S1, S12, S13, S15, S17. */
import { setTimeout as sleep } from 'node:timers/promises'
import { clientOf } from '../support/bucket-log.ts'
import type { Build } from './fleet.ts'
import type { Scenario, Stage } from './scenario.ts'
import type { Stand } from './stand.ts'
import {
  type Ended,
  migrated,
  migratedAtLast,
  mustEnd,
  mustMigrate,
  standsAt,
  statusOf,
} from './standing.ts'

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
      return { faults: [] }
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

/** S12. */
export const failingJob: Scenario = {
  name: 'S12',
  title: 'the job that runs first fails: nothing of the release happens',
  projects: 24,
  async play(stage) {
    const { fleet } = stage
    const before = [...fleet.replicas]
    const faults: string[] = []
    // It tries for half a minute, and the others fail meanwhile.
    const another = { AWS_SECRET_ACCESS_KEY: 'another' }
    const keyless = migrated(stage, stage.build('this', another), 'expand')
    const skipping = await release(stage, stage.build('next'))
    faults.push(...mustEnd(skipping, 3, /a version was skipped/))
    const killed = stage.migrate(stage.build('this'), 'expand')
    await sleep(stage.chance.between(300, 1_500))
    await killed.kill()
    faults.push(...mustEnd(await keyless, 2, /SignatureDoesNotMatch/))

    if (fleet.replicas.some((replica, at) => replica !== before[at])) {
      faults.push('a release that was aborted touched a replica')
    }
    faults.push(...(await standsAt(stage, { format: 1, reached: false })))
    faults.push(...mustEnd(await release(stage, stage.build('this')), 0))
    return { faults }
  },
}

/** S13: every replica does what the job would have done, three of them at once, and again in an empty bucket. */
export const withoutHooks: Scenario = {
  name: 'S13',
  title: 'N is started without the job that runs first',
  projects: 24,
  async play(stage) {
    const { fleet } = stage
    const faults: string[] = []
    const build = stage.build('this')
    const old = [...fleet.replicas]
    await Promise.all(old.map(() => fleet.grow(build)))
    const { expanded } = await statusOf(stage)
    if (expanded !== 2) faults.push(`the store is expanded to ${expanded}, not to 2`)
    for (const replica of old) fleet.terminate(replica)

    const { bucket } = stage.place
    const { STORE_URL = '' } = build.env
    const empty = { ...build.env, STORE_URL: STORE_URL.replace('/gate?', '/empty?') }
    const first = await Promise.all(old.map(() => fleet.start({ ...build, env: empty }, 'ready')))
    const decisions: string[] = []
    const listed = clientOf(stage.minio).listObjectsV2(bucket, 'empty/cluster/log/', true)
    for await (const { name } of listed) decisions.push(name)
    if (decisions.length !== 1) faults.push(`an empty bucket has decisions: ${decisions}`)
    for (const service of first) {
      const exit = await service.stop()
      if (exit !== 0) faults.push(`a replica of an empty bucket ended with ${exit}`)
    }
    return { faults }
  },
}

/** S15. */
export const oneReplica: Scenario = {
  name: 'S15',
  title: 'one replica, which is upgraded, migrated, taken back and downgraded',
  replicas: 1,
  projects: 24,
  ends: { format: 1, reached: true },
  async play(stage) {
    const { fleet } = stage
    const faults = mustEnd(await release(stage, stage.build('this')), 0)
    await fleet.settled()
    faults.push(...(await mustMigrate(stage, 'to 2 --rate 10')))
    faults.push(...(await standsAt(stage, { format: 2, reached: true })))
    await fleet.replace(stage.build('this'))
    faults.push(...(await mustMigrate(stage, 'to 1 --rate 10')))
    await rollTo(stage, stage.build('previous'))
    return { faults }
  },
}

/** As Helm does it: the job first, and no replica is touched unless it is done. @returns how the job ended */
export async function release(stage: Stage, build: Build): Promise<Ended> {
  const ended = await migratedAtLast(stage, build, 'expand')
  if (ended.exit === 0) await rollTo(stage, build)
  return ended
}

/** Replaces every replica, one after the other. */
export async function rollTo({ fleet }: Stand, build: Build, paceMs = 0): Promise<void> {
  const { length } = fleet.replicas
  for (let count = 0; count < length; count++) {
    await Promise.all([fleet.replace(build), sleep(paceMs)])
  }
}
