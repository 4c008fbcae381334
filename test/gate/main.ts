/** `npm run gate`: prints what it sees and, at the end, a report; exits with 1 when it is red. */
import { drawSeed } from '../support/chance.ts'
import { runGate } from './gate.ts'
import { rolls } from './scenarios.ts'

const seed = drawSeed('gate')
const report = await runGate({
  scenario: rolls(Number(process.env.GATE_ROUNDS ?? 6)),
  perSecond: Number(process.env.GATE_PER_SECOND ?? 60),
  seed,
  say: (line) => console.log(line),
})
console.log(report.text)
process.exitCode = report.failures.length === 0 ? 0 : 1
