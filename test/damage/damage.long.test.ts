/**
 * Every object of a project, and of what all projects share, one after the other, damaged in ways that are drawn, or
 * (`DAMAGES=all`) in every way: never a wrong byte, nothing but a 503 that names the object and what to do, no write acknowledged
 * that does not last, and nobody else notices.
 */
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openFileStore } from '../../src/store/file.ts'
import { openS3Store } from '../../src/store/s3.ts'
import type { Store } from '../../src/store/store.ts'
import { type Chance, chanceOf, drawSeed } from '../support/chance.ts'
import { makeFolder, removeFolder } from '../support/processes.ts'
import { requireServers, type S3Server, startMinio } from '../support/servers.ts'
import { type Ground, prepare, runCase } from './cases.ts'
import { type Damage, damagesOf, groups, type Kind, kindOf, kinds } from './damages.ts'
import { createTable } from './table.ts'
import { makeWorld, type World } from './world.ts'

const mib = 2 ** 20
const seed = drawSeed('damage')

const isWhole = process.env.DAMAGES === 'all'
/** Of each object that is damaged, one of each group; of entries, which are many and alike, fewer. */
const drawnOfObject = groups.length
const drawnOfEntry = isWhole ? 3 : 1

allOf('the file store', async (folder) => openFileStore(join(folder, 'store')), {
  objectsOf: (world, kind) => objectsOf(world, kind),
  draw(damages, chance) {
    const isAlike = damages[0]?.kind === 'entry that a checkpoint covers'
    if (isWhole && !isAlike) return damages
    return drawn(damages, isAlike ? drawnOfEntry : drawnOfObject, chance)
  },
})

if (requireServers('damage: MinIO', 'minio')) {
  let server: S3Server
  // Suites begin together, so nothing is waited for before.
  const open = async () => {
    server = await startMinio()
    return openS3Store({
      bucket: await server.createBucket(),
      prefix: 'some/prefix',
      endpoint: server.endpoint,
      region: server.region,
      style: 'path',
      credentials: () => server,
    })
  }
  const some = {
    objectsOf: (world: World, kind: Kind, chance: Chance) => [chance.pick(objectsOf(world, kind))],
    draw: (damages: Damage[], chance: Chance) =>
      drawn(damages, isWhole ? drawnOfObject : 2, chance),
  }
  allOf('MinIO', open, some, () => server.stop())
}

/** @param by which objects are damaged, and how */
function allOf(
  where: string,
  open: (folder: string) => Promise<Store>,
  by: {
    objectsOf(world: World, kind: Kind, chance: Chance): string[]
    draw(damages: Damage[], chance: Chance): Damage[]
  },
  close = async () => {},
): void {
  const test = suite(`damage, ${where}`)
  const table = createTable()
  const chance = chanceOf(seed)
  let folder: string
  let ground: Ground
  let heapBefore: number

  test.before(async () => {
    folder = makeFolder('damage')
    ground = await prepare(await makeWorld(await open(folder)), folder)
    heapBefore = process.memoryUsage().rss
  })
  test.after(async () => {
    console.log(`${where}\n${table}`)
    await ground.world.store.close()
    removeFolder(folder)
    await close()
  })

  for (const kind of kinds) {
    test(`${kind}: right, or an error that names it and what to do`, async () => {
      const { world } = ground
      const wrong: string[] = []
      for (const key of by.objectsOf(world, kind, chance)) {
        for (const damage of by.draw(damagesOf(world, key), chance)) {
          const outcome = await runCase(ground, damage)
          table.add(damage, outcome)
          const what = `${key} ${damage.group} ${damage.detail}`
          wrong.push(...outcome.wrong.map((one) => `${what}: ${one}`))
        }
      }
      assert.equal(wrong, [])
    })
  }

  test('it takes no more memory than before', () => {
    const grownMiB = (process.memoryUsage().rss - heapBefore) / mib
    assert.ok(grownMiB < 256, `${grownMiB} MiB more`)
  })

  test.run()
}

function objectsOf(world: World, kind: Kind): string[] {
  const keys = [...world.sound.keys()].filter((key) => kindOf(world, key) === kind)
  assert.ok(keys.length > 0, `there is a ${kind}`)
  return keys
}

/** One of each group in turn, until there are enough. */
function drawn(damages: Damage[], count: number, chance: Chance): Damage[] {
  const left = groups.flatMap((group) => {
    const some = damages.filter((damage) => damage.group === group)
    return some.length === 0 ? [] : [chance.pick(some)]
  })
  const chosen: Damage[] = []
  while (chosen.length < count && left.length > 0) {
    chosen.push(...left.splice(chance.between(0, left.length - 1), 1))
  }
  return chosen
}
