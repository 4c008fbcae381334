/** The load as a process of its own, begun and ended by a gate. */
import { fileURLToPath } from 'node:url'
import { type RunningProcess, startProcess } from '../support/processes.ts'
import type { LoadSettings, LoadSummary } from './load.ts'

const loadFile = fileURLToPath(new URL('load-process.js', import.meta.url))

export interface Loading {
  /** Lets it end what is under way. @throws with its output where it ended badly */
  stop(): Promise<LoadSummary>
  kill: RunningProcess['kill']
}

/** Begins to load. */
export function startLoad(settings: LoadSettings): Loading {
  const running = startProcess(process.execPath, ['--enable-source-maps', loadFile], {
    env: { GATE_LOAD: JSON.stringify(settings) },
  })
  return {
    async stop() {
      running.signal('SIGTERM')
      if ((await running.ended()) !== 0) {
        throw new Error(`the load ended badly: ${running.output()}`)
      }
      return JSON.parse(running.output().trim().split('\n').at(-1) ?? '') as LoadSummary
    },
    kill: () => running.kill(),
  }
}
