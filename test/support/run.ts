/** A program run to its end, with what it said. */
import { startProcess } from './processes.ts'

export interface Ran {
  exit: number | string
  output: string
}

export interface RunOptions {
  env?: Record<string, string>
  cwd?: string
}

/** Runs a program. @returns how it ended, and its output, both kinds in one */
export async function tryRun(words: string[], options: RunOptions = {}): Promise<Ran> {
  const [program = '', ...args] = words
  const running = startProcess(program, args, { ...options, keepChars: 4_000_000 })
  const exit = await running.ended()
  return { exit, output: running.output() }
}

/** Runs a program that must end with 0. @returns its output @throws with its output */
export async function run(words: string[], options: RunOptions = {}): Promise<string> {
  const { exit, output } = await tryRun(words, options)
  if (exit !== 0) throw new Error(`${words.join(' ')} ended with ${exit}: ${output.slice(-4_000)}`)
  return output
}
