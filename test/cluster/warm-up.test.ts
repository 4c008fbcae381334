import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { keepUp, warmUp } from '../../src/cluster/warm-up.ts'
import { silent } from '../../src/observe.ts'
import type { Repositories } from '../../src/repository/repository.ts'
import { systemClock } from '../../src/system-clock.ts'
import { makeFolder, removeFolder, waitFor } from '../support/processes.ts'
import { startService } from '../support/service.ts'

const test = suite('the warm-up of a replica')
const opened: (() => unknown)[] = []
test.after.each(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

test('a replica opens what others are asked for before it is ready', async () => {
  const folder = makeFolder('warm-up')
  opened.push(() => removeFolder(folder))
  const env = { STORE_URL: `file:${join(folder, 'store')}`, HEARTBEAT_SECONDS: '0.5' }
  const first = await startService({ env })
  opened.push(first.dispose)
  const post = (path: string, body: object) =>
    fetch(`${first.url}/v1/project${path}`, { method: 'POST', body: JSON.stringify(body) })
  for (const projectName of ['old', 'sockshop']) await post('', { projectName })
  const announced = () => {
    const replicas = join(folder, 'store', 'cluster', 'replicas')
    const [name = ''] = readdirSync(replicas)
    const { recent } = JSON.parse(readFileSync(join(replicas, name), 'utf8'))
    return JSON.stringify(recent) === '["sockshop","old"]'
  }
  await waitFor(announced, { what: 'the announcement to name the projects' })

  const second = await startService({ env })
  opened.push(second.dispose)
  const events = second.events()
  const warm = events.findIndex(({ event }) => event === 'warmed_up')
  const ready = events.findIndex(({ event }) => event === 'ready')
  assert.ok(warm >= 0 && warm < ready, 'first the one, then the other')
  assert.is(events[warm]?.projects, 2)
  assert.equal(
    events.filter(({ level, event }) => level !== 'info' && event !== 'config_warning'),
    [],
    'it is no trouble',
  )
  const probes = async () => {
    const metrics = await (await fetch(`${second.url}/metrics`)).text()
    return Number(/store_probes_total (\d+)/.exec(metrics)?.[1] ?? 0)
  }
  const before = await probes()
  await waitFor(async () => (await probes()) >= before + 2, {
    what: 'it to follow them, though nobody asks it',
  })
})

test('one that cannot be opened is left, and so is what there is no time for', async () => {
  const asked: string[] = []
  const read = async (project: string, _work: unknown, { timeoutMs }: { timeoutMs: number }) => {
    asked.push(project)
    if (project === 'broken') throw new Error('broken')
    await new Promise((resolve) => setTimeout(resolve, project === 'slow' ? timeoutMs + 5 : 1))
    return { value: undefined }
  }
  const told: unknown[] = []
  const projects = ['broken', 'good', 'slow', 'slow', 'late']
  const startedMs = performance.now()
  await warmUp({
    repositories: { read } as unknown as Repositories,
    projects,
    clock: systemClock,
    limitMs: 200,
    observer: { ...silent, log: (_level, _event, fields) => void told.push(fields) },
  })
  assert.equal(asked, projects.slice(0, -1))
  assert.ok(performance.now() - startedMs >= 200)
  assert.equal(
    told.map((fields) => (fields as { projects: number; of: number }).projects),
    [3],
  )
})

test('between projects it rests for as long as one took, and not for long', async () => {
  const restsMs: number[] = []
  const clock = {
    ...systemClock,
    schedule(delayMs: number, work: () => void) {
      restsMs.push(delayMs)
      return systemClock.schedule(0, work)
    },
  }
  const read = async (project: string) => {
    await new Promise((resolve) => setTimeout(resolve, project === 'quick' ? 40 : 250))
  }
  const repositories = { read } as unknown as Repositories
  const projects = ['quick', 'slow']
  await warmUp({ repositories, projects, clock, limitMs: 5_000, observer: silent })
  const [quick = 0, slow = 0] = restsMs
  assert.ok(quick >= 39 && quick < 100, `${quick} ms`)
  assert.is(slow, 100)
})

test('what was opened is followed for a while, and less and less where nobody writes', async () => {
  let nowMs = 0
  const due: { atMs: number; work: () => void }[] = []
  const clock = {
    ...systemClock,
    monotonicMs: () => nowMs,
    bootMs: () => nowMs,
    schedule(delayMs: number, work: () => void) {
      due.push({ atMs: nowMs + delayMs, work })
      return () => {}
    },
  }
  const asked: Record<string, number[]> = { busy: [], idle: [], broken: [] }
  const read = async (project: string) => {
    asked[project]?.push(nowMs)
    if (project === 'broken') throw new Error('broken')
    return { value: project === 'busy' ? nowMs : 7 }
  }
  let isOver = false
  const repositories = { read } as unknown as Repositories
  const projects = Object.keys(asked)
  const { signal } = new AbortController()
  const following = keepUp({ repositories, projects, clock, lastsMs: 10_000, signal })
  void following.then(() => {
    isOver = true
  })
  while (!isOver) {
    due.sort((left, right) => left.atMs - right.atMs)
    const next = due.shift()
    if (next) {
      nowMs = next.atMs
      next.work()
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.is(asked.busy?.length, 39)
  assert.equal(asked.idle, [250, 500, 1_000, 2_000, 4_000, 8_000])
  assert.equal(asked.broken, [250])
})

test.run()
