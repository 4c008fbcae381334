/** `npm run faults`: prints what it sees, writes a report, and exits with 1 where a promise was broken. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { drawSeed } from '../support/chance.ts'
import { requireServers } from '../support/servers.ts'
import { runCampaign } from './campaign.ts'
import { planOf } from './plan.ts'
import { failuresOf, writeReport } from './report.ts'

const words = process.argv.slice(2)
const asked = planOf(words)
if ('text' in asked) process.stdout.write(asked.text)
else if ('problem' in asked) {
  process.stderr.write(`faults: ${asked.problem}\n`)
  process.exitCode = 2
} else if (requireServers('faults', 'minio', 'redis-server', 'nginx')) {
  const { plan } = asked
  const seed = plan.seed ?? drawSeed('faults')
  const startedMs = performance.now()
  const seen = await runCampaign(plan, { seed, say: (line) => console.log(line) })
  const seconds = (performance.now() - startedMs) / 1_000
  const campaign = { ...seen, seed, words, seconds }
  // Kept when this process ends: it is what people want of it.
  const folder = plan.report ?? mkdtempSync(join(tmpdir(), 'faults-report-'))
  for (const path of writeReport(folder, campaign)) console.log(path)
  const isGreen = failuresOf(campaign).length === 0
  console.log(isGreen ? 'GREEN' : 'RED')
  process.exitCode = isGreen ? 0 : 1
} else process.exitCode = 1
