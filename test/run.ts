/** `npm test [-- part-of-a-path …]` and `npm run test:long`: see `support/runner.ts`. */

import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { repositoryRoot } from './support/programs.ts'
import { runTests } from './support/runner.ts'

const words = process.argv.slice(2)
const long = words.includes('--long')
const counts = await runTests({
  folder: fileURLToPath(new URL('.', import.meta.url)),
  sources: join(repositoryRoot, 'test'),
  long,
  filters: words.filter((word) => !word.startsWith('--')),
  // Three for two processors: a third of the time of short ones is waiting.
  jobs: long ? 2 : 3,
  // Those put replicas under load, and judge times.
  runsAlone: (path) => path.startsWith('long/'),
  fileLimitMs: long ? 2_400_000 : 120_000,
  totalLimitMs: long ? 2_400_000 : Number.POSITIVE_INFINITY,
  skipsFail: process.env.CI === 'true',
  print: (line) => console.log(line),
})
process.exitCode = counts.failed === 0 ? 0 : 1
