import { copyFile, cp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { decodeEntry, encodeEntry } from '../../src/repository/entry.ts'
import { projectKeys } from '../../src/repository/keys.ts'
import { acceptRestore } from '../../src/repository/restore.ts'
import { verifyProject } from '../../src/repository/verify.ts'
import { systemClock, systemRandomness } from '../../src/system-clock.ts'
import { chanceOf } from '../support/chance.ts'
import { type Bench, openBench, projectName } from '../support/repositories.ts'
import { createProject, fileOf, putFile } from '../support/requests.ts'
import { until } from '../support/until.ts'

const test = suite<{ bench: Bench }>('what verify finds')
const project = projectName('sockshop')
const keys = projectKeys(project)
/** A segment, and some entries behind it. */
const entries = 70
/** In the middle of what no checkpoint covers. */
const late = 67

const storeOf = (bench: Bench) => join(bench.folder, 'store')
const verify = ({ store }: Bench, repairs = false) =>
  verifyProject({ place: { environment: { store, storeId: 'test' }, keys }, repairs })

let template: Bench
test.before(async () => {
  template = await openBench()
  const { repositories } = template
  await repositories.write(project, createProject())
  await repositories.write(project, putFile('large', chanceOf(1).bytes(100_000)))
  for (let at = 3; at <= entries; at++) {
    const idempotency = { key: `key ${at}`, digest: 'd' }
    await repositories.write(project, putFile('a.yaml', `version ${at}`, { idempotency }))
  }
  const checkpoints = join(storeOf(template), keys.checkpointPrefix)
  await until(async () => (await readdir(checkpoints).catch(() => [])).length >= 3)
})
test.after(() => template.close())
test.before.each(async (context) => {
  context.bench = await openBench()
  await cp(storeOf(template), storeOf(context.bench), { recursive: true })
})
test.after.each(({ bench }) => bench.close())

const flip = async (path: string, at: number) => {
  const bytes = await readFile(path)
  bytes[at] = (bytes[at] as number) ^ 4
  await writeFile(path, bytes)
}
/** Each is told the path of the damaged object and that of another of its kind. */
const damages = {
  deleted: (path: string) => rm(path),
  truncated: (path: string) => truncate(path, 30),
  'bit-flipped in its end': async (path: string) => flip(path, (await readFile(path)).length - 3),
  'bit-flipped in its middle': async (path: string) =>
    flip(path, (await readFile(path)).length >> 1),
  'replaced by another': (path: string, other: string) => copyFile(other, path),
}

/** Finds the one object of a kind. */
const keyBelow = async (bench: Bench, prefix: string, end: string) => {
  const names = (await readdir(join(storeOf(bench), prefix))).filter((name) => name.endsWith(end))
  return `${prefix}${names[0]}`
}
const kinds: Record<string, (bench: Bench) => Promise<string>> = {
  'the first entry': async () => keys.entry(1),
  'an entry behind the checkpoint': async () => keys.entry(late),
  'a spilled pack': (bench) => keyBelow(bench, keys.packPrefix, '.pack'),
}
const disposable: typeof kinds = {
  'a checkpoint': (bench) => keyBelow(bench, keys.checkpointPrefix, '.json'),
  'a pack of a checkpoint': (bench) => keyBelow(bench, `${keys.checkpointPrefix}packs/`, '.pack'),
  'an index of a checkpoint': (bench) => keyBelow(bench, `${keys.checkpointPrefix}packs/`, '.idx'),
  'outcomes of a checkpoint': (bench) =>
    keyBelow(bench, `${keys.checkpointPrefix}outcomes/`, '.json'),
}

test('a project that is sound has no problems, and everything of it was read', async ({
  bench,
}) => {
  const found = await verify(bench)
  assert.equal(found.problems, [])
  assert.equal([found.entries, found.spilledPacks, found.checkpoints], [entries, 1, 1])
  // Of each entry but the first two a blob, a tree and a commit.
  assert.ok(found.objects >= 3 * (entries - 2), `${found.objects}`)
})

for (const [damage, by] of Object.entries(damages)) {
  for (const [kind, find] of Object.entries(kinds)) {
    test(`${kind} that is ${damage} is named, with a remedy`, async ({ bench }) => {
      const key = await find(bench)
      await by(join(storeOf(bench), key), join(storeOf(bench), keys.entry(40)))
      const { problems } = await verify(bench)
      assert.ok(
        problems.some(({ object }) => object === key),
        JSON.stringify(problems),
      )
      assert.ok(problems.every(({ remedy }) => remedy))
    })
  }

  for (const [kind, find] of Object.entries(disposable)) {
    test(`${kind} that is ${damage} is named, and put right where that is asked for`, async ({
      bench,
    }) => {
      const key = await find(bench)
      await by(join(storeOf(bench), key), join(storeOf(bench), keys.entry(40)))
      const isGone = kind === 'a checkpoint' && damage === 'deleted'
      const before = await verify(bench)
      assert.equal(
        before.problems.map(({ object }) => object),
        isGone ? [] : [key],
      )
      const { problems, repaired } = await verify(bench, true)
      assert.equal([problems, repaired.map(({ object }) => object)], [[], isGone ? [] : [key]])
      assert.equal((await verify(bench)).problems, [])
      const read = (name: string) =>
        bench.another().read(project, (view) => fileOf(view, name), { timeoutMs: 10_000 })
      assert.is((await read('a.yaml')).value, `version ${entries}`)
    })
  }
}

test('an object that no entry brought is named by what names it', async ({ bench }) => {
  const path = join(storeOf(bench), keys.entry(entries))
  const entry = decodeEntry(entries, await readFile(path))
  const objects = entry.objects.filter(({ type }) => type !== 'blob')
  const { header: _, ...transaction } = entry.transaction
  await writeFile(path, encodeEntry({ ...entry, transaction, prerequisites: [], objects }).bytes)
  const { problems } = await verify(bench)
  assert.equal(
    problems.map(({ object }) => object),
    [keys.entry(entries)],
  )
  assert.match(problems[0]?.problem ?? '', /^tree \w+ names \w+, which is in no entry up to here$/)
})

test('the index of a large spilled pack is named, and made again where that is asked for', async ({
  bench,
}) => {
  const packs = async () => {
    const below = `${keys.checkpointPrefix}packs/`
    const names = await readdir(join(storeOf(bench), below))
    return names.filter((name) => name.endsWith('.idx')).map((name) => `${below}${name}`)
  }
  const before = await packs()
  await bench.repositories.write(project, putFile('larger', chanceOf(2).bytes(1_100_000)))
  const [key = ''] = (await packs()).filter((one) => !before.includes(one))
  const bytes = await readFile(join(storeOf(bench), key))
  for (const by of [damages.deleted, damages['bit-flipped in its middle']]) {
    await by(join(storeOf(bench), key))
    assert.equal(
      (await verify(bench)).problems.map(({ object }) => object),
      [key],
    )
    assert.equal(
      (await verify(bench, true)).repaired.map(({ object }) => object),
      [key],
    )
    assert.equal(await readFile(join(storeOf(bench), key)), bytes)
  }
})

test('an entry that was set aside is held to its name', async ({ bench }) => {
  const { store } = bench
  await rm(join(storeOf(bench), keys.entry(late)))
  const time = { clock: systemClock, random: systemRandomness }
  await acceptRestore({ store, keys, ...time, build: 'test', applied: 0, format: 1 })
  assert.equal((await verify(bench)).problems, [])
  const key = await keyBelow(bench, keys.setAsidePrefix, '.bundle')
  await truncate(join(storeOf(bench), key), 30)
  const { problems } = await verify(bench)
  assert.equal(
    problems.map(({ object }) => object),
    [key],
  )
})

test('a tail that a checkpoint knows of is missed', async ({ bench }) => {
  for (let seq = 60; seq <= entries; seq++) await rm(join(storeOf(bench), keys.entry(seq)))
  const { entries: intact, problems } = await verify(bench)
  assert.is(intact, 59)
  assert.is(problems[0]?.object, keys.entry(60))
})

test.run()
