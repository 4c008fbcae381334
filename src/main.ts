#!/usr/bin/env node
/**
 * The program: verbs, signals and exit codes. Everything heavy is imported once a verb asks for it, so that signals are heard
 * from the first moment, as process 1 too.
 *
 * Exit codes: 0 done, 1 a setting is wrong or the service failed, 2 it was called wrongly.
 */
import { onFirstSignal } from './lifecycle.ts'

const verbs = ['serve', 'help', 'version'] as const
type Verb = (typeof verbs)[number]

const aliases = new Map<string, Verb>([
  ['--help', 'help'],
  ['-h', 'help'],
  ['--version', 'version'],
  ['-v', 'version'],
])

const run: Record<Verb, () => Promise<void>> = {
  async serve() {
    const stop = signalled()
    const { serve } = await import('./serve.ts')
    process.exit(await serve({ environment: process.env, stop }))
  },
  async help() {
    const { usage } = await import('./usage.ts')
    process.stdout.write(usage())
  },
  async version() {
    const { version } = await import('./version.ts')
    process.stdout.write(`${version()}\n`)
  },
}

/** Resolves at the first SIGTERM or SIGINT. */
function signalled(): Promise<NodeJS.Signals> {
  return new Promise(onFirstSignal)
}

function verbOf(words: string[]): Verb | undefined {
  const [first = 'serve', ...others] = words
  if (others.length > 0) return undefined
  return verbs.find((verb) => verb === first) ?? aliases.get(first)
}

async function main(words: string[]): Promise<void> {
  const verb = verbOf(words)
  if (verb !== undefined) return run[verb]()
  const { usage } = await import('./usage.ts')
  process.stderr.write(`configuration-service: cannot ${words.join(' ')}\n\n${usage()}`)
  process.exitCode = 2
}

await main(process.argv.slice(2))
