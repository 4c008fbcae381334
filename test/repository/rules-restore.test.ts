/** Section 5 of docs/design.md: a person accepts that a log lost entries. */
import * as assert from 'uvu/assert'
import { decodeEntry } from '../../src/repository/entry.ts'
import { projectKeys } from '../../src/repository/keys.ts'
import type { ProjectName } from '../../src/repository/repository.ts'
import { acceptRestore, inspectLog } from '../../src/repository/restore.ts'
import { courses, type Scene, slot } from '../simulation/scene.ts'
import { createRandomness } from '../simulation/world.ts'
import { begin, create, fails, put, rulesOf } from './rules.ts'

const { rule, run } = rulesOf('a log that was accepted without what it lost')

const keys = projectKeys('p' as ProjectName)

/** Ends a job by its name, as `kill -9` does. */
const jobs = new Map<string, () => void>()

/** What a person runs; replicas that are stopped have said what they applied. */
async function accept(scene: Scene, changed: { applied?: number; name?: string } = {}) {
  const name = changed.name ?? 'job'
  const actor = scene.world.createActor(`${name}#1`)
  jobs.set(name, () => {
    actor.alive = false
  })
  const told = scene.replicas.running.flatMap(({ repositories }) =>
    repositories.stopped().map(({ applied }) => applied),
  )
  return acceptRestore({
    store: scene.store.of(actor),
    keys,
    clock: scene.world.clockOf(actor),
    random: createRandomness(scene.world.chance.fork()),
    build: '0.0.0-test',
    applied: changed.applied ?? Math.max(0, ...told),
    format: 1,
  })
}

const kindAt = (scene: Scene, seq: number) =>
  decodeEntry(seq, (scene.store.objects.get(slot(seq)) as { body: Buffer }).body).transaction.kind

/** Slots 3 to 5 are written, and both replicas have read them. */
async function beginLong(scene: Scene) {
  await begin(scene)
  for (const n of [3, 4, 5]) await scene.write('a', `w${n}`, put('f', `${n}`))
  await scene.read('b', 'f')
}

function lose(scene: Scene, ...seqs: number[]) {
  for (const seq of seqs) scene.store.tamper(slot(seq), null)
}

/** One that was idle finds out by its next read, and goes on with its next look. */
async function goesOn(scene: Scene, replica: string, value: string) {
  await scene.read(replica, 'f').catch(() => {})
  await scene.sleep(65_000)
  assert.is((await scene.read(replica, 'f')).value, value)
}

rule(
  'a lost tail: every replica goes on from what is left, and every slot stays taken',
  async (scene) => {
    await beginLong(scene)
    lose(scene, 4, 5)
    await scene.sleep(11_000)
    await fails(scene.read('a', 'f'), 'project_stopped')
    await fails(scene.read('b', 'f'), 'project_stopped')
    const { intact, acceptedUpTo } = await accept(scene)
    assert.equal([intact, acceptedUpTo], [3, 6])
    assert.equal(
      [4, 5, 6].map((seq) => kindAt(scene, seq)),
      ['restore', 'restore', 'restore'],
    )
    for (const name of ['a', 'b']) await goesOn(scene, name, '= 3')
    assert.is((await scene.write('b', 'w9', put('f', '9'))).status, 200)
    assert.is((await scene.read('a', 'f')).value, '= 9')
    assert.is(scene.log().entries.length, 7)
  },
)

rule(
  'nobody goes on before a person has accepted, and a dry look changes nothing',
  async (scene) => {
    await beginLong(scene)
    lose(scene, 4, 5)
    await scene.sleep(11_000)
    await fails(scene.read('a', 'f'), 'project_stopped')
    scene.replicas.restart('c')
    await scene.write('c', 'w6', put('f', 'another'))
    await scene.write('c', 'w7', put('f', 'more'))
    await scene.write('c', 'w8', put('f', 'most'))
    await inspectLog({ store: scene.store.of(scene.world.createActor('look#1')), keys })
    await scene.sleep(100_000)
    await fails(scene.read('a', 'f'), 'project_stopped')
    await accept(scene)
    await goesOn(scene, 'a', '= most')
  },
)

rule('entries beyond a gap are kept aside, and restore entries take their slots', async (scene) => {
  await beginLong(scene)
  const beyond = scene.store.objects.get(slot(5))?.body as Buffer
  lose(scene, 4)
  await scene.sleep(11_000)
  await fails(scene.read('a', 'f'), 'project_stopped')
  await fails(scene.read('b', 'f'), 'project_stopped')
  scene.replicas.restart('c')
  await fails(scene.read('c', 'f'), 'project_stopped')
  const found = await accept(scene)
  assert.equal(
    found.beyond.map(({ seq, kind }) => [seq, kind]),
    [[5, 'commit']],
  )
  assert.is(found.because, 'entry 4 is absent')
  const aside = [...scene.store.objects].filter(([key]) => key.includes('/set-aside/'))
  assert.equal(
    aside.map(([, { body }]) => body),
    [beyond],
  )
  for (const name of ['a', 'b', 'c']) await goesOn(scene, name, '= 3')
  assert.is((await scene.write('a', 'w9', put('f', '9'))).status, 200)
  assert.is(scene.log().entries.length, 7)
})

rule('an entry that does not follow is treated as one beyond a gap', async (scene) => {
  await beginLong(scene)
  scene.store.tamper(slot(4), Buffer.from('something else'))
  await scene.sleep(11_000)
  await fails(scene.read('a', 'f'), 'project_stopped')
  const { intact, beyond } = await accept(scene)
  assert.equal([intact, beyond.map(({ seq }) => seq)], [3, [4, 5]])
  await goesOn(scene, 'a', '= 3')
  await goesOn(scene, 'b', '= 3')
})

for (const calls of [4, 6, 7, 8, 9, 10, 11, 12]) {
  rule(`killed after ${calls} calls, then run twice at once: one log`, async (scene) => {
    await beginLong(scene)
    lose(scene, 3)
    await scene.sleep(11_000)
    await fails(scene.read('a', 'f'), 'project_stopped')
    const killed = accept(scene, { name: 'killed' }).catch(() => {})
    while (scene.calls({ replica: 'killed' }).length < calls) await scene.sleep(0.5)
    jobs.get('killed')?.()
    await Promise.race([killed, scene.sleep(100)])
    scene.next({ replica: 'one', operation: 'put', key: slot(5) }, courses.late(3_000, 30))
    scene.next({ replica: 'two', operation: 'create', key: slot(6) }, courses.answerLost())
    await Promise.all([accept(scene, { name: 'one' }), accept(scene, { name: 'two' })])
    await goesOn(scene, 'a', '= 1')
    await goesOn(scene, 'b', '= 1')
    assert.is((await scene.write('b', 'w9', put('f', '9'))).status, 200)
    assert.ok(scene.log().entries.length >= 7)
  })
}

rule('what was accepted once says nothing of the next loss', async (scene) => {
  await beginLong(scene)
  lose(scene, 4, 5)
  await scene.sleep(11_000)
  await fails(scene.read('a', 'f'), 'project_stopped')
  await accept(scene)
  await goesOn(scene, 'a', '= 3')
  await scene.write('a', 'w7', put('f', '7'))
  lose(scene, 7)
  await scene.sleep(11_000)
  await fails(scene.read('a', 'f'), 'project_stopped')
  await scene.sleep(100_000)
  await fails(scene.read('a', 'f'), 'project_stopped')
})

rule(
  'a write of before the loss that lands late does not count, and its slot is taken',
  async (scene) => {
    await beginLong(scene)
    scene.next({ replica: 'b', operation: 'create', key: slot(6) }, courses.late(2_000, 100))
    const late = scene.write('b', 'late', put('f', 'late'))
    await scene.called({ replica: 'b', operation: 'create', key: slot(6) })
    lose(scene, 4, 5)
    await accept(scene, { applied: 5 })
    assert.is(kindAt(scene, 6), 'restore')
    await late.catch(() => {})
    await scene.sleep(11_000)
    await scene.read('b', 'f').catch(() => {})
    await goesOn(scene, 'b', '= 3')
    assert.is(kindAt(scene, 6), 'restore')
  },
)

rule('a project of which nothing is left can be made again', async (scene) => {
  await begin(scene)
  lose(scene, 1, 2)
  await scene.sleep(11_000)
  await fails(scene.read('a', 'f'), 'project_stopped')
  const { intact, acceptedUpTo } = await accept(scene)
  assert.equal([intact, acceptedUpTo], [0, 3])
  await scene.read('b', 'f').catch(() => {})
  await scene.sleep(65_000)
  assert.is((await scene.write('a', 'again', create)).status, 201)
  assert.is((await scene.write('b', 'w', put('f', 'new'))).status, 200)
})

rule('where nothing is lost there is nothing to accept', async (scene) => {
  await beginLong(scene)
  const { acceptedUpTo, intact } = await accept(scene)
  assert.equal([intact, acceptedUpTo], [5, null])
  assert.is(scene.log().entries.length, 5)
})

run()
