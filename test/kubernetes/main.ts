/**
 * `npm run gate:kubernetes`: plays scenarios with the chart on a real Kubernetes under load; prints what it sees and, at the end,
 * a line for each; exits with 1 when one is red. With `-- --control NAME` the chart has a mistake, and it exits with 1 unless that
 * is noticed. Unless KUBECONFIG names a cluster it makes a network namespace, and runs itself again inside with a lab.
 */
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { drawSeed } from '../support/chance.ts'
import { previous } from '../support/previous-build.ts'
import { startProcess } from '../support/processes.ts'
import { findProgram, repositoryRoot } from '../support/programs.ts'
import { type Control, controls } from './controls.ts'
import { runKubernetesGate } from './gate.ts'
import { type Ground, namedGround, startLabGround, wordsFor } from './ground.ts'
import { labPrograms } from './lab.ts'
import { inside, makeNamespace } from './namespace.ts'
import { sumUp } from './verdict.ts'
import { help, listing, readWords, type Words } from './words.ts'

const needed = ['minio', 'redis-server', 'redis-cli', 'nginx', 'git']
const neededByLab = ['helm', 'ip', 'nsenter', 'unshare', 'nft']
const neededByCluster = ['helm', 'kubectl']

const [first, ...rest] = process.argv.slice(2)
const isInside = first === 'inside'
const args = isInside ? rest : process.argv.slice(2)
const words = readWords(args)

if (typeof words === 'string') {
  console.log(`kubernetes: ${words}`)
  process.exit(2)
} else if (words.instead === 'help' || words.instead === 'list') {
  console.log(words.instead === 'help' ? help : listing())
} else if (isInside) {
  process.exit(await withGround(await startLabGround(), words))
} else if (process.env.KUBECONFIG && words.instead !== 'lab') {
  process.exit(areThere([...needed, ...neededByCluster]) ? await onNamed(words) : 1)
} else {
  process.exitCode = await outside()
}

async function onNamed(asked: Words): Promise<number> {
  try {
    return await withGround(namedGround(process.env), asked)
  } catch (error) {
    console.log(`kubernetes: ${(error as Error).message}`)
    return 2
  }
}

async function withGround(ground: Ground, asked: Words): Promise<number> {
  try {
    return asked.instead === 'lab' ? await waitWith(ground) : await runOn(ground, asked)
  } finally {
    await ground.leave()
  }
}

/** Until somebody ends it. */
async function waitWith(ground: Ground): Promise<number> {
  const enter = inside(process.env.GATE_NAMESPACE ?? '', wordsFor(ground))
  console.log(`the lab is ready; for example:\n${enter.join(' ')} npm run gate:kubernetes`)
  const keepAlive = setInterval(() => {}, 60_000)
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
  clearInterval(keepAlive)
  return 0
}

async function runOn(ground: Ground, { scenarios, control, postsOnly }: Words): Promise<number> {
  const kind = postsOnly ? 'POST only' : 'all methods'
  console.log(`before is ${previous.name} with its own chart, now is this tree; load: ${kind}`)
  const verdicts = await runKubernetesGate({
    ground,
    scenarios: control === undefined ? scenarios : [controls[control].scenario],
    perSecond: Number(process.env.GATE_PER_SECOND ?? 20),
    postsOnly,
    seed: drawSeed('gate:kubernetes'),
    ...(control && { control }),
    say: (line) => console.log(line),
  })
  const isRed = verdicts.some(({ report }) => report.failures.length > 0)
  for (const { report } of verdicts.filter(({ report }) => report.failures.length > 0))
    console.log(report.text)
  console.log(sumUp(verdicts).join('\n'))
  if (control === undefined) console.log(isRed ? 'RED' : 'GREEN')
  else tellControl(control, isRed)
  return isRed === (control !== undefined) ? 0 : 1
}

function tellControl(control: Control, isRed: boolean): void {
  console.log(`${control}: ${isRed ? 'noticed, as it has to be' : 'NOT noticed'}`)
}

async function outside(): Promise<number> {
  if (!areThere([...needed, ...neededByLab])) return 1
  if (process.getuid?.() !== 0) {
    console.log('kubernetes: the lab makes network namespaces, so it has to be started as root')
    return 1
  }
  const script = join(repositoryRoot, 'test', 'kubernetes', 'lab', 'build.sh')
  if ((await shown(['bash', script, labPrograms])) !== 0) return 1
  const namespace = await makeNamespace()
  try {
    const me = fileURLToPath(import.meta.url)
    const run = [process.execPath, '--enable-source-maps', me, 'inside', ...args]
    return await shown(inside(namespace.name, ['env', `GATE_NAMESPACE=${namespace.name}`, ...run]))
  } finally {
    await namespace.remove()
  }
}

function areThere(programs: readonly string[]): boolean {
  const absent = programs.filter((name) => findProgram(name) === null)
  if (absent.length > 0)
    console.log(`kubernetes: ${absent.join(', ')} not installed (npm run servers)`)
  return absent.length === 0
}

/** Runs a program to its end and shows what it says as it says it. @returns its exit code */
async function shown([program = '', ...args]: string[]): Promise<number> {
  const running = startProcess(program, args, { onOutput: (chunk) => process.stdout.write(chunk) })
  const pass = (name: NodeJS.Signals) => running.signal(name)
  process.on('SIGINT', pass).on('SIGTERM', pass)
  const exit = await running.ended()
  process.off('SIGINT', pass).off('SIGTERM', pass)
  return typeof exit === 'number' ? exit : 1
}
