import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { suite } from 'uvu'
import * as assert from 'uvu/assert'

import { type Bench, openBench, projectName } from '../support/repositories.ts'
import { createProject, deleteProject, fileOf, putFile, request } from '../support/requests.ts'
import { createTestClock, type TestClock } from '../support/test-clock.ts'
import { until } from '../support/until.ts'

const test = suite<{ bench: Bench; clock: TestClock }>('stopped projects')
const project = projectName('sockshop')
const other = projectName('other')
const soon = { timeoutMs: 10_000 }

test.before.each(async (context) => {
  context.clock = createTestClock()
  context.bench = await openBench({ clock: context.clock })
  await context.bench.repositories.write(other, createProject())
  await context.bench.repositories.write(project, createProject())
  for (let at = 1; at <= 5; at++) {
    await context.bench.repositories.write(project, putFile('a.yaml', `version ${at}`))
  }
})
test.after.each(async ({ bench }) => {
  await bench.close()
})

const entryPath = (bench: Bench, seq: number, name = 'sockshop') =>
  join(bench.folder, 'store', 'projects', name, 'log', `${String(seq).padStart(20, '0')}.bundle`)

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'answered',
    (error) => error.code,
  )

const read = (bench: Bench) =>
  bench.repositories.read(project, (view) => fileOf(view, 'a.yaml'), soon)

test('a log that lost its tail stops its project, and no other', async ({ bench, clock }) => {
  await rm(entryPath(bench, 6))
  await rm(entryPath(bench, 5))
  clock.advance(11_000)
  assert.is(await codeOf(read(bench)), 'project_stopped')
  const writing = bench.repositories.write(project, putFile('a.yaml', 'x'))
  assert.is(await codeOf(writing), 'project_stopped')
  const [stop] = bench.repositories.stopped()
  assert.is(stop?.project, project)
  assert.match(stop?.reason ?? '', /^entry [56] was applied and is gone$/)
  assert.is(await codeOf(bench.repositories.write(other, putFile('a', 'x'))), 'answered')
})

test('a deleted project is brought back from entries that follow each other, or not at all', async ({
  bench,
}) => {
  const { repositories } = bench
  await repositories.write(project, deleteProject())
  await repositories.write(other, putFile('a.yaml', 'of another'))
  for (let at = 3; at <= 6; at++) await repositories.write(other, putFile('a.yaml', `${at}`))
  const revive = request(
    async (draft) => {
      const isBack = await draft.revive()
      return { status: isBack ? 204 : 404 }
    },
    { kind: 'create' },
  )
  const kept = await readFile(entryPath(bench, 6))
  for (const bytes of [await readFile(entryPath(bench, 6, 'other')), null]) {
    // It has applied what is changed behind its back.
    const replica = bench.another()
    await replica.read(project, async () => {}, soon)
    if (bytes === null) await rm(entryPath(bench, 6))
    else await writeFile(entryPath(bench, 6), bytes)
    assert.is(await codeOf(replica.write(project, revive)), 'project_stopped')
    await writeFile(entryPath(bench, 6), kept)
  }
  const replica = bench.another()
  assert.is((await replica.write(project, revive)).status, 204)
  const { value } = await replica.read(project, (view) => fileOf(view, 'a.yaml'), soon)
  assert.is(value, 'version 5')
})

test('the gap of a lost tail is seen though another replica filled it', async ({
  bench,
  clock,
}) => {
  await rm(entryPath(bench, 6))
  await bench.another().write(project, putFile('a.yaml', 'beyond the gap'))
  clock.advance(11_000)
  assert.is(await codeOf(read(bench)), 'project_stopped')
})

test('a write after idling looks first', async ({ bench, clock }) => {
  await rm(entryPath(bench, 6))
  clock.advance(3_600_000)
  const writing = bench.repositories.write(project, putFile('a.yaml', 'x'))
  assert.is(await codeOf(writing), 'project_stopped')
})

test('an entry in the middle that is gone is found by the whole list', async ({ bench, clock }) => {
  await rm(entryPath(bench, 3))
  clock.advance(301_000)
  await until(async () => {
    clock.advance(11_000)
    return (await codeOf(read(bench))) === 'project_stopped'
  })
})

test('a stopped project comes back by itself once its log is whole again', async ({
  bench,
  clock,
}) => {
  const [path, aside] = [entryPath(bench, 6), join(bench.folder, 'aside')]
  await rename(path, aside)
  clock.advance(11_000)
  assert.is(await codeOf(read(bench)), 'project_stopped')
  clock.advance(31_000)
  assert.is(await codeOf(read(bench)), 'project_stopped')
  // A restore changes ETags, not bytes.
  await writeFile(path, await readFile(aside))
  await until(async () => {
    clock.advance(31_000)
    return (await codeOf(read(bench))) === 'answered'
  })
  assert.is((await read(bench)).value, 'version 5')
  assert.equal(bench.repositories.stopped(), [])
})

test('an entry that was replaced stops its project, and a restored copy does not', async ({
  bench,
  clock,
}) => {
  const bytes = await readFile(entryPath(bench, 6))
  await rm(entryPath(bench, 6))
  await writeFile(entryPath(bench, 6), bytes)
  clock.advance(11_000)
  assert.is((await read(bench)).value, 'version 5')

  await rm(entryPath(bench, 6))
  await writeFile(entryPath(bench, 6), await readFile(entryPath(bench, 5)))
  clock.advance(11_000)
  assert.is(await codeOf(read(bench)), 'project_stopped')
  assert.match(bench.repositories.stopped()[0]?.reason ?? '', 'entry 6 is not the one')
})

test('a log whose chain is broken is not opened', async ({ bench }) => {
  await writeFile(entryPath(bench, 4), await readFile(entryPath(bench, 1, 'other')))
  const replica = bench.another()
  const reading = replica.read(project, (view) => fileOf(view, 'a.yaml'), soon)
  assert.is(await codeOf(reading), 'project_stopped')
  assert.match(replica.stopped()[0]?.reason ?? '', 'entry 4')
})

test('a cache folder ahead of the store stops the project, and is kept', async ({
  bench,
  clock,
}) => {
  const cache = { folder: join(bench.folder, 'cache'), maxBytes: 2 ** 30 }
  const before = bench.another({ cache })
  await before.read(project, (view) => fileOf(view, 'a.yaml'), soon)
  const kept = join(bench.folder, 'cache', 'test', 'sockshop', 'entries')
  const last = join(kept, `${'6'.padStart(20, '0')}.bundle`)
  const bytes = await until(() => readFile(last).catch(() => null))

  await rm(entryPath(bench, 6))
  const after = bench.another({ cache })
  const reading = () => after.read(project, (view) => fileOf(view, 'a.yaml'), soon)
  assert.is(await codeOf(reading()), 'project_stopped')
  assert.match(after.stopped()[0]?.reason ?? '', 'the cache folder holds entry 6')
  assert.equal(await readFile(last), bytes)

  await writeFile(entryPath(bench, 6), bytes)
  await until(async () => {
    clock.advance(31_000)
    return (await codeOf(reading())) === 'answered'
  })
})

test('a log that ends otherwise than the cache folder stops the project', async ({ bench }) => {
  const cache = { folder: join(bench.folder, 'cache'), maxBytes: 2 ** 30 }
  await bench.another({ cache }).read(project, (view) => fileOf(view, 'a.yaml'), soon)
  const last = join(cache.folder, 'test', 'sockshop', 'entries', `${'6'.padStart(20, '0')}.bundle`)
  await until(() => readFile(last).catch(() => null))

  await rm(entryPath(bench, 6))
  await bench.another().write(project, putFile('a.yaml', 'after the restore'))
  const after = bench.another({ cache })
  assert.is(
    await codeOf(after.read(project, (view) => fileOf(view, 'a.yaml'), soon)),
    'project_stopped',
  )
  assert.match(after.stopped()[0]?.reason ?? '', 'entry 6 is not the one that the cache folder')
})

test.run()
