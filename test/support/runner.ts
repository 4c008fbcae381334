/**
 * Runs test files, each as a process of its own, and counts. uvu alone would call a file green that forgot `.run()`, and wait
 * for ever for one that left something open; here the first is a failure, and the second is killed and is one too.
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { startProcess } from './processes.ts'

export interface RunOptions {
  /** Holds the compiled files, at any depth; folders named `fixtures` are left out. */
  folder: string
  /** Holds what they were compiled from; a file whose source is gone is an old build's. */
  sources: string
  /** Which kind: `*.long.test.js`, or all others but `*.gate.test.js`. */
  long: boolean
  /** Only files whose path holds one of these; empty for all. */
  filters: string[]
  /** How many files run at the same time. */
  jobs: number
  /** Which of them run alone, after all others; told the path inside `folder`. */
  runsAlone(path: string): boolean
  /** Milliseconds until a file is killed. */
  fileLimitMs: number
  /** Milliseconds until whatever still runs is killed. */
  totalLimitMs: number
  /** Whether to skip a suite is a failure. */
  skipsFail: boolean
  print(line: string): void
}

export interface Counts {
  passed: number
  failed: number
  skipped: number
}

/** Runs all files that are asked for and prints, as its last line, `N passed, N failed[, N skipped]`. */
export async function runTests(options: RunOptions): Promise<Counts> {
  const files = findTests(options)
  const total: Counts = { passed: 0, failed: 0, skipped: 0 }
  const skips: string[] = []
  const startMs = performance.now()
  const endMs = startMs + options.totalLimitMs
  const work = async (left: string[]) => {
    for (let file = left.shift(); file !== undefined; file = left.shift()) {
      const result = await runFile(file, endMs, options)
      for (const key of ['passed', 'failed', 'skipped'] as const) total[key] += result[key]
      skips.push(...result.skips)
    }
  }
  if (files.length === 0) {
    options.print(`no test file in ${options.folder} matches`)
    total.failed++
  }
  const alone = files.filter(options.runsAlone)
  const together = files.filter((path) => !alone.includes(path))
  await Promise.all(Array.from({ length: options.jobs }, () => work(together)))
  await work(alone)
  for (const line of skips) options.print(line)
  options.print(`took ${((performance.now() - startMs) / 1_000).toFixed(0)} s`)
  options.print(formatCounts(total))
  return total
}

/** The last line of a run. */
export function formatCounts({ passed, failed, skipped }: Counts): string {
  const line = `${passed} passed, ${failed} failed`
  return skipped === 0 ? line : `${line}, ${skipped} skipped`
}

function findTests({ folder, sources, long, filters }: RunOptions): string[] {
  return (
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.test.js') && path.endsWith('.long.test.js') === long)
      // Those are for mutants alone: what they see without one, the gate itself sees better.
      .filter((path) => !path.endsWith('.gate.test.js'))
      .filter((path) => !/(^|\/)fixtures\//.test(path))
      .filter((path) => existsSync(join(sources, path.replace(/js$/, 'ts'))))
      .filter((path) => filters.length === 0 || filters.some((text) => path.includes(text)))
      .sort()
  )
}

async function runFile(path: string, endMs: number, options: RunOptions) {
  const startMs = performance.now()
  const limitMs = Math.min(options.fileLimitMs, endMs - startMs)
  const { output, exit } = await runToEnd(join(options.folder, path), limitMs)
  const result = judge(output, exit, options.skipsFail)
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1)
  const verdict = result.failed === 0 ? 'ok  ' : 'FAIL'
  const reason = result.reason === undefined ? '' : `: ${result.reason}`
  if (result.failed > 0) options.print(output.trimEnd())
  options.print(`${verdict} ${path} (${formatCounts(result)}) ${seconds} s${reason}`)
  return result
}

/** @returns the exit code, a signal's name, or `late` where it had to be killed */
async function runToEnd(file: string, limitMs: number) {
  const env = { NO_COLOR: '1', FORCE_COLOR: '0' }
  const child = startProcess(process.execPath, ['--enable-source-maps', file], {
    env,
    keepChars: 50_000_000,
  })
  let late = false
  const timer = setTimeout(() => {
    late = true
    child.signal('SIGKILL')
  }, limitMs)
  const exit = await child.ended()
  clearTimeout(timer)
  return { output: child.output(), exit: late ? 'late' : exit }
}

/** Counts what a file says of itself, and what it does not say. */
function judge(output: string, exit: number | string, skipsFail: boolean) {
  const passed = sumOf('Passed', output)
  const total = sumOf('Total', output)
  const unrun = sumOf('Skipped', output)
  const skips = output.match(/^SKIPPED .*$/gm) ?? []
  let failed = total - passed - unrun
  let reason: string | undefined
  if (exit === 'late') reason = 'killed, it did not end in time'
  else if (exit !== 0 && failed === 0) reason = `ended with ${exit}`
  else if (total === 0 && skips.length === 0) reason = 'no test was run'
  else if (skipsFail && unrun + skips.length > 0) reason = 'nothing may be skipped here'
  if (reason !== undefined) failed++
  return { passed, failed, skipped: unrun + skips.length, skips, reason }
}

/** uvu closes each run with lines such as `  Passed:    6`. */
function sumOf(word: string, output: string): number {
  const lines = output.matchAll(new RegExp(`^  ${word}: +(\\d+)$`, 'gm'))
  return [...lines].reduce((sum, line) => sum + Number(line[1]), 0)
}
