/** Resources over a real repository, and short words for what the suites do with them. */
import { suite } from 'uvu'
import { directoryStructure } from '../../migrations/0002-directory-structure.ts'
import { isServiceError } from '../../src/errors.ts'
import type { Oid } from '../../src/git/objects.ts'
import type { Draft, Outcome, Repositories, View } from '../../src/repository/repository.ts'
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
import { request } from '../support/requests.ts'

export interface Fixture {
  resources: Resources
  bench: Bench
  /** Of every project. */
  format: 1 | 2
  close(): Promise<void>
}

type Test = (context: { on: Fixture }) => Promise<void> | void

/** Tests of what holds in every format, each on a fixture of its own. */
export interface FormatSuites {
  (name: string, test: Test): void
  /** One that holds in one format only. */
  inFormat(format: 1 | 2, name: string, test: Test): void
  run(): void
}

export function suitesOfFormats(title: string): FormatSuites {
  const suites = ([1, 2] as const).map((format) => {
    const tests = suite<{ on: Fixture }>(`${title}, format ${format}`)
    tests.before.each(async (context) => {
      context.on = await openFixture(format)
    })
    tests.after.each(({ on }) => on.close())
    return { format, tests }
  })
  const inFormat: FormatSuites['inFormat'] = (only, name, test) => {
    for (const { format, tests } of suites) if (format === only) tests(name, test)
  }
  const inBoth = (name: string, test: Test) => {
    for (const { tests } of suites) tests(name, test)
  }
  const run = () => {
    for (const { tests } of suites) tests.run()
  }
  return Object.assign(inBoth, { inFormat, run })
}

/** A fresh store with one project `p` that has a stage `dev` with a service `carts`. */
export async function openFixture(format: 1 | 2 = 1): Promise<Fixture> {
  const bench = await openBench()
  const resources = resourcesOver(bench.repositories, format)
  await resources.createProject(projectScope().project, writeContext())
  await resources.createStage(stageScope('dev'), writeContext())
  await resources.createService(serviceScope('dev', 'carts'), writeContext())
  return { resources, bench, format, close: () => bench.close() }
}

/** @param newFormat of projects that are created */
export function resourcesOver(repositories: Repositories, newFormat: 1 | 2 = 1): Resources {
  return createResources({
    repositories,
    clock: systemClock,
    defaultBranch: 'main',
    newFormat: () => newFormat,
    refuseMigration: async () => null,
  })
}

/** Takes a project to the other format, as a migration does. */
export async function convert(
  { bench }: { bench: Pick<Bench, 'repositories'> },
  format: 1 | 2,
  project = 'p',
): Promise<Outcome> {
  const evaluate = async (draft: Draft): Promise<Outcome> => {
    await (format === 2 ? directoryStructure.up(draft) : directoryStructure.down(draft))
    return { status: 200 }
  }
  const name = parseProjectName(project)
  return bench.repositories.write(name, request(evaluate, { kind: 'upgrade' }))
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
  { resources }: Pick<Fixture, 'resources'>,
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
  { resources }: Pick<Fixture, 'resources'>,
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

/** Changes the project as an import may. */
export async function plant(
  on: Fixture,
  make: (draft: Draft) => Promise<void> | void,
): Promise<void> {
  const evaluate = async (draft: Draft) => {
    await make(draft)
    return { status: 200 }
  }
  await on.bench.repositories.write(projectScope().project, request(evaluate))
}

/** Changes the root of the default branch, as an import may. */
export function plantRoot(on: Fixture, entries: (draft: Draft) => [string, string, Oid][]) {
  return plant(on, async (draft) => {
    const tip = draft.refs.get('refs/heads/main') as Oid
    const root = new Map(await draft.readTree((await draft.readCommit(tip)).tree))
    for (const [name, mode, oid] of entries(draft)) root.set(name, { mode, oid })
    draft.commit('main', { tree: draft.writeTree(root), message: 'planted' })
  })
}

/** Looks at the repository itself. */
export const look = async <T>({ bench }: Fixture, work: (view: View) => Promise<T>): Promise<T> =>
  (await bench.repositories.read(projectScope().project, work, { timeoutMs: 5_000 })).value

export const refsOf = (on: Fixture) => look(on, async ({ refs }) => [...refs.keys()].sort())

export const tipOf = (on: Fixture, branch = 'main') =>
  look(on, async ({ refs }) => refs.get(`refs/heads/${branch}`) as Oid)

/** First lines of the commits of a history, page by page. */
export const historyOf = async (on: Fixture, scope: Scope, path?: string) => {
  const found: string[] = []
  let pageKey = '0'
  do {
    const page = {
      pageSize: 2,
      pageKey,
      ...(path !== undefined && { path: parseResourcePath(path) }),
    }
    const answer = await on.resources.history(scope, page, readContext())
    found.push(...answer.items.map(({ message }) => message.split('\n')[0] as string))
    pageKey = answer.nextPageKey
  } while (pageKey !== '0')
  return found
}
