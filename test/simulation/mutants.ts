/** Mistakes in the protocol that the simulation finds, each within a minute on two cores. */
import { runMutants } from '../support/mutants.ts'
import { repositoryRoot } from '../support/programs.ts'

/** Of `test/mutants`; see docs/proof.md for those that only scenes of their own find. */
const found: readonly string[] = []

const minutes = 1

/**
 * Tries them one after the other, each with schedules of its own on all cores.
 * @param rotate how many, another few on each day; null for all
 * @returns 0 where all were found
 */
export async function runProtocolMutants(rotate: number | null): Promise<number> {
  const today = Math.floor(Date.now() / 86_400_000)
  const names =
    rotate === null
      ? found
      : Array.from({ length: rotate }, (_, at) => found[(today * rotate + at) % found.length] ?? '')
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
