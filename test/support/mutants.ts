/**
 * Deliberate mistakes: each patch of `test/mutants` takes one guard out of `src` or `charts`, and a named test has to notice. The tree is
 * copied once for each worker; a patch is applied, built on top of what was built, tested and taken back.
 */
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { makeFolder, removeFolder, startProcess } from './processes.ts'

export interface MutantOptions {
  /** The repository; a mutant sees what git knows of it, and files that git does not ignore. */
  root: string
  /** Only patches whose name holds one of these; empty for all. */
  filters: string[]
  /** How many are tested at the same time. */
  jobs: number
  /** Milliseconds until a test is killed, unless its mutant says `# limit: <seconds>`; one that makes it hang is noticed too. */
  limitMs: number
  /** A program of `dist` that has to say FAILED with each of them, and end with 1, in place of the test that it names. */
  program?: { file: string; words: readonly string[] }
  print(line: string): void
}

interface Mutant {
  name: string
  patch: string
  /** `test/….test.ts`. */
  test: string
  /** Part of the name of the test that has to fail. */
  part?: string
  /** Milliseconds until its test is killed. */
  limitMs: number
}

/** What became of a mutant: `red` is as it should be. */
type Verdict = { red: true; output: string } | { red: false; reason: string }

/**
 * Tries all mutants that are asked for. First each test runs once on the tree as it is: one that is red there proves nothing.
 * @returns how many were noticed, and how many were not, or prove nothing
 */
export async function runMutants(
  options: MutantOptions,
): Promise<{ passed: number; failed: number }> {
  const { root, filters, jobs, limitMs, print } = options
  const mutants = readdirSync(join(root, 'test', 'mutants'))
    .filter((name) => name.endsWith('.patch'))
    .filter((name) => filters.length === 0 || filters.some((text) => name.includes(text)))
    .sort()
    .map((name) => parseMutant({ root, file: name, limitMs }))
  const counts = { passed: 0, failed: 0 }
  const trees = await Promise.all(
    Array.from({ length: Math.min(jobs, mutants.length) }, () => copyTree(root)),
  )
  const redBefore = new Set<string>()
  const tests = options.program ? [] : [...new Set(mutants.map(({ test }) => test))]
  await inParallel(trees, tests, async (tree, test) => {
    const limits = mutants.filter((mutant) => mutant.test === test).map((mutant) => mutant.limitMs)
    const verdict = await tryTest(tree, test, Math.max(...limits))
    if (!verdict.red) return
    redBefore.add(test)
    print(`${verdict.output.trimEnd()}\n${test} is red without any mutant`)
  })
  await inParallel(trees, mutants, async (tree, mutant) => {
    const startMs = performance.now()
    const verdict: Verdict = redBefore.has(mutant.test)
      ? { red: false, reason: 'its test is red without it' }
      : await tryMutant(tree, mutant, options.program)
    counts[verdict.red ? 'passed' : 'failed']++
    const seconds = ((performance.now() - startMs) / 1_000).toFixed(1)
    const word = verdict.red ? 'red  ' : 'GREEN'
    const reason = verdict.red ? '' : ` (${verdict.reason})`
    print(
      `${word} ${mutant.name.padEnd(40)} ${options.program?.file ?? mutant.test} ${seconds} s${reason}`,
    )
  })
  for (const tree of trees) removeFolder(tree)
  if (mutants.length === 0) {
    print('no patch of test/mutants matches')
    counts.failed++
  }
  print(`${counts.passed} passed, ${counts.failed} failed`)
  return counts
}

/** Works through a list, as many items at a time as there are trees. */
async function inParallel<Item>(
  trees: string[],
  items: Item[],
  work: (tree: string, item: Item) => Promise<void>,
): Promise<void> {
  const queue = [...items]
  const worker = async (tree: string) => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(tree, item)
  }
  await Promise.all(trees.map(worker))
}

function parseMutant(of: { root: string; file: string; limitMs: number }): Mutant {
  const { root, file } = of
  const patch = join(root, 'test', 'mutants', file)
  const text = readFileSync(patch, 'utf8')
  const [, line = ''] = text.match(/^# test: *(.+)$/m) ?? []
  const [, limit] = text.match(/^# limit: *(\d+)$/m) ?? []
  const limitMs = limit === undefined ? of.limitMs : Number(limit) * 1_000
  const [test = '', part] = line.split(' :: ').map((word) => word.trim())
  return { name: file.replace(/\.patch$/, ''), patch, test, limitMs, ...(part ? { part } : {}) }
}

/** Tries one mutant; its sources are as before when this returns, what was built of them is not. */
async function tryMutant(
  tree: string,
  mutant: Mutant,
  program: MutantOptions['program'],
): Promise<Verdict> {
  if (mutant.test === '' || !existsSync(join(tree, mutant.test))) {
    return { red: false, reason: 'its "# test:" line names no file' }
  }
  if (!changesOnlySources(mutant.patch))
    return { red: false, reason: 'it changes more than src and charts' }
  if (!applyPatch(tree, mutant.patch)) return { red: false, reason: 'it does not apply' }
  try {
    if (!(await build(tree))) return { red: false, reason: 'it does not build' }
    if (program) return await runProgram(tree, program, mutant.limitMs)
    return await runTest(tree, mutant.test, mutant.limitMs, mutant.part)
  } finally {
    applyPatch(tree, mutant.patch, '--reverse')
  }
}

/** Runs a test of the tree as it is, where there is one. */
async function tryTest(tree: string, test: string, limitMs: number): Promise<Verdict> {
  if (test === '' || !existsSync(join(tree, test))) return { red: false, reason: 'it is absent' }
  return await runTest(tree, test, limitMs)
}

function changesOnlySources(patch: string): boolean {
  const files = readFileSync(patch, 'utf8').match(/^\+\+\+ .*$/gm) ?? []
  return files.length > 0 && files.every((line) => /^\+\+\+ b\/(src|charts)\//.test(line))
}

function applyPatch(tree: string, patch: string, ...flags: string[]): boolean {
  return spawnSync('git', ['apply', ...flags, patch], { cwd: tree }).status === 0
}

/** Builds what changed since the last time. */
async function build(tree: string): Promise<boolean> {
  const tsc = join(tree, 'node_modules', '.bin', 'tsc')
  const flags = ['-p', 'tsconfig.json', '--incremental', '--tsBuildInfoFile', 'dist/.tsbuildinfo']
  return (await startProcess(tsc, flags, { cwd: tree }).ended()) === 0
}

/** Runs a test file. @param part of the name of a test that has to fail, where that matters */
async function runTest(
  tree: string,
  test: string,
  limitMs: number,
  part?: string,
): Promise<Verdict> {
  const { exit, output } = await runNode(tree, test.replace(/ts$/, 'js'), [], limitMs)
  if (exit === 0) return { red: false, reason: 'no test noticed' }
  const failed = output.match(/^ *FAIL .*$/gm) ?? []
  // A crash or a hang names no test.
  if (part === undefined || failed.length === 0 || failed.some((line) => line.includes(part))) {
    return { red: true, output }
  }
  return { red: false, reason: `only other tests noticed: ${failed.join(' ').trim()}` }
}

/** Runs a program that ends by itself; one that has to be killed has noticed nothing. */
async function runProgram(
  tree: string,
  { file, words }: NonNullable<MutantOptions['program']>,
  limitMs: number,
): Promise<Verdict> {
  const { exit, output } = await runNode(tree, file, words, limitMs)
  return exit === 1 && output.includes('FAILED')
    ? { red: true, output }
    : { red: false, reason: exit === 0 ? 'nothing was found' : `it ended with ${exit}` }
}

async function runNode(tree: string, file: string, words: readonly string[], limitMs: number) {
  const env = { NO_COLOR: '1', FORCE_COLOR: '0' }
  const child = startProcess(process.execPath, [join(tree, 'dist', file), ...words], {
    cwd: tree,
    env,
    keepChars: 10_000_000,
  })
  const timer = setTimeout(() => child.signal('SIGKILL'), limitMs)
  const exit = await child.ended()
  clearTimeout(timer)
  return { exit, output: child.output() }
}

/** Copies what git knows, and builds it. */
async function copyTree(root: string): Promise<string> {
  const tree = makeFolder('mutants')
  const list = spawnSync('git', ['ls-files', '-z', '-c', '-o', '--exclude-standard'], { cwd: root })
  const files = list.stdout.toString().split('\0')
  for (const file of files.filter((path) => path !== '' && existsSync(join(root, path)))) {
    mkdirSync(dirname(join(tree, file)), { recursive: true })
    copyFileSync(join(root, file), join(tree, file))
  }
  for (const name of ['node_modules', '.servers']) {
    if (existsSync(join(root, name))) symlinkSync(join(root, name), join(tree, name))
  }
  if (!(await build(tree))) throw new Error('the tree does not build without any mutant')
  return tree
}
