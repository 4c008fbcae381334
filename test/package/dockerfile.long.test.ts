import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, cpSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { suite } from 'uvu'
import * as assert from 'uvu/assert'

import { freePort, makeFolder, removeFolder, startProcess, waitFor } from '../support/processes.ts'
import { repositoryRoot } from '../support/programs.ts'
import { environmentOf, execForm, parseDockerfile, type Stage } from './dockerfile.ts'

const test = suite('the image')
const stages = parseDockerfile(readFileSync(join(repositoryRoot, 'Dockerfile'), 'utf8'))
const final = stages.at(-1) as Stage
const stepsOf = (stage: Stage, name: string) =>
  stage.steps.filter(({ instruction }) => instruction === name)
const lastText = (name: string) => stepsOf(final, name).at(-1)?.text ?? ''

test('it runs node itself, as nobody in particular', () => {
  assert.equal(execForm(lastText('CMD')), ['node', 'dist/src/main.js'])
  assert.match(lastText('USER'), /^[1-9]\d*:[1-9]\d*$/)
  assert.is(environmentOf(final).HOST, '0.0.0.0')
  assert.equal(stepsOf(final, 'RUN'), [])
  assert.ok(execForm(lastText('HEALTHCHECK').replace(/^.*?CMD /, '')).length > 0)
})

test('its steps make a program that serves on a read-only root, and ends with 0', async () => {
  const scratch = makeFolder('image')
  // The program runs as somebody else.
  chmodSync(scratch, 0o755)
  try {
    const roots = new Map<string, string>()
    for (const [at, stage] of stages.entries()) {
      // A stage without steps is an image as others made it; this machine stands for it.
      const isForeign = stage.steps.length === 0
      const root = isForeign ? '/' : join(scratch, stage.name ?? `stage-${at}`)
      if (!isForeign) build(stage, root, roots)
      if (stage.name !== null) roots.set(stage.name, root)
      if (stage === final) await runImage(root)
    }
  } finally {
    removeFolder(scratch)
  }
})

/** Carries out a stage's steps in a folder that stands for its root. */
function build(stage: Stage, root: string, others: ReadonlyMap<string, string>): void {
  let work = root
  mkdirSync(root, { recursive: true })
  for (const { instruction, flags, text } of stage.steps) {
    if (instruction === 'WORKDIR') {
      work = join(root, text)
      mkdirSync(work, { recursive: true })
    }
    if (instruction === 'RUN') {
      assert.not.match(
        text,
        /(^|\s)\//,
        'a RUN that leaves the working folder cannot be tried here',
      )
      execFileSync('sh', ['-c', text], { cwd: work, stdio: 'pipe' })
    }
    if (instruction === 'COPY') copy({ text, flags }, { root, work, others })
  }
}

function copy(
  { text, flags }: { text: string; flags: ReadonlyMap<string, string> },
  { root, work, others }: { root: string; work: string; others: ReadonlyMap<string, string> },
): void {
  const words = text.split(/\s+/)
  const to = words.pop() as string
  const from = flags.get('from')
  const source = from === undefined ? repositoryRoot : (others.get(from) as string)
  for (const word of words) {
    if (from === undefined) assert.ok(isSent(word), `${word} is not sent to the builder`)
    const target = to.startsWith('/') ? join(root, to) : join(work, to)
    const isFolderTarget = to.endsWith('/')
    cpSync(join(source, word), isFolderTarget ? join(target, word) : target, { recursive: true })
    const owner = flags.get('chown')
    if (owner !== undefined && process.getuid?.() === 0) {
      const [uid, gid] = owner.split(':').map(Number)
      chownSync(target, uid as number, gid as number)
    }
  }
}

/** Whether .dockerignore lets a file through: it shuts out everything but what it names. */
function isSent(name: string): boolean {
  const lines = readFileSync(join(repositoryRoot, '.dockerignore'), 'utf8').split('\n')
  return lines[0] === '*' && lines.includes(`!${name}`)
}

async function runImage(root: string): Promise<void> {
  const port = await freePort()
  const work = join(root, lastText('WORKDIR') || '/app')
  const [, ...args] = execForm(lastText('CMD'))
  const environment = environmentOf(final)
  const env = {
    ...environment,
    PORT: String(port),
    STORE_URL: (environment.STORE_URL as string).replace('file:/', `file:${root}/`),
    CACHE_DIR: join(root, environment.CACHE_DIR as string),
    DRAIN_WINDOW_SECONDS: '0.2',
  }
  const before = filesOf(root)
  const [uid] = lastText('USER').split(':').map(Number)
  const isRoot = process.getuid?.() === 0
  const running = startProcess(process.execPath, args, {
    cwd: work,
    env,
    ...(isRoot && uid !== undefined && { uid }),
  })
  const [, ...healthArgs] = execForm(lastText('HEALTHCHECK').replace(/^.*?CMD /, ''))
  const isHealthy = async () => {
    const check = startProcess(process.execPath, healthArgs, { env: { PORT: String(port) } })
    return (await check.ended()) === 0
  }
  assert.is(await isHealthy(), false)
  await waitFor(isHealthy, { timeoutMs: 30_000, what: `health: ${running.output()}` })
  const made = await fetch(`http://127.0.0.1:${port}/v1/project`, {
    method: 'POST',
    body: '{"projectName":"sockshop"}',
  })
  assert.is(made.status, 204)
  running.signal('SIGTERM')
  assert.is(await running.ended(), 0)
  const written = filesOf(root).filter((file) => !before.includes(file))
  assert.ok(written.length > 0)
  for (const file of written) assert.match(file, /^(data|cache)\//)
}

function filesOf(root: string): string[] {
  const entries = readdirSync(root, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
}

test.run()
