import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  billOf,
  callsOf,
  type Demand,
  demands,
  onMinio,
  onS3,
  renderDocument,
  scaleFile,
} from '../../bench/scale.ts'
import { startService } from '../support/service.ts'

const test = suite('what an installation asks of its bucket')

test('the tables of the document are those that are calculated', () => {
  const text = readFileSync(scaleFile, 'utf8')
  // Prettily aligned or not: what counts are the cells.
  const cells = (from: string) => from.replace(/[ -]+/g, ' ')
  assert.is(cells(text), cells(renderDocument(text)))
})

test('who bears older answers pays less', () => {
  const [fresh, oneSecond, fiveSeconds] = demands.map((demand) => billOf(demand, onS3).total)
  assert.ok((fresh as number) > (oneSecond as number))
  assert.ok((oneSecond as number) > (fiveSeconds as number))
})

const readEveryMs = 25
const writeEveryMs = 200
const seconds = 9
const projects = ['a', 'b', 'c', 'd']

test('the small end of the calculation is what a replica does', async () => {
  const service = await startService({ env: { HEARTBEAT_SECONDS: '5' } })
  try {
    const { url } = service
    const file = (project: string) => `${url}/v1/project/${project}/resource/a.yaml`
    const ask = async (path: string, init: RequestInit) => {
      const answer = await fetch(path, init)
      await answer.arrayBuffer()
      assert.ok(answer.ok, `${path}: ${answer.status}`)
    }
    const write = (project: string, content: string) =>
      ask(file(project), {
        method: 'PUT',
        body: JSON.stringify({ resourceContent: Buffer.from(content).toString('base64') }),
      })
    for (const projectName of projects) {
      await ask(`${url}/v1/project`, { method: 'POST', body: JSON.stringify({ projectName }) })
      await write(projectName, 'first')
    }
    const before = await callsAt(url)
    const under: Promise<void>[] = []
    const each = async (everyMs: number, work: (project: string, at: number) => Promise<void>) => {
      const startedMs = performance.now()
      for (let at = 0; ; at++) {
        const dueMs = startedMs + at * everyMs
        if (dueMs > startedMs + seconds * 1_000) return
        await pause(Math.max(0, dueMs - performance.now()))
        under.push(work(projects[at % projects.length] as string, at))
      }
    }
    await Promise.all([
      each(readEveryMs, (project) => ask(file(project), {})),
      each(writeEveryMs, (project, at) => write(project, `${at}`)),
    ])
    await Promise.all(under)
    const after = await callsAt(url)

    const demand: Demand = {
      name: 'here',
      replicas: 1,
      activeProjects: projects.length,
      writesPerSecond: 1_000 / writeEveryMs,
      readsPerSecond: 1_000 / readEveryMs,
      maxStaleSeconds: 0,
      entries: 50,
    }
    const { create, get, list } = callsOf(demand, onMinio)
    for (const [kind, calculated] of Object.entries({ create, get, list })) {
      const measured = ((after.get(kind) ?? 0) - (before.get(kind) ?? 0)) / seconds
      const told = `${kind}: ${measured.toFixed(2)} a second measured, ${calculated.toFixed(2)} calculated`
      // Of lists there are about four in all.
      const slack = kind === 'list' ? 0.5 : 0.25
      assert.ok(Math.abs(measured - calculated) <= slack * calculated + 0.2, told)
    }
  } finally {
    await service.dispose()
  }
})

/** Calls to the store so far, by their kind. */
async function callsAt(url: string): Promise<Map<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const found = new Map<string, number>()
  for (const [, kind = '', count] of text.matchAll(
    /store_calls_total\{[^}]*kind="(\w+)"[^}]*\} (\d+)/g,
  )) {
    found.set(kind, (found.get(kind) ?? 0) + Number(count))
  }
  return found
}

test.run()
