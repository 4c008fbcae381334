/** `npm run gate`: prints what it sees, writes a report, and exits with 1 when it is red. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { drawSeed } from '../support/chance.ts'
import { planOf } from './plan.ts'
import { runPlan } from './run-plan.ts'
import { writeReport } from './write-report.ts'

const words = process.argv.slice(2)
const asked = planOf(words)
if ('text' in asked) process.stdout.write(asked.text)
else if ('problem' in asked) {
  process.stderr.write(`gate: ${asked.problem}\n`)
  process.exitCode = 2
} else {
  const { plan } = asked
  const seed = plan.seed ?? drawSeed('gate')
  const { runs, failures } = await runPlan(plan, { seed, say: (line) => console.log(line) })
  // Kept when this process ends: it is what people want of it.
  const folder = plan.report ?? mkdtempSync(join(tmpdir(), 'gate-report-'))
  for (const path of writeReport(folder, { runs, failures, seed, words })) console.log(path)
  const isGreen = failures.length === 0 && runs.every((run) => run.failures.length === 0)
  console.log(isGreen ? 'GREEN' : 'RED')
  process.exitCode = isGreen ? 0 : 1
}
