/** Imports and exports within this process, over a store of their own. */
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import type { Oid } from '../../src/git/objects.ts'
import type { ProjectName } from '../../src/repository/repository.ts'
import { parseResourcePath } from '../../src/resources/paths.ts'
import { systemClock, systemRandomness } from '../../src/system-clock.ts'
import { exportProject } from '../../src/transfer/export-project.ts'
import { openGit } from '../../src/transfer/git.ts'
import {
  type Imported,
  type ImportOptions,
  importProject,
  type Target,
} from '../../src/transfer/import-project.ts'
import { Refusal } from '../../src/transfer/refusal.ts'
import { finish, replay } from '../git/replay.ts'
import { type StockGit, stockGit } from '../git/stock-git.ts'
import { readContext, resourcesOver, serviceScope, writeContext } from '../resources/fixture.ts'
import { makeFolder, removeFolder } from '../support/processes.ts'
import { type Bench, committer, openBench, projectName } from '../support/repositories.ts'

export interface Transfers {
  /** For whatever a test makes. */
  folder: string
  bench: Bench
  target: Target
  bring(from: string, more?: Partial<ImportOptions>): Promise<Imported>
  /** What an import is refused with; `'done'` where it is not. */
  refused(from: string, more?: Partial<ImportOptions>): Promise<string>
  take(to: string, project?: string): Promise<string>
  /** What stock git makes of the log. */
  rebuilt<T>(work: (git: StockGit) => T, defaultBranch?: string, project?: string): T
  resources: ReturnType<typeof resourcesOver>
  close(): Promise<void>
}

export async function openTransfers(): Promise<Transfers> {
  const folder = makeFolder('transfer')
  const bench = await openBench()
  const never = new AbortController().signal
  const git = await openGit(join(folder, 'home'), never)
  const target: Target = {
    repositories: bench.repositories,
    store: bench.store,
    clock: systemClock,
    random: systemRandomness,
    committer,
    allow: async () => null,
    isAllowed: () => true,
  }
  let imports = 0
  const self: Transfers = {
    folder,
    bench,
    target,
    bring: (from, more = {}) =>
      importProject(self.target, {
        git,
        work: join(folder, `work-${imports++}`),
        project: projectName('sockshop'),
        from,
        defaultBranch: undefined,
        remote: undefined,
        noTags: false,
        anyLayout: false,
        update: false,
        dryRun: false,
        onProgress: () => {},
        ...more,
      }),
    async refused(from, more) {
      try {
        await self.bring(from, more)
        return 'done'
      } catch (error) {
        if (error instanceof Refusal) return error.message
        throw error
      }
    },
    async take(to, project = 'sockshop') {
      await exportProject({
        store: bench.store,
        project: project as ProjectName,
        to,
        onProgress: () => {},
        signal: never,
      })
      return to
    },
    rebuilt(work, defaultBranch = 'main', project = 'sockshop') {
      const stock = stockGit()
      try {
        replay(stock, join(bench.folder, 'store/projects', project))
        finish(stock, defaultBranch)
        return work(stock)
      } finally {
        stock.remove()
      }
    },
    resources: resourcesOver(bench.repositories),
    async close() {
      await bench.close()
      removeFolder(folder)
    },
  }
  return self
}

export const carts = (stage: string) => serviceScope(stage, 'carts', 'sockshop')
const slo = parseResourcePath('slo.yaml')

/** Reads the file that every test project has in both stages. */
export async function readSlo(
  { resources }: Transfers,
  stage: string,
  at?: string,
): Promise<string> {
  const context = readContext(at === undefined ? {} : { at: at as Oid })
  return (await resources.readFile(carts(stage), slo, context)).content.toString()
}

/** Writes it. @returns the commit */
export async function writeSlo(
  { resources }: Transfers,
  stage: string,
  content: string,
): Promise<string> {
  const files = [{ path: slo, content: Buffer.from(content) }]
  const { status, commit } = await resources.writeFiles(carts(stage), files, 200, writeContext())
  assert.is(status, 200)
  return commit as string
}
