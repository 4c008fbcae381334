/** A sample of `damage.long.test.ts`: of some kinds of objects one, damaged in one way. */
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openFileStore } from '../../src/store/file.ts'
import { chanceOf } from '../support/chance.ts'
import { makeFolder, removeFolder } from '../support/processes.ts'
import { type Ground, prepare, runCase } from './cases.ts'
import { damagesOf, kindOf } from './damages.ts'
import { makeWorld } from './world.ts'

const test = suite('damage, a sample')
const chance = chanceOf(7)

let folder: string
let ground: Ground
test.before(async () => {
  folder = makeFolder('damage')
  ground = await prepare(await makeWorld(await openFileStore(join(folder, 'store'))), folder)
})
test.after(async () => {
  await ground.world.store.close()
  removeFolder(folder)
})

for (const kind of ['entry behind the checkpoints', 'spilled pack', 'checkpoint'] as const) {
  test(`${kind}: right, or an error that names it and what to do`, async () => {
    const { world } = ground
    const objects = [...world.sound.keys()].filter((key) => kindOf(world, key) === kind)
    assert.ok(objects.length > 0)
    const damage = chance.pick(damagesOf(world, chance.pick(objects)))
    const { wrong } = await runCase(ground, damage)
    assert.equal(wrong, [], `${damage.keys[0]} ${damage.group} ${damage.detail}`)
  })
}

test.run()
