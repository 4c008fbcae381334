/** Mistakes in the protocol that the simulation finds, each within a minute on two cores. */
import { runMutants } from '../support/mutants.ts'
import { repositoryRoot } from '../support/programs.ts'

/** Of `test/mutants`, those that it finds in a few seconds; see docs/proof.md for others. */
const found: readonly [string, ...string[]] = [
  'log-409-identical',
  'log-412-not-compared',
  'log-ambiguous-remembered',
  'log-ambiguous-repeated',
  'log-answered-dropped',
  'log-creates-alone',
  'log-expected-compared',
  'log-idle-projects',
  'log-key-found',
  'log-key-in-batch',
  'log-keyed-recorded',
  'log-keyed-refusal-recorded',
  'log-keyed-unknown',
  'log-new-objects',
  'log-no-op-proven',
  'log-no-op-shares-fate',
  'log-open-proof',
  'log-own-bytes-win',
  'log-pack-acknowledged',
  'log-probe-started-after',
  'log-revive-incarnation',
]

const minutes = 1

/**
 * Tries them one after the other, each with schedules of its own on all cores.
 * @param rotate how many, another few on each day; null for all
 * @returns 0 where all were found
 */
export async function runProtocolMutants(rotate: number | null): Promise<number> {
  const today = Math.floor(Date.now() / 86_400_000)
  const names = Array.from(
    { length: Math.min(rotate ?? found.length, found.length) },
    (_, at) => found[(today * (rotate ?? 0) + at) % found.length] as string,
  )
  const { failed } = await runMutants({
    root: repositoryRoot,
    filters: names.map((name) => `${name}.patch`),
    jobs: 1,
    limitMs: (minutes + 1) * 60_000,
    program: { file: 'test/simulation/main.js', words: ['--minutes', `${minutes}`, '--brief'] },
    print: (line) => console.log(line),
  })
  return failed === 0 ? 0 : 1
}
