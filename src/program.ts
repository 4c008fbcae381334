/**
 * The program: verbs, signals and exit codes. Everything heavy is imported once a verb asks for it, so that signals are heard
 * from the first moment, as process 1 too.
 *
 * Exit codes: 0 done, 1 a setting is wrong or the service failed, 2 it was called wrongly, 78 this build cannot handle what the
 * store holds; those of `migrate`, `verify` and `accept-restore` are told there, those of `import` and `export` in `transfer.ts`.
 */
import type { Migration } from './cluster/migration.ts'
import { onFirstSignal } from './lifecycle.ts'

const verbs = [
  'serve',
  'migrate',
  'verify',
  'accept-restore',
  'import',
  'export',
  'help',
  'version',
] as const
type Verb = (typeof verbs)[number]

/** Verbs that judge what stands behind them themselves. */
const withWords = new Set<Verb | undefined>([
  'migrate',
  'verify',
  'accept-restore',
  'import',
  'export',
])

const aliases = new Map<string, Verb>([
  ['--help', 'help'],
  ['-h', 'help'],
  ['--version', 'version'],
  ['-v', 'version'],
])

/** What makes one build differ from another. */
interface Build {
  /** Loads every format that it knows. */
  migrations: () => Promise<readonly Migration[]>
}

const run: Record<Verb, (words: string[], build: Build) => Promise<void>> = {
  async serve(_, build) {
    const stop = signalled()
    const { serve } = await import('./serve.ts')
    const migrations = await build.migrations()
    process.exit(await serve({ environment: process.env, stop, migrations }))
  },
  async migrate(words, build) {
    const stop = signalled()
    const { migrate } = await import('./migrate.ts')
    const migrations = await build.migrations()
    process.exit(await migrate({ words, environment: process.env, stop, migrations }))
  },
  async verify(words) {
    const stop = signalled()
    const { verify } = await import('./verify.ts')
    process.exit(await verify({ words, environment: process.env, stop }))
  },
  async 'accept-restore'(words, build) {
    const { acceptRestoreVerb } = await import('./accept-restore.ts')
    const migrations = await build.migrations()
    process.exit(await acceptRestoreVerb({ words, environment: process.env, migrations }))
  },
  import: (words, build) => transfer('import', words, build),
  export: (words, build) => transfer('export', words, build),
  async help() {
    const { usage } = await import('./usage.ts')
    process.stdout.write(usage())
  },
  async version() {
    const { version } = await import('./version.ts')
    process.stdout.write(`${version()}\n`)
  },
}

async function transfer(verb: 'import' | 'export', words: string[], build: Build): Promise<void> {
  const stop = signalled()
  const { transfer } = await import('./transfer.ts')
  const migrations = await build.migrations()
  process.exit(await transfer({ verb, words, environment: process.env, stop, migrations }))
}

/** Resolves at the first SIGTERM or SIGINT. */
function signalled(): Promise<NodeJS.Signals> {
  return new Promise(onFirstSignal)
}

function verbOf([first = 'serve', ...others]: string[]): Verb | undefined {
  const verb = verbs.find((one) => one === first) ?? aliases.get(first)
  return others.length === 0 || withWords.has(verb) ? verb : undefined
}

/** Runs what the words after the program's name say. */
export async function main(words: string[], build: Build): Promise<void> {
  const verb = verbOf(words)
  if (verb !== undefined) return run[verb](words.slice(1), build)
  const { usage } = await import('./usage.ts')
  process.stderr.write(`configuration-service: cannot ${words.join(' ')}\n\n${usage()}`)
  process.exitCode = 2
}
