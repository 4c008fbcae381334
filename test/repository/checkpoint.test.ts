import { execFileSync } from 'node:child_process'
import { cp, mkdir, readdir, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { suite } from 'uvu'
import * as assert from 'uvu/assert'

import type { Oid } from '../../src/git/objects.ts'
import type { Repositories } from '../../src/repository/repository.ts'
import type { SegmentInfo } from '../../src/repository/segment.ts'
import { chanceOf } from '../support/chance.ts'
import { createFaultyStore } from '../support/faulty-store.ts'
import { type Bench, openBench, projectName } from '../support/repositories.ts'
import { createProject, deleteProject, fileOf, putFile } from '../support/requests.ts'
import { until } from '../support/until.ts'

const test = suite<{ bench: Bench; folder: string; commits: Oid[] }>('checkpoints and the cache')
const project = projectName('sockshop')
const soon = { timeoutMs: 10_000 }
const writes = 135

let template: Bench
const commits: Oid[] = []

/** Writing so many entries takes a while: every test works on a copy. */
test.before(async () => {
  template = await openBench()
  const { repositories } = template
  await repositories.write(project, createProject())
  for (let at = 1; at < writes; at++) {
    const idempotency = { key: `key ${at}`, digest: 'd' }
    const { commit } = await repositories.write(
      project,
      putFile('a.yaml', `version ${at}`, at === 3 ? { idempotency } : {}),
    )
    commits.push(commit as Oid)
  }
  await until(async () => (await checkpoints(checkpointFolder(template))).length === 2)
})
test.after(() => template.close())

test.before.each(async (context) => {
  context.bench = await openBench()
  context.folder = checkpointFolder(context.bench)
  context.commits = commits
  const storeOf = (bench: Bench) => join(bench.folder, 'store')
  await cp(storeOf(template), storeOf(context.bench), { recursive: true })
})
test.after.each(({ bench }) => bench.close())

const checkpointFolder = (bench: Bench) =>
  join(bench.folder, 'store', 'projects', 'sockshop', 'checkpoints')

const checkpoints = async (folder: string) => {
  const names = await readdir(folder).catch(() => [])
  return names.filter((name) => name.endsWith('.json')).sort()
}

const newestCheckpoint = async (folder: string) => {
  const name = (await checkpoints(folder)).at(-1) ?? ''
  const [line = ''] = (await readFile(join(folder, name), 'utf8')).split('\n')
  return JSON.parse(line) as { seq: number; packs: SegmentInfo[] }
}

const packs = async (folder: string) =>
  (await readdir(join(folder, 'packs'))).filter((name) => name.endsWith('.pack'))

const damages = {
  deleted: (path: string) => rm(path),
  truncated: (path: string) => truncate(path, 100),
  'bit-flipped': async (path: string) => {
    const bytes = await readFile(path)
    const at = Math.floor(bytes.length / 2)
    bytes[at] = (bytes[at] as number) ^ 4
    await writeFile(path, bytes)
  },
}

const readAll = async (repositories: Repositories, commits: Oid[]) => {
  const read = (at: Oid) =>
    repositories.read(project, (view) => fileOf(view, 'a.yaml', at), { ...soon, at })
  for (const at of [0, 1, 62, 63, 64, 100, 130, 133]) {
    assert.is((await read(commits[at] as Oid)).value, `version ${at + 1}`)
  }
}

test('a replica that starts reads the entries since the newest checkpoint, not the log', async ({
  bench,
}) => {
  const store = createFaultyStore(bench.store)
  const replica = bench.another({ store })
  const { value } = await replica.read(project, (view) => fileOf(view, 'a.yaml'), soon)
  assert.is(value, `version ${writes - 1}`)
  const entries = store.calls.filter(({ kind, key }) => kind === 'get' && key.includes('/log/'))
  assert.ok(entries.length < 12, `${entries.length} entries were read`)
})

/** Fills a cache folder, and damages one of the entries in it. */
const cacheOf = async (bench: Bench, damage?: { seq: number; by: (path: string) => unknown }) => {
  const cache = { folder: join(bench.folder, 'cache'), maxBytes: 2 ** 30 }
  await bench.another({ cache }).read(project, (view) => fileOf(view, 'a.yaml'), soon)
  const folder = join(cache.folder, 'test', 'sockshop', 'entries')
  const pathOf = (seq: number) => join(folder, `${`${seq}`.padStart(20, '0')}.bundle`)
  await until(() => readFile(pathOf(writes)).catch(() => null))
  await until(async () => !(await readdir(folder)).some((name) => name.endsWith('.tmp')))
  await damage?.by(pathOf(damage.seq))
  return cache
}

test('a replica that starts with a cache folder asks for no entry that it holds, and does not look twice', async ({
  bench,
}) => {
  const cache = await cacheOf(bench)
  const store = createFaultyStore(bench.store)
  const replica = bench.another({ store, cache })
  const { value } = await replica.read(project, (view) => fileOf(view, 'a.yaml'), soon)
  assert.is(value, `version ${writes - 1}`)
  const asked = store.calls.flatMap(({ key }) => /\/log\/0*(\d*)/.exec(key)?.[1] ?? [])
  // That of the checkpoint, the newest, and a list behind it.
  assert.equal(asked, ['128', `${writes}`, ''])
})

for (const [name, by] of Object.entries(damages)) {
  for (const seq of [writes, 130]) {
    test(`entry ${seq} of ${writes} that is ${name} in a cache folder stops nothing`, async ({
      bench,
    }) => {
      const cache = await cacheOf(bench, { seq, by })
      const replica = bench.another({ cache })
      const { value } = await replica.read(project, (view) => fileOf(view, 'a.yaml'), soon)
      assert.is(value, `version ${writes - 1}`)
    })
  }
}

test('a keyed outcome that only a checkpoint has at hand is found', async ({ bench }) => {
  const idempotency = { key: 'key 3', digest: 'd' }
  const answer = await bench.another().write(project, putFile('a.yaml', 'other', { idempotency }))
  assert.is(answer.status, 200)
  const { value } = await bench.another().read(project, (view) => fileOf(view, 'a.yaml'), soon)
  assert.is(value, `version ${writes - 1}`)
})

for (const [name, damage] of Object.entries(damages)) {
  test(`checkpoints and packs that are ${name} change no answer`, async ({
    bench,
    folder,
    commits,
  }) => {
    const packs = await readdir(join(folder, 'packs'))
    for (const pack of packs) await damage(join(folder, 'packs', pack))
    await readAll(bench.another(), commits)
    for (const checkpoint of await checkpoints(folder)) await damage(join(folder, checkpoint))
    await readAll(bench.another(), commits)
  })

  test(`a cache folder whose packs are ${name} changes no answer`, async ({ bench, commits }) => {
    const cache = { folder: join(bench.folder, 'cache'), maxBytes: 2 ** 30 }
    await readAll(bench.another({ cache }), commits)
    const folder = join(cache.folder, 'test', 'sockshop', 'objects', 'pack')
    // What is being written still has a name that it loses.
    const whole = async () =>
      (await readdir(folder).catch(() => [])).filter((name) => !name.endsWith('.tmp'))
    await until(async () => (await whole()).length >= 4)
    for (const file of await whole()) await damage(join(folder, file))
    await readAll(bench.another({ cache }), commits)
  })
}

test('what was written lately is read without the indexes of a long history', async ({ bench }) => {
  const { repositories } = bench
  // Nothing is joined with what stood before the project was deleted: fourteen segments, the file in the last but one.
  for (let at = 0; at < 12; at++) {
    await repositories.write(project, deleteProject())
    await repositories.write(project, createProject())
  }
  await repositories.write(project, putFile('late.yaml', 'late'))
  for (let at = 0; at < 64; at++) await repositories.write(project, putFile('a.yaml', `x${at}`))
  await until(async () => (await newestCheckpoint(checkpointFolder(bench))).seq === 192)
  const store = createFaultyStore(bench.store)
  const replica = bench.another({ store })
  const { value } = await replica.read(project, (view) => fileOf(view, 'late.yaml'), soon)
  assert.is(value, 'late')
  const indexes = store.calls.filter(({ kind, key }) => kind === 'get' && key.endsWith('.idx'))
  assert.is(indexes.length, 8)
})

test('what is old is found without the packs of large files that came since', async ({
  bench,
  commits,
}) => {
  const { repositories } = bench
  const chance = chanceOf(1)
  for (let at = 0; at < 10; at++) {
    await repositories.write(project, putFile(`large-${at}`, chance.bytes(100_000)))
  }
  const store = createFaultyStore(bench.store)
  const replica = bench.another({ store })
  const at = commits[0] as Oid
  const { value } = await replica.read(project, (view) => fileOf(view, 'a.yaml', at), {
    ...soon,
    at,
  })
  assert.is(value, 'version 1')
  const fetched = store.calls.filter(({ key }) => key.startsWith('projects/sockshop/packs/'))
  assert.equal(fetched, [])
})

test('a long log has few packs, and each of them can be made again from the log', async ({
  bench,
  folder,
}) => {
  const { repositories } = bench
  const idempotency = (at: number) => ({ idempotency: { key: `late ${at}`, digest: 'd' } })
  const made: Oid[] = []
  for (let at = 0; at < 16 * 64; at++) {
    const request = putFile('b.yaml', `${at}`, at % 7 === 0 ? idempotency(at) : {})
    made.push((await repositories.write(project, request)).commit as Oid)
  }
  await until(async () => (await newestCheckpoint(folder)).seq === 18 * 64)
  const spans = async () =>
    (await newestCheckpoint(folder)).packs.map(({ from, to }) => [(from - 1) / 64, to / 64])
  assert.equal(await spans(), [
    [0, 16],
    [16, 17],
    [17, 18],
  ])
  const readsAll = async () => {
    const replica = bench.another()
    for (const at of [0, 3, 500, made.length - 1]) {
      const read = replica.read(project, (view) => fileOf(view, 'b.yaml', made[at]), {
        ...soon,
        at: made[at] as Oid,
      })
      assert.is((await read).value, `${at}`)
    }
    const again = await replica.write(project, putFile('b.yaml', 'other', idempotency(7)))
    assert.is(again.commit, made[7])
  }
  await readsAll()
  await rm(join(folder, 'packs'), { recursive: true })
  await rm(join(folder, 'outcomes'), { recursive: true })
  await readsAll()
})

test('segments that a build without joins left behind are joined, whoever writes next', async ({
  bench,
  folder,
}) => {
  const newest = async () =>
    (await newestCheckpoint(folder)).packs.map(({ from, to }) => [from, to])
  assert.equal(await newest(), [
    [1, 64],
    [65, 128],
  ])
  const cache = { folder: join(bench.folder, 'cache'), maxBytes: 2 ** 30 }
  const replica = bench.another({ cache })
  for (let at = 0; at < 2 * 64; at++) await replica.write(project, putFile('b.yaml', `${at}`))
  await until(async () => (await newestCheckpoint(folder)).seq === 256)
  assert.equal(await newest(), [[1, 256]])
})

test('a damaged part is not joined: the log gives it again', async ({ bench, folder, commits }) => {
  for (const name of await packs(folder)) {
    await damages['bit-flipped'](join(folder, 'packs', name))
  }
  const replica = bench.another()
  for (let at = 0; at < 2 * 64; at++) await replica.write(project, putFile('b.yaml', `${at}`))
  await until(async () => (await newestCheckpoint(folder)).seq === 256)
  await readAll(bench.another(), commits)
  const [joined] = (await newestCheckpoint(folder)).packs
  assert.ok((await readdir(join(folder, 'packs'))).includes(`${joined?.sha256}.pack`))
})

test('what was joined goes with the checkpoint that names it, an hour after its successor came', async ({
  bench,
  folder,
}) => {
  const replica = bench.another()
  for (let at = 0; at < 2 * 64; at++) await replica.write(project, putFile('b.yaml', `${at}`))
  await until(async () => (await newestCheckpoint(folder)).seq === 256)
  const before = await packs(folder)
  assert.ok(before.length >= 4, `${before.length} packs lie there`)
  const anHourAgo = new Date(Date.now() - 61 * 60_000)
  for (const name of await checkpoints(folder)) {
    await utimes(join(folder, name), anHourAgo, anHourAgo)
  }
  for (let at = 0; at < 2 * 64; at++) await replica.write(project, putFile('c.yaml', `${at}`))
  await until(async () => (await newestCheckpoint(folder)).seq === 384)
  const named = (await newestCheckpoint(folder)).packs.map(({ sha256 }) => `${sha256}.pack`)
  await until(async () => (await packs(folder)).length === named.length)
  assert.equal((await packs(folder)).sort(), named.sort())
  assert.is((await checkpoints(folder)).length, 3)
})

test('every replica rolls the same packs', async ({ bench, folder, commits }) => {
  const uploaded = (await readdir(join(folder, 'packs'))).filter((name) => name.endsWith('.pack'))
  await rm(folder, { recursive: true })
  const cache = { folder: join(bench.folder, 'cache'), maxBytes: 2 ** 30 }
  await readAll(bench.another({ cache }), commits)
  const cached = join(cache.folder, 'test', 'sockshop', 'objects', 'pack')
  await until(async () => {
    const packs = (await readdir(cached).catch(() => [])).filter((name) => name.endsWith('.pack'))
    return packs.length === uploaded.length
  })
  const names = (await readdir(cached)).filter((name) => name.endsWith('.pack'))
  assert.equal(names.sort(), uploaded.map((name) => `pack-${name}`).sort())
})

test('a cache folder that another process fills meanwhile stops nothing', async ({ bench }) => {
  const cache = { folder: join(bench.folder, 'cache'), maxBytes: 2 ** 30 }
  const first = bench.another({ cache })
  await first.read(project, (view) => fileOf(view, 'a.yaml'), soon)
  const store = createFaultyStore(bench.store)
  const second = bench.another({ cache, store })
  const entry = join(
    cache.folder,
    'test',
    'sockshop',
    'entries',
    `${`${writes + 1}`.padStart(20, '0')}.bundle`,
  )
  store.after = async ({ kind, key }) => {
    if (kind !== 'list' || !key.endsWith('/log/')) return
    store.after = () => {}
    await first.write(project, putFile('a.yaml', 'meanwhile'))
    await until(() => readFile(entry).catch(() => null))
  }
  const read = async () =>
    (await second.read(project, (view) => fileOf(view, 'a.yaml'), soon)).value
  assert.is(await read(), `version ${writes - 1}`)
  assert.is(await read(), 'meanwhile')
})

test('a read that arrives while the log is opened does not share what was seen before it', async ({
  bench,
}) => {
  const store = createFaultyStore(bench.store)
  const replica = bench.another({ store })
  const read = async () =>
    (await replica.read(project, (view) => fileOf(view, 'a.yaml'), soon)).value
  const late: Promise<string | null>[] = []
  store.after = async ({ kind, key }) => {
    if (kind !== 'list' || !key.endsWith('/log/')) return
    store.after = () => {}
    await bench.repositories.write(project, putFile('a.yaml', 'meanwhile'))
    late.push(read())
  }
  assert.is(await read(), `version ${writes - 1}`)
  assert.is(await late[0], 'meanwhile')
})

test('stock git reads the objects of a cache folder', async ({ bench, commits }) => {
  const cache = { folder: join(bench.folder, 'cache'), maxBytes: 2 ** 30 }
  await readAll(bench.another({ cache }), commits)
  const packs = join(cache.folder, 'test', 'sockshop', 'objects', 'pack')
  await until(async () => (await readdir(packs).catch(() => [])).length >= 4)
  const repository = join(bench.folder, 'stock.git')
  await mkdir(repository)
  execFileSync('git', ['init', '--quiet', '--bare', repository])
  await writeFile(
    join(repository, 'objects', 'info', 'alternates'),
    `${join(cache.folder, 'test', 'sockshop', 'objects')}\n`,
  )
  const shown = execFileSync('git', ['-C', repository, 'show', `${commits[0]}:a.yaml`])
  assert.is(shown.toString(), 'version 1')
})

test('a cache that cannot be written is only a cache that misses', async ({ bench, commits }) => {
  const blocked = join(bench.folder, 'blocked')
  await writeFile(blocked, 'a file where the folder should be')
  await readAll(bench.another({ cache: { folder: blocked, maxBytes: 2 ** 30 } }), commits)
})

test('the cache folder keeps to its size', async ({ bench, commits }) => {
  const cache = { folder: join(bench.folder, 'cache'), maxBytes: 30_000 }
  const replica = bench.another({ cache })
  await readAll(replica, commits)
  const size = async () => {
    const files = await readdir(cache.folder, { recursive: true, withFileTypes: true })
    const paths = files
      .filter((file) => file.isFile())
      .map((file) => join(file.parentPath, file.name))
    const sizes = await Promise.all(paths.map((path) => readFile(path).catch(() => Buffer.of())))
    return sizes.reduce((sum, bytes) => sum + bytes.length, 0)
  }
  await until(async () => (await size()) <= cache.maxBytes)
  await readAll(replica, commits)
})

test.run()
