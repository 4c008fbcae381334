/** `npm run mutants [-- part-of-a-name …]`: see `support/mutants.ts`. */
import { runMutants } from './support/mutants.ts'
import { repositoryRoot } from './support/programs.ts'

const { failed } = await runMutants({
  root: repositoryRoot,
  filters: process.argv.slice(2),
  jobs: 2,
  limitMs: 120_000,
  print: (line) => console.log(line),
})
process.exitCode = failed === 0 ? 0 : 1
