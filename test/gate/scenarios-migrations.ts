/** Formats that change under load: S2 to S7, S14. */
import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from '../support/processes.ts'
import { send } from '../support/send.ts'
import type { Service } from '../support/service.ts'
import { startRaces } from './races.ts'
import type { Scenario, Stage } from './scenario.ts'
import { release, rollTo } from './scenarios-upgrades.ts'
import { type Ended, migrated, mustEnd, mustMigrate, standsAt, statusOf } from './standing.ts'

const projects = 24

/** S2. */
export const upUnderLoad: Scenario = {
  name: 'S2',
  title: 'N-1 to N, then to its format',
  projects,
  ends: { format: 2, reached: true },
  async play(stage) {
    const faults = mustEnd(await release(stage, stage.build('this')), 0)
    // Old replicas are still there, and leave one by one.
    faults.push(...(await mustMigrate(stage, 'to 2 --rate 6 --wait 60')))
    return { faults }
  },
}

/** S3. */
export const backUnderLoad: Scenario = {
  name: 'S3',
  title: 'back to the format of N-1, then to N-1',
  begin: 'this',
  projects,
  ends: { format: 1, reached: true },
  async play(stage) {
    const faults = await mustMigrate(stage, 'to 2 --rate 1000')
    faults.push(...(await standsAt(stage, { format: 2, reached: true })))
    faults.push(...(await mustMigrate(stage, 'to 1 --rate 6')))
    await rollTo(stage, stage.build('previous'))
    return { faults }
  },
}

/** S4. */
export const turnedBackHalfway: Scenario = {
  name: 'S4',
  title: 'turned back halfway, then to N-1',
  begin: 'this',
  projects,
  ends: { format: 1, reached: true, killed: 1 },
  async play(stage) {
    const job = stage.migrate(stage.build('this'), 'to 2 --rate 6')
    await halfway(stage)
    await job.kill()
    const faults = await mustMigrate(stage, 'to 1 --rate 20')
    faults.push(...(await standsAt(stage, { format: 1, reached: true, killed: 1 })))
    await rollTo(stage, stage.build('previous'))
    return { faults }
  },
}

/** S5. */
export const oldReplicaAlive: Scenario = {
  name: 'S5',
  title: 'an old replica is alive: refused',
  projects,
  ends: { format: 2, reached: true },
  async play(stage) {
    const { fleet } = stage
    const build = stage.build('this')
    for (const _ of fleet.replicas.slice(1)) await fleet.replace(build)
    await fleet.settled()
    const refused = await migrated(stage, build, 'to 2')
    const faults = mustEnd(refused, 3, /is more than these replicas handle: \S+ \(build /)
    faults.push(...(await standsAt(stage, { format: 1, reached: false })))
    await fleet.replace(build)
    await fleet.settled()
    faults.push(...(await mustMigrate(stage, 'to 2 --rate 20')))
    return { faults }
  },
}

/** S6. */
export const oldBuildAfterwards: Scenario = {
  name: 'S6',
  title: 'N-1 is started after the format was changed: never ready',
  begin: 'this',
  projects,
  ends: { format: 2, reached: true },
  async play(stage) {
    const faults = await mustMigrate(stage, 'to 2 --rate 20')
    const old = stage.build('previous')
    faults.push(...mustEnd(await migrated(stage, old, 'expand'), 3, /run `migrate to 1` with/))
    faults.push(...(await neverReady(await stage.fleet.start(old))))
    return { faults }
  },
}

/** S7. */
export const troubledJobs: Scenario = {
  name: 'S7',
  title: 'jobs that are killed, doubled, and sent in opposite directions',
  begin: 'this',
  projects,
  ends: { format: 1, reached: true, killed: 2 },
  async play(stage) {
    const build = stage.build('this')
    for (let kill = 0; kill < 2; kill++) {
      const job = stage.migrate(build, 'to 2 --rate 6')
      await sleep(stage.chance.between(500, 4_000))
      await job.kill()
    }
    const faults = await mustMigrate(stage, 'to 2 --rate 20')
    faults.push(...(await standsAt(stage, { format: 2, reached: true, killed: 2 })))

    const twice = [0, 1].map(() => migrated(stage, build, 'to 1 --rate 20'))
    for (const ended of await Promise.all(twice)) faults.push(...mustEnd(ended, 0))
    faults.push(...(await standsAt(stage, { format: 1, reached: true, killed: 2 })))

    const up = stage.migrate(build, 'to 2 --rate 6')
    await halfway(stage)
    faults.push(...(await mustMigrate(stage, 'to 1 --rate 20')))
    const replaced: Ended = { exit: await up.ended(), output: up.output() }
    faults.push(...mustEnd(replaced, 3, /somebody replaced the target: it is 1/))
    faults.push(...(await standsAt(stage, { format: 1, reached: true, killed: 2 })))

    const crowd = await Promise.all(
      [2, 1, 2, 1].map((format) => migrated(stage, build, `to ${format} --rate 50`)),
    )
    const exits = crowd.map(({ exit }) => exit)
    const isRight = exits.includes(0) && exits.every((exit) => exit === 0 || exit === 3)
    if (!isRight) faults.push(`four jobs at once ended with ${exits}`)
    // Whichever was the last: from there to the end that is told above.
    faults.push(...(await mustMigrate(stage, 'to 1 --rate 50')))
    return { faults }
  },
}

/**
 * S14: under load, and then, in buckets of its own, an old replica against a job of which one is held at a call to the store.
 * @param runs how many such buckets
 */
export function lateOldReplicas(runs: number): Scenario {
  return {
    name: 'S14',
    title: 'N-1 is started at every step of a change of format',
    begin: 'this',
    projects,
    ends: { format: 2, reached: true },
    async play(stage) {
      const { fleet } = stage
      const job = stage.migrate(stage.build('this'), 'to 2 --rate 6')
      await waitFor(async () => (await statusOf(stage)).target !== null, { timeoutMs: 30_000 })
      const late: Promise<string[]>[] = []
      for (let count = 0; count < 3; count++) {
        late.push(fleet.start(stage.build('previous')).then(neverReady))
        await sleep(stage.chance.between(500, 2_500))
      }
      const ended: Ended = { exit: await job.ended(), output: job.output() }
      const faults = [...mustEnd(ended, 0), ...(await Promise.all(late)).flat()]
      const races = await startRaces(stage)
      try {
        for (let run = 1; run <= runs; run++) faults.push(...(await races.run(run)))
        return { faults, notes: [races.told()] }
      } finally {
        await races.stop()
      }
    },
  }
}

/** Waits until some projects have the new format, and some the old one. */
async function halfway(stage: Stage): Promise<void> {
  const isMixed = async () => Object.keys((await statusOf(stage)).projects.byFormat).length === 2
  await waitFor(isMixed, { timeoutMs: 30_000, what: 'a change of format to be halfway' })
}

/** Watches a replica that must not be ready until it gives up. @returns a sentence for whatever else it does */
async function neverReady(service: Service): Promise<string[]> {
  const faults: string[] = []
  let answers = 0
  const { process: running, url } = service
  while (running.exited() === undefined) {
    const path = '/readyz'
    const answer = await send(url, { method: 'GET', path, timeoutMs: 5_000 }).catch(() => null)
    if (answer !== null) answers++
    if (answer?.status === 200) faults.push('a replica that cannot handle the format says ready')
    if (answers > 0 && faults.length > 0) break
    await sleep(100)
  }
  if (faults.length > 0) return faults
  if (answers === 0) faults.push('a replica that should have said why it is not ready said nothing')
  const exit = await running.ended()
  if (exit !== 78) faults.push(`a replica that cannot handle the format ended with ${exit}, not 78`)
  const isReady = ({ event }: Record<string, unknown>) => event === 'ready'
  if (service.events().some(isReady)) faults.push('it was ready all the same')
  return faults
}
