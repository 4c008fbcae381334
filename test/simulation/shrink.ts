/** Makes a failing schedule short: what it fails without is left out, half of it at a time, then less. */
import { runSchedule, type ScheduleResult } from './schedule.ts'

type Result = Pick<ScheduleResult, 'failures' | 'story' | 'facts'>

export interface Shrunk {
  result: Result
  without: ReadonlySet<string>
  runs: number
}

/**
 * Leaves out facts of a schedule for as long as it still fails (Zeller's delta debugging, towards nothing).
 * @param seed of a schedule that fails
 * @param limitMs about how long it may take
 * @param run lives through a schedule
 * @returns null where it does not fail
 */
export async function shrink(
  seed: number,
  limitMs: number,
  run: (seed: number, without: ReadonlySet<string>) => Promise<Result> = runSchedule,
): Promise<Shrunk | null> {
  const endsAt = performance.now() + limitMs
  const first = await run(seed, new Set())
  if (first.failures.length === 0) return null
  let best: Shrunk = { result: first, without: new Set(), runs: 1 }

  /** Tries it without some more. */
  const tryWithout = async (facts: readonly string[]): Promise<boolean> => {
    const without = new Set([...best.without, ...facts])
    const result = await run(seed, without)
    best.runs++
    if (result.failures.length === 0) return false
    best = { ...best, result, without }
    return true
  }

  for (let size = Math.ceil(first.facts.length / 2); size >= 1; size = Math.floor(size / 2)) {
    // From the end: what came late depends on what came before.
    for (let from = best.result.facts.length - size; ; from -= size) {
      if (performance.now() > endsAt) return best
      const facts = best.result.facts.slice(Math.max(0, from), Math.max(0, from) + size)
      if (facts.length > 0) await tryWithout(facts)
      if (from <= 0) break
    }
  }
  return best
}

const linesTold = 120
const lineLength = 240

/** A failing schedule as a story: what happens in it, how it ends, and what is wrong. */
export function describeSchedule(seed: number, { result, without, runs }: Shrunk): string {
  const told = result.story.slice(-linesTold).map((line) => line.slice(0, lineLength))
  return [
    `seed ${seed}, made shorter by ${without.size} facts in ${runs} runs; what is left of it:`,
    ...result.facts.map((fact) => `  ${fact}`),
    `its story${result.story.length > linesTold ? `, the last ${linesTold} of ${result.story.length} lines` : ''}:`,
    ...told,
    'what is wrong:',
    ...result.failures.map((failure) => `  ${failure}`),
  ].join('\n')
}
