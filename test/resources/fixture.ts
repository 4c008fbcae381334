/** Resources over a real repository, and short words for what the suites do with them. */
import { isServiceError } from '../../src/errors.ts'
import type { Oid } from '../../src/git/objects.ts'
import type { Outcome, Repositories } from '../../src/repository/repository.ts'
import { createResources } from '../../src/resources/git-resources.ts'
import { parseProjectName, parseServiceName, parseStageName } from '../../src/resources/names.ts'
import { parseResourcePath } from '../../src/resources/paths.ts'
import type {
  Page,
  Precondition,
  ReadContext,
  Resources,
  Scope,
  WriteContext,
} from '../../src/resources/resources.ts'
import { systemClock } from '../../src/system-clock.ts'
import { type Bench, openBench } from '../support/repositories.ts'

export interface Fixture {
  resources: Resources
  bench: Bench
  close(): Promise<void>
}

/** A fresh store with one project `p` that has a stage `dev` with a service `carts`. */
export async function openFixture(): Promise<Fixture> {
  const bench = await openBench()
  const resources = resourcesOver(bench.repositories)
  await resources.createProject(projectScope().project, writeContext())
  await resources.createStage(stageScope('dev'), writeContext())
  await resources.createService(serviceScope('dev', 'carts'), writeContext())
  return { resources, bench, close: () => bench.close() }
}

export function resourcesOver(repositories: Repositories): Resources {
  return createResources({ repositories, clock: systemClock, defaultBranch: 'main' })
}

export const projectScope = (project = 'p') => ({ project: parseProjectName(project) })

export const stageScope = (stage: string, project = 'p') => ({
  project: parseProjectName(project),
  stage: parseStageName(stage),
})

export const serviceScope = (stage: string, service: string, project = 'p') => ({
  ...stageScope(stage, project),
  service: parseServiceName(service),
})

export function writeContext(more: Partial<WriteContext> = {}): WriteContext {
  const author = { name: 'Ada', email: 'ada@example.com' }
  return { timeoutMs: 20_000, principal: '', author, sizeBytes: 100, ...more }
}

export function readContext(more: Partial<ReadContext> = {}): ReadContext {
  return { timeoutMs: 20_000, ...more }
}

/** Writes files in one commit. */
export function put(
  { resources }: Fixture,
  scope: Scope,
  files: Record<string, string | Buffer> | [string, string | Buffer][],
  more: Partial<WriteContext> & { precondition?: Precondition; status?: 200 | 201 } = {},
): Promise<Outcome> {
  const { precondition, status = 201, ...context } = more
  const pairs = Array.isArray(files) ? files : Object.entries(files)
  const writes = pairs.map(([path, content]) => ({
    path: parseResourcePath(path),
    content: Buffer.from(content as string),
  }))
  return resources.writeFiles(scope, writes, status, writeContext(context), precondition)
}

export async function get(
  { resources }: Fixture,
  scope: Scope,
  path: string,
  at?: Oid,
): Promise<string> {
  const context = readContext(at === undefined ? {} : { at })
  const { content } = await resources.readFile(scope, parseResourcePath(path), context)
  return content.toString()
}

export function remove(
  { resources }: Fixture,
  scope: Scope,
  path: string,
  precondition?: Precondition,
): Promise<Outcome> {
  return resources.deleteFile(scope, parseResourcePath(path), writeContext(), precondition)
}

/** Paths of all files of a scope. */
export async function paths({ resources }: Fixture, scope: Scope, at?: Oid): Promise<string[]> {
  const context = readContext(at === undefined ? {} : { at })
  const { items } = await resources.listFiles(scope, { pageSize: 100_000 }, context)
  return items.map(({ path }) => path)
}

export const namesOf = ({ items }: Page<{ name: string }>) => items.map(({ name }) => name)

/** What a promise is refused with: code and sentence; `'done'` where it is not. */
export async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    const answer = (await work) as Partial<Outcome> | undefined
    return answer?.code === undefined ? 'done' : `${answer.code}: ${answer.message}`
  } catch (error) {
    if (!isServiceError(error)) throw error
    return `${error.code}: ${error.message}`
  }
}
