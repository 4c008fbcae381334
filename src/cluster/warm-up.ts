/** What a replica opens before it is ready: a project with a long log takes a second, for which its first requests would wait. */
import type { Clock } from '../clock.ts'
import type { Observer } from '../observe.ts'
import { mapParallel } from '../repository/environment.ts'
import type { Repositories, View } from '../repository/repository.ts'
import { parseProjectName } from '../resources/names.ts'

const atOnce = 4
/** Branches of which the newest tree is read; with it come the indexes of packs. */
const branchesRead = 16

/**
 * Opens projects, as many as there is time for. One that cannot be opened is left to whoever asks for it.
 * @param options.projects the most wanted first
 * @param options.limitMs how long it may take, milliseconds
 */
export async function warmUp(options: {
  repositories: Pick<Repositories, 'read'>
  projects: readonly string[]
  clock: Clock
  limitMs: number
  observer: Observer
}): Promise<void> {
  const { repositories, projects, clock, limitMs, observer } = options
  if (projects.length === 0) return
  const startedMs = clock.monotonicMs()
  const tookMs = () => Math.round(clock.monotonicMs() - startedMs)
  const open = async (project: string): Promise<boolean> => {
    const timeoutMs = limitMs - tookMs()
    if (timeoutMs <= 0) return false
    try {
      await repositories.read(parseProjectName(project), readTips, { timeoutMs })
      return true
    } catch {
      return false
    }
  }
  const opened = await mapParallel(projects, atOnce, open)
  observer.log('info', 'warmed_up', {
    projects: opened.filter(Boolean).length,
    of: projects.length,
    tookMs: tookMs(),
  })
}

async function readTips(view: View): Promise<void> {
  const tips = [...view.refs].filter(([name]) => name.startsWith('refs/heads/'))
  for (const [, tip] of tips.slice(0, branchesRead))
    await view.readTree((await view.readCommit(tip)).tree)
}
