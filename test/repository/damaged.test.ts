/** An object of the bucket that is not what it was: who needs it is told which, and what to do; who does not goes on. */
import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { projectKeys } from '../../src/repository/keys.ts'
import type { Repositories } from '../../src/repository/repository.ts'
import { chanceOf } from '../support/chance.ts'
import { type Bench, openBench, projectName } from '../support/repositories.ts'
import { createProject, fileOf, putFile } from '../support/requests.ts'
import { until } from '../support/until.ts'

const test = suite<{ bench: Bench }>('damaged objects')
const project = projectName('sockshop')
const keys = projectKeys(project)
const soon = { timeoutMs: 10_000 }
const [small, large] = [chanceOf(1).bytes(80_000), chanceOf(2).bytes(1_100_000)]

test.before.each(async (context) => {
  context.bench = await openBench()
  await context.bench.repositories.write(project, createProject())
})
test.after.each(({ bench }) => bench.close())

const pathOf = ({ folder }: Bench, key: string) => join(folder, 'store', key)
const read = async (on: Repositories, name: string) =>
  (await on.read(project, (view) => fileOf(view, name), soon)).value

/** @returns `code: message`, or the answer */
const told = (work: Promise<unknown>) =>
  work.then(String, (error) => `${error.code}: ${error.message}`)

const flipMiddle = async (path: string) => {
  const bytes = await readFile(path)
  const at = bytes.length >> 1
  bytes[at] = (bytes[at] as number) ^ 4
  await writeFile(path, bytes)
}
const damages = {
  absent: (path: string) => rm(path),
  'cut short': (path: string) => truncate(path, 40),
  empty: (path: string) => truncate(path, 0),
  changed: flipMiddle,
}

/** The pack that was spilled last. */
const newPack = async (bench: Bench, before: readonly string[]) => {
  const names = await readdir(pathOf(bench, keys.packPrefix)).catch(() => [])
  return names.find((name) => !before.includes(name)) as string
}

for (const [size, content] of Object.entries({ small, large })) {
  for (const [how, damage] of Object.entries(damages)) {
    test(`a ${size} spilled pack that is ${how} is named to who needs it, and to nobody else`, async ({
      bench,
    }) => {
      const { repositories } = bench
      await repositories.write(project, putFile('lost', content))
      const lost = await newPack(bench, [])
      await repositories.write(project, putFile('kept', chanceOf(3).bytes(70_000)))
      await repositories.write(project, putFile('a.yaml', 'a'))
      await damage(pathOf(bench, keys.spilledPack(lost)))
      const replica = bench.another()
      const expected = new RegExp(
        `^project_stopped: could not check out sockshop: ${keys.spilledPack(lost)}: .*; bring it back from a copy`,
      )
      assert.match(await told(read(replica, 'lost')), expected)
      assert.is((await read(replica, 'kept'))?.length !== undefined, true)
      assert.is(await read(replica, 'a.yaml'), 'a')
      await replica.write(project, putFile('b.yaml', 'b'))
      assert.is(await read(bench.another(), 'b.yaml'), 'b')
      assert.equal(replica.stopped(), [])
    })
  }

  test(`what lay in a damaged ${size} pack can be written again`, async ({ bench }) => {
    await bench.repositories.write(project, putFile('lost', content))
    await rm(pathOf(bench, keys.spilledPack(await newPack(bench, []))))
    const replica = bench.another()
    assert.match(await told(read(replica, 'lost')), /^project_stopped/)
    await replica.write(project, putFile('again', content))
    for (const on of [replica, bench.another()]) {
      assert.is(await read(on, 'again'), content.toString('utf8'))
      assert.is(await read(on, 'lost'), content.toString('utf8'))
    }
  })
}

test('a stopped project says which object shows it, and what to do', async ({ bench }) => {
  await bench.repositories.write(project, putFile('a.yaml', 'a'))
  await truncate(pathOf(bench, keys.entry(2)), 100)
  const replica = bench.another()
  const says = await told(read(replica, 'a.yaml'))
  assert.match(says, `${keys.entry(2)}: entry 2 cannot be read`)
  assert.match(says, '; bring it back from a copy of the bucket, or from the cache folder')
  assert.is(replica.stopped()[0]?.object, keys.entry(2))
})

test('a log that lost all from a checkpoint on is not taken for whole', async ({ bench }) => {
  for (let at = 2; at <= 66; at++) {
    await bench.repositories.write(project, putFile('a.yaml', `version ${at}`))
  }
  const checkpoints = pathOf(bench, keys.checkpointPrefix)
  await until(async () =>
    (await readdir(checkpoints).catch(() => [])).some((name) => name.endsWith('.json')),
  )
  for (const seq of [64, 65, 66]) await rm(pathOf(bench, keys.entry(seq)))
  const replica = bench.another()
  assert.match(
    await told(read(replica, 'a.yaml')),
    'entry 64 is absent, though a checkpoint knows it',
  )
  assert.match(await told(replica.write(project, putFile('a.yaml', 'x'))), /^project_stopped/)
})

test('what the cache folder knows of a lost entry stays evidence, start after start', async ({
  bench,
}) => {
  await bench.repositories.write(project, putFile('a.yaml', 'a'))
  const cache = { folder: join(bench.folder, 'cache'), maxBytes: 2 ** 30 }
  const before = bench.another({ cache })
  await read(before, 'a.yaml')
  await before.close()
  await rm(pathOf(bench, keys.entry(2)))
  await bench.another().write(project, putFile('a.yaml', 'in its place'))
  for (let start = 1; start <= 3; start++) {
    const replica = bench.another({ cache })
    assert.match(
      await told(read(replica, 'a.yaml')),
      'entry 2 is not the one that the cache folder holds',
      `start ${start}`,
    )
    await replica.close()
  }
})

test('the header of the newest entry is held to what the entry was made with', async ({
  bench,
}) => {
  await bench.repositories.write(project, putFile('a.yaml', 'a'))
  const path = pathOf(bench, keys.entry(2))
  const sound = await readFile(path)
  const [, oid = ''] = /^-([0-9a-f]{40})/m.exec(sound.toString('latin1')) ?? []
  for (const [text, instead] of [
    [' refs/heads/main', ' refs/heads/mbin'],
    [`-${oid}`, `-${oid.slice(1)}0`],
  ] as const) {
    const header = sound.toString('latin1').replaceAll(text, instead)
    assert.not.equal(Buffer.from(header, 'latin1'), sound)
    await writeFile(path, Buffer.from(header, 'latin1'))
    const says = await told(read(bench.another(), 'a.yaml'))
    assert.match(says, `${keys.entry(2)}: entry 2 cannot be read: its`)
  }
})

test.run()
