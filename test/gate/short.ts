/**
 * Gates of a minute, which the mutants M1 to M10 of docs/zero-downtime.md, section 8, have to turn red. A mutant that fails one
 * request in a few restarts would be met by chance only, so each of them arranges for the meeting; without a mutant each is green.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { drawSeed } from '../support/chance.ts'
import { requireServers } from '../support/servers.ts'
import { type GateOptions, runGate } from './gate.ts'
import type { Scenario } from './scenario.ts'
import type { Stand } from './stand.ts'
import { type GateTimes, thirdOfReal } from './times.ts'

/** No shorter than what they are compared with, also where the machine is busy: whoever waits for them waits in another process. */
export const shortTimes: GateTimes = {
  ...thirdOfReal,
  minReadyMs: 300,
  addMs: [50, 200],
  removeMs: [600, 900],
  preStopMs: 1_200,
  graceMs: 100_000,
  windowSeconds: 6,
  slowMs: 2_000,
}

/** Replaces every replica by one of the same build. */
export const restarts: Scenario = {
  name: 'restarts',
  title: 'each replica is replaced by one of this build',
  begin: 'this',
  async play(stand) {
    for (let count = 0; count < 3; count++) await stand.fleet.replace(stand.build('this'))
    return { faults: [] }
  },
}

/** Runs `migrate …` of this build. @returns a sentence where it did not end as it should */
export async function migrate(stand: Stand, words: string, expected: number): Promise<string[]> {
  const job = stand.migrate(stand.build('this'), words)
  const exit = await job.ended()
  stand.say(`migrate ${words} ended with ${exit}`)
  return exit === expected ? [] : [`migrate: ${words} ended with ${exit}: ${job.output()}`]
}

/** Registers and runs a test of one gate. */
export function testShortGate(
  name: string,
  options: Partial<GateOptions> & Pick<GateOptions, 'scenario'>,
): void {
  const test = suite(name)
  if (requireServers(name, 'minio', 'redis-server', 'nginx', 'git')) {
    test(name, async () => {
      const report = await runGate({
        // Enough to be met, and little enough for a machine that has other work.
        perSecond: 12,
        times: shortTimes,
        steadyMs: 1_500,
        seed: drawSeed(name),
        stopsAtFirstRed: true,
        say: (line) => console.log(line),
        ...options,
      })
      console.log(report.text)
      assert.equal(report.failures, [])
    })
  }
  test.run()
}
