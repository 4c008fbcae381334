/** Section 3 of docs/design.md: what an entry holds. */
import * as assert from 'uvu/assert'
import { courses, slot } from '../simulation/scene.ts'
import { begin, create, drop, effects, fails, noise, put, rulesOf } from './rules.ts'

const { rule, run } = rulesOf('what an entry holds')

rule('requests that create or delete a project travel alone in their entry', async (scene) => {
  await begin(scene)
  const all = [
    scene.write('a', 'w1', put('g', '1')),
    scene.write('a', 'w2', put('g', '2')),
    scene.write('a', 'w3', drop),
    scene.write('a', 'w4', create),
    scene.write('a', 'w5', put('g', '3')),
    scene.write('a', 'w6', put('h', '3')),
  ]
  assert.equal(
    (await Promise.all(all)).map(({ status }) => status),
    [200, 200, 200, 201, 200, 200],
  )
  const kinds = scene
    .log()
    .entries.map(({ transaction }) => [transaction.kind, transaction.requests.length])
  for (const [kind, requests] of kinds) if (kind !== 'commit') assert.is(requests, 1)
  assert.equal(
    kinds.filter(([kind]) => kind !== 'commit').map(([kind]) => kind),
    ['create', 'delete', 'create'],
  )
})

rule(
  'an entry is at most 64 KiB: a batch is cut where the next request does not fit',
  async (scene) => {
    await begin(scene)
    const ids = Array.from({ length: 40 }, (_, i) => `w${i}`)
    await Promise.all(ids.map((id, i) => scene.write('a', id, put(id, noise(4_000, i)))))
    for (const id of ids) assert.is(effects(scene, id), 1)
    const { entries } = scene.log()
    assert.ok(entries.length < 12, `${entries.length} entries`)
    for (let seq = 1; seq <= entries.length; seq++)
      assert.ok((scene.store.objects.get(slot(seq))?.body.length ?? 0) <= 65_536)
    assert.is(scene.calls({ operation: 'put', key: '/packs/' }).length, 0)
  },
)

rule(
  'an entry that names a spilled pack is sent after the pack was acknowledged',
  async (scene) => {
    await begin(scene)
    scene.next({ operation: 'put', key: '/packs/' }, courses.late(60_000))
    scene.next({ operation: 'put', key: '/packs/' }, courses.error())
    const answer = scene.write('a', 'w1', put('g', noise(200_000)))
    await scene.called({ operation: 'create', key: slot(3) })
    const acknowledged = scene.calls({ operation: 'put', key: '/packs/' }).at(-1)
    assert.ok(acknowledged && scene.store.objects.has(acknowledged.key))
    assert.is((await answer).status, 200)
    assert.is(scene.log().entries.length, 3)
    assert.is((await scene.read('b', 'g')).value, `= ${noise(200_000)}`)
  },
)

rule('a pack of which nothing is heard is sent again', async (scene) => {
  await begin(scene)
  scene.next({ operation: 'put', key: '/packs/' }, courses.hangs())
  const startedMs = scene.world.nowMs()
  assert.is((await scene.write('a', 'w1', put('g', noise(200_000)))).status, 200)
  const tookMs = scene.world.nowMs() - startedMs
  assert.ok(tookMs > 1_000 && tookMs < 1_500, `${tookMs} ms`)
})

rule('spilled blobs are not uploaded again when the slot is lost', async (scene) => {
  await begin(scene)
  scene.next({ replica: 'b', operation: 'create', key: slot(3) }, courses.slowEffect(30))
  const answer = scene.write('b', 'w1', put('g', noise(200_000)))
  await scene.called({ replica: 'b', operation: 'create', key: slot(3) })
  await scene.write('a', 'w2', put('h', '1'))
  assert.is((await answer).status, 200)
  assert.is(scene.log().entries.length, 4)
  assert.is(scene.calls({ operation: 'put', key: '/packs/' }).length, 1)
})

rule('an object of a lost attempt is new: the next entry carries it', async (scene) => {
  await begin(scene)
  scene.next({ replica: 'b', operation: 'create', key: slot(3) }, courses.slowEffect(30))
  const answer = scene.write('b', 'w1', put('g', 'only in the attempt'))
  await scene.called({ replica: 'b', operation: 'create', key: slot(3) })
  await scene.write('a', 'w2', put('h', '1'))
  assert.is((await answer).status, 200)
  assert.is(scene.log().entries.length, 4)
  scene.replicas.restart('c')
  assert.is((await scene.read('c', 'g')).value, '= only in the attempt')
})

rule('an object of an attempt that was given up is new to every later request', async (scene) => {
  await begin(scene)
  scene.always({ operation: 'create' }, courses.lost())
  await fails(
    scene.write('a', 'w1', put('g', 'twice tried'), { timeoutMs: 200 }),
    'outcome_unknown',
  )
  scene.calm()
  assert.is((await scene.write('a', 'w2', put('h', 'twice tried'))).status, 200)
  assert.is((await scene.read('b', 'h')).value, '= twice tried')
  scene.log()
})

rule('what lies in a pack that the log names is not new', async (scene) => {
  await begin(scene)
  await scene.write('a', 'w1', put('g', noise(200_000)))
  await scene.read('b', 'g')
  assert.is((await scene.write('b', 'w2', put('h', noise(200_000)))).status, 200)
  assert.is(scene.calls({ operation: 'put', key: '/packs/' }).length, 1)
  assert.is((await scene.read('a', 'h')).value, `= ${noise(200_000)}`)
  scene.log()
})

rule(
  'an object is found while the pack that holds it is joined with others',
  async (scene) => {
    await begin(scene)
    for (let n = 3; n < 256; n++) await scene.write('a', `w${n}`, put('f', `${n}`))
    scene.always({ replica: 'a', operation: 'get', key: 'checkpoints' }, courses.slowAnswer(10))
    await scene.write('a', 'w256', put('f', '256'))
    // Its index is being loaded when the join is done.
    await scene.sleep(12)
    assert.is((await scene.read('a', 'f')).value, '= 256')
  },
  // Nothing stays at hand.
  { memoryMaxBytes: 1 },
)

run()
