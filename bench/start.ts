/** How long the program takes from its start to its first "ready", beyond what Node itself takes. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, makeFolder, removeFolder, startProcess } from '../test/support/processes.ts'
import { answers, programFile } from './place.ts'
import { median } from './rows.ts'
import type { Scenario } from './scenario.ts'

const askEveryMs = 2
const limitMs = 30_000

export const start: Scenario = {
  rows: ['start'],
  async run(_place, { starts }) {
    const ready: number[] = []
    const nothing: number[] = []
    for (let at = 0; at < starts; at++) {
      ready.push(await secondsToReady())
      nothing.push(await secondsOfNode())
    }
    return { start: { value: median(ready), baseline: median(nothing) } }
  },
}

async function secondsToReady(): Promise<number> {
  const folder = makeFolder('start')
  const port = await freePort()
  const env = {
    PORT: `${port}`,
    STORE_URL: `file:${join(folder, 'store')}`,
    DRAIN_WINDOW_SECONDS: '0.2',
  }
  const startedMs = performance.now()
  const running = startProcess(process.execPath, [programFile], { cwd: folder, env })
  while (!(await answers(`http://127.0.0.1:${port}/readyz`))) {
    if (running.exited() !== undefined || performance.now() - startedMs > limitMs) {
      throw new Error(`it did not become ready: ${running.output()}`)
    }
    await sleep(askEveryMs)
  }
  const seconds = (performance.now() - startedMs) / 1_000
  running.signal('SIGTERM')
  await running.ended()
  removeFolder(folder)
  return seconds
}

async function secondsOfNode(): Promise<number> {
  const startedMs = performance.now()
  await startProcess(process.execPath, ['-e', '0']).ended()
  return (performance.now() - startedMs) / 1_000
}
