/**
 * `npm run gate:kubernetes`: rolls the chart on a real Kubernetes under load; prints what it sees and, at the end, a report; exits
 * with 1 when it is red. With `-- --control NAME` the chart has a mistake, and it exits with 1 unless it is red. It makes a network
 * namespace and runs itself again inside.
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { drawSeed } from '../support/chance.ts'
import { startProcess } from '../support/processes.ts'
import { findProgram, repositoryRoot } from '../support/programs.ts'
import { type Control, controlNames, isControl } from './controls.ts'
import { runKubernetesGate } from './gate.ts'
import { labPrograms } from './lab.ts'
import { inside, makeNamespace } from './namespace.ts'

const needed = ['helm', 'minio', 'redis-server', 'nginx', 'ip', 'nsenter', 'unshare', 'nft', 'git']

const words = process.argv.slice(2).filter((word) => word !== 'inside')
const control = controlOf(words)

if (process.argv[2] === 'inside') {
  const report = await runKubernetesGate({
    rounds: Number(process.env.GATE_ROUNDS ?? 1),
    perSecond: Number(process.env.GATE_PER_SECOND ?? 20),
    postsOnly: process.env.GATE_LOAD_KIND !== 'mixed',
    seed: drawSeed('gate:kubernetes'),
    ...(control && { control }),
    say: (line) => console.log(line),
  })
  console.log(report.text)
  const isRed = report.failures.length > 0
  if (control) console.log(`${control}: ${isRed ? 'noticed, as it has to be' : 'NOT noticed'}`)
  process.exit(isRed === (control !== undefined) ? 0 : 1)
}
process.exitCode = await outside()

function controlOf([flag, name = '', ...others]: string[]): Control | undefined {
  if (flag === undefined) return undefined
  if (flag === '--control' && isControl(name) && others.length === 0) return name
  console.log(
    `kubernetes: --control takes one of ${controlNames.join(', ')}, and there is no other flag`,
  )
  return process.exit(2)
}

async function outside(): Promise<number> {
  const absent = needed.filter((name) => findProgram(name) === null)
  if (absent.length > 0) {
    console.log(`kubernetes: ${absent.join(', ')} not installed (npm run servers)`)
    return 1
  }
  if (process.getuid?.() !== 0) {
    console.log('kubernetes: the lab makes network namespaces, so it has to be started as root')
    return 1
  }
  const script = join(repositoryRoot, 'test', 'kubernetes', 'lab', 'build.sh')
  if ((await shown(['bash', script, labPrograms])) !== 0) return 1
  const namespace = await makeNamespace()
  try {
    const me = [
      process.execPath,
      '--enable-source-maps',
      fileURLToPath(import.meta.url),
      'inside',
      ...words,
    ]
    return await shown(inside(namespace.name, me))
  } finally {
    await namespace.remove()
  }
}

/** Runs a program to its end and shows what it says as it says it. @returns its exit code */
async function shown([program = '', ...args]: string[]): Promise<number> {
  const running = startProcess(program, args, { onOutput: (chunk) => process.stdout.write(chunk) })
  const exit = await running.ended()
  return typeof exit === 'number' ? exit : 1
}
