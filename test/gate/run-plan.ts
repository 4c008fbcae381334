/** Runs one gate after the other, and judges what they come to together. */
import { runGate } from './gate.ts'
import type { Plan } from './plan.ts'
import type { Report } from './report.ts'
import { sumOf } from './write-report.ts'

/** @returns what each saw, and what makes them red together */
export async function runPlan(
  plan: Plan,
  { seed, say }: { seed: number; say: (line: string) => void },
): Promise<{ runs: Report[]; failures: string[] }> {
  const startedMs = performance.now()
  const tell = (line: string) =>
    say(`${((performance.now() - startedMs) / 1_000).toFixed(0).padStart(5)} s  ${line}`)
  const runs: Report[] = []
  for (const run of plan.runs) {
    tell(`${run.scenario.name}: ${run.scenario.title}`)
    const report = await runGate({ ...run, seed, say: tell })
    say(report.text)
    runs.push(report)
  }
  const sum = sumOf(runs)
  const failures = (['replacements', 'requests', 'posts'] as const)
    .filter((key) => sum[key] < plan.least[key])
    .map((key) => `too little: ${sum[key]} of ${plan.least[key]} ${key}`)
  for (const failure of failures) say(`RED ${failure}`)
  return { runs, failures }
}
