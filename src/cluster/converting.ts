/** Repositories of a replica while the cluster converts: a project that is written to is converted first. */
import { type Clock, within } from '../clock.ts'
import type { Observer } from '../observe.ts'
import type { ProjectName, Repositories, WriteRequest } from '../repository/repository.ts'
import type { Conversions } from './convert.ts'

/** A project that could not be converted is left alone for so long; `migrate to` goes on trying. */
const restMs = 60_000
/** The part of a write's time that the conversion before it may take. */
const share = 0.4

/**
 * Wraps repositories. A conversion that fails, or takes too long, is tried again later and never fails the write.
 * @param options.target the format to convert to now, or null
 */
export function createConvertingRepositories(options: {
  repositories: Repositories
  conversions: Conversions
  clock: Clock
  observer: Observer
  target: () => number | null
}): Repositories {
  const { repositories, conversions, clock, observer, target } = options
  const resting = new Map<ProjectName, number>()
  const underWay = new Map<ProjectName, Promise<void>>()

  const convert = async (project: ProjectName, format: number, timeoutMs: number) => {
    try {
      const { value } = await repositories.read(
        project,
        async (view) => view.seq > 0 && view.format,
        {
          timeoutMs,
          // What it has at hand is enough to begin with: the conversion itself looks again.
          maxStaleSeconds: Number.MAX_SAFE_INTEGER,
        },
      )
      if (value === false || value === format || target() !== format) return
      await conversions.convert(repositories, project, { format, timeoutMs })
      observer.log('info', 'project_converted', { project, format })
    } catch (error) {
      resting.set(project, clock.monotonicMs() + restMs)
      observer.log('warn', 'conversion_failed', { project, format, error })
    }
  }

  const convertFirst = async (project: ProjectName, { timeoutMs }: WriteRequest) => {
    const format = target()
    if (format === null) return
    const restsUntilMs = resting.get(project) ?? 0
    if (clock.monotonicMs() < restsUntilMs) return
    resting.delete(project)
    let conversion = underWay.get(project)
    if (conversion === undefined) {
      conversion = convert(project, format, timeoutMs * share).finally(() => {
        underWay.delete(project)
      })
      underWay.set(project, conversion)
    }
    await within(clock, timeoutMs * share, conversion, () => {})
  }

  return {
    ...repositories,
    async write(project, request) {
      if (target() === null) return repositories.write(project, request)
      const startedMs = clock.monotonicMs()
      await convertFirst(project, request)
      const timeoutMs = request.timeoutMs - (clock.monotonicMs() - startedMs)
      return repositories.write(project, { ...request, timeoutMs: Math.max(1, timeoutMs) })
    },
  }
}
