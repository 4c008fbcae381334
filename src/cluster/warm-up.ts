/**
 * What a replica opens before it is ready: a project with a long log takes a second, for which its first requests would wait. And
 * what it follows until they come: with the entries of some seconds to fetch, its first writes would hold up everybody's.
 */
import { type Clock, sleep } from '../clock.ts'
import type { Observer } from '../observe.ts'
import { mapParallel } from '../repository/environment.ts'
import type { Repositories, View } from '../repository/repository.ts'
import { parseProjectName } from '../resources/names.ts'

const atOnce = 2
/** Between one project and the next the processor and the store are left to those who serve, for as long as a project took. */
const restMostMs = 100
/** Branches of which the newest tree is read; with it come the indexes of packs. */
const branchesRead = 16
const followPauseMs = 250
const followPauseMostMs = 4_000
const followTimeoutMs = 5_000

/**
 * Opens projects, as many as there is time for. One that cannot be opened is left to whoever asks for it.
 * @param options.projects the most wanted first
 * @param options.limitMs how long it may take, milliseconds
 * @returns those that are open
 */
export async function warmUp(options: {
  repositories: Pick<Repositories, 'read'>
  projects: readonly string[]
  clock: Clock
  limitMs: number
  observer: Observer
}): Promise<string[]> {
  const { repositories, projects, clock, limitMs, observer } = options
  if (projects.length === 0) return []
  const startedMs = clock.monotonicMs()
  const tookMs = () => Math.round(clock.monotonicMs() - startedMs)
  const open = async (project: string): Promise<boolean> => {
    const begunMs = tookMs()
    const timeoutMs = limitMs - begunMs
    if (timeoutMs <= 0) return false
    try {
      await repositories.read(parseProjectName(project), readTips, { timeoutMs })
      await sleep(clock, Math.min(tookMs() - begunMs, restMostMs))
      return true
    } catch {
      return false
    }
  }
  const isOpen = await mapParallel(projects, atOnce, open)
  const opened = projects.filter((_, at) => isOpen[at])
  observer.log('info', 'warmed_up', {
    projects: opened.length,
    of: projects.length,
    tookMs: tookMs(),
  })
  return opened
}

/**
 * Follows the logs of projects for a while, those that nobody writes to less and less often.
 * @param options.lastsMs milliseconds from now
 */
export async function keepUp(options: {
  repositories: Pick<Repositories, 'read'>
  projects: readonly string[]
  clock: Clock
  lastsMs: number
  signal: AbortSignal
}): Promise<void> {
  const { repositories, projects, clock, lastsMs, signal } = options
  const endMs = clock.monotonicMs() + lastsMs
  const follow = async (project: string) => {
    const name = parseProjectName(project)
    let known = -1
    for (let pauseMs = followPauseMs; ; ) {
      await sleep(clock, pauseMs)
      if (signal.aborted || clock.monotonicMs() >= endMs) return
      const { value } = await repositories.read(name, async ({ seq }) => seq, {
        timeoutMs: followTimeoutMs,
      })
      pauseMs = value === known ? Math.min(2 * pauseMs, followPauseMostMs) : followPauseMs
      known = value
    }
  }
  // What fails here is told to whoever asks for the project.
  await Promise.all(projects.map((project) => follow(project).catch(() => {})))
}

async function readTips(view: View): Promise<void> {
  const tips = [...view.refs].filter(([name]) => name.startsWith('refs/heads/'))
  for (const [, tip] of tips.slice(0, branchesRead))
    await view.readTree((await view.readCommit(tip)).tree)
}
