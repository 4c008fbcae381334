/** Caches and checkpoints are disposable: whatever happens to them while replicas read, write and start, no answer changes. */
import { cp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { suite } from 'uvu'
import * as assert from 'uvu/assert'

import type { Oid } from '../../src/git/objects.ts'
import type { Repositories } from '../../src/repository/repository.ts'
import { type Chance, chanceOf } from '../support/chance.ts'
import { type Bench, openBench, projectName } from '../support/repositories.ts'
import { createProject, fileOf, putFile } from '../support/requests.ts'
import { until } from '../support/until.ts'

const test = suite('damage while it runs')
const names = ['sockshop', 'podtato'].map(projectName)
const soon = { timeoutMs: 10_000 }
/** Two segments of each project, and some entries behind them. */
const writes = 140
const rounds = 60

type Model = Map<string, { commit: Oid; content: string }[]>

let template: Bench
const written: Model = new Map(names.map((name) => [name, []]))

const write = async (on: Repositories, model: Model, project: string) => {
  const versions = model.get(project) ?? []
  const content = `${project} ${versions.length}`
  const { commit } = await on.write(projectName(project), putFile('a.yaml', content))
  versions.push({ commit: commit as Oid, content })
}

test.before(async () => {
  template = await openBench()
  await Promise.all(
    names.map(async (project) => {
      await template.repositories.write(project, createProject())
      for (let at = 1; at < writes; at++) await write(template.repositories, written, project)
    }),
  )
  const folder = join(template.folder, 'store', 'projects')
  for (const project of names) {
    const checkpoints = () => readdir(join(folder, project, 'checkpoints')).catch(() => [])
    await until(async () => (await checkpoints()).filter((name) => name.endsWith('.json'))[1])
  }
})
test.after(() => template.close())

/** Files of one kind below a folder; what is being written still has a name that it loses. */
const filesBelow = async (folder: string, kind: RegExp) => {
  const found = await readdir(folder, { recursive: true }).catch(() => [])
  return found.filter((path) => kind.test(path)).map((path) => join(folder, path))
}

const kinds = [/\.pack$/, /\.idx$/, /\.json$/, /\.bundle$/]

/** Damages a file, or exchanges two of a kind. Another process may have removed either meanwhile. */
const damage = async (folders: readonly string[], chance: Chance): Promise<string> => {
  const kind = chance.pick(kinds)
  const paths = await filesBelow(chance.pick(folders), kind)
  if (paths.length === 0) return 'nothing'
  const path = chance.pick(paths)
  const how = chance.pick(['deleted', 'truncated', 'flipped', 'emptied', 'swapped'])
  try {
    if (how === 'deleted') await rm(path)
    if (how === 'truncated') await truncate(path, 100)
    if (how === 'emptied') await truncate(path, 0)
    const bytes = await readFile(path)
    if (how === 'flipped') {
      const at = chance.between(0, bytes.length - 1)
      bytes[at] = (bytes[at] as number) ^ (1 << chance.between(0, 7))
      await writeFile(path, bytes)
    }
    if (how === 'swapped') {
      const other = chance.pick(paths)
      await writeFile(path, await readFile(other))
      await writeFile(other, bytes)
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  return `${path} was ${how}`
}

for (const seed of [1, 2, 3]) {
  test(`no answer changes, and none fails (seed ${seed})`, async () => {
    const chance = chanceOf(seed)
    const bench = await openBench()
    try {
      await cp(join(template.folder, 'store'), join(bench.folder, 'store'), { recursive: true })
      const model: Model = new Map([...written].map(([name, versions]) => [name, [...versions]]))
      const cache = {
        folder: join(bench.folder, 'cache'),
        maxBytes: chance.pick([60_000, 2 ** 30]),
      }
      // With no memory of its own a replica goes back to its files, and forgets each project for the other.
      const start = () => bench.another({ cache, memoryMaxBytes: 1 })
      let running = start()
      const done: string[] = []
      for (let round = 0; round < rounds; round++) {
        const project = chance.pick(names)
        const folders = [
          join(cache.folder, 'test', project),
          join(bench.folder, 'store', 'projects', project, 'checkpoints'),
        ]
        done.push(await damage(folders, chance))
        if (chance.happens(1 / 6)) running = start()
        if (chance.happens(1 / 3)) await write(running, model, project)
        const versions = model.get(project) ?? []
        const wanted = chance.pick(versions)
        const tell = `round ${round}: ${done.slice(-8).join('; ')}`
        try {
          const read = (at?: Oid) =>
            running.read(project, (view) => fileOf(view, 'a.yaml', at), {
              ...soon,
              ...(at && { at }),
            })
          assert.is((await read(wanted.commit)).value, wanted.content, tell)
          assert.is((await read()).value, versions.at(-1)?.content, tell)
        } catch (error) {
          throw new Error(tell, { cause: error })
        }
        assert.equal(running.stopped(), [], tell)
      }
      assert.ok(done.filter((what) => what !== 'nothing').length > rounds / 2)
    } finally {
      await bench.close()
    }
  })
}

test.run()
