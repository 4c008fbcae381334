/** Section 4 of docs/design.md: answers without an entry are reads; answers to keys are in the log. */
import * as assert from 'uvu/assert'
import type { Change } from '../simulation/changes.ts'
import { courses, slot } from '../simulation/scene.ts'
import { begin, create, drop, effects, fails, put, remove, rulesOf } from './rules.ts'

const { rule, run } = rulesOf('answers without an entry, and keys')

rule(
  'a no-op is a read: it is proven by a probe, and written where the state had moved on',
  async (scene) => {
    await begin(scene)
    await scene.write('a', 'w1', put('f', '2'))
    assert.is((await scene.write('b', 'w2', put('f', '1'))).status, 200)
    assert.is((await scene.read('a', 'f')).value, '= 1')
    assert.is(effects(scene, 'w2'), 1)
  },
)

rule('a no-op is not proven by a probe that was running when it came', async (scene) => {
  await begin(scene)
  scene.next({ replica: 'b', operation: 'get', key: slot(3) }, courses.slowAnswer(15))
  const early = scene.read('b', 'f')
  await scene.called({ replica: 'b', operation: 'get', key: slot(3) })
  await scene.sleep(1.5)
  await scene.write('a', 'w1', put('f', '2'))
  await scene.write('b', 'w2', put('f', '1'))
  await early
  assert.is((await scene.read('a', 'f')).value, '= 1')
})

rule('a refusal is a read', async (scene) => {
  await begin(scene)
  await scene.write('a', 'w1', put('g', '1'))
  assert.is((await scene.write('b', 'w2', remove('g'))).status, 200)
  assert.is((await scene.read('a', 'g')).value, 'resource_not_found')
})

rule('409 and 412 are reads', async (scene) => {
  await begin(scene)
  await scene.write('a', 'w1', put('f', '2'))
  const swap: Change = { kind: 'put', file: 'f', value: '3', expected: '2' }
  assert.is((await scene.write('b', 'w2', swap)).status, 200)
  await scene.write('a', 'w3', drop)
  assert.is((await scene.write('b', 'w4', create)).status, 201)
  assert.is((await scene.read('a', 'f')).value, 'resource_not_found')
})

rule('204 for a missing project is a read', async (scene) => {
  assert.is((await scene.write('b', 'w0', drop)).status, 204)
  await begin(scene)
  await scene.write('a', 'w1', drop)
  assert.is((await scene.write('b', 'w2', drop)).status, 204)
  await scene.write('a', 'w3', create)
  assert.is((await scene.write('b', 'w4', drop)).status, 200)
  assert.is((await scene.read('a', 'f')).value, 'project_not_found')
})

rule('in a batch that makes an entry a no-op shares the fate of the entry', async (scene) => {
  await begin(scene)
  scene.next({ replica: 'b', operation: 'create', key: slot(3) }, courses.slowEffect(60))
  const busy = scene.write('b', 'w0', put('e', '1'))
  await scene.called({ replica: 'b', operation: 'create', key: slot(3) })
  const pair = [scene.write('b', 'w1', put('g', '1')), scene.write('b', 'w2', put('f', '1'))]
  scene.next({ replica: 'b', operation: 'create', key: slot(4) }, courses.slowEffect(60))
  await busy
  await scene.write('a', 'w3', put('f', '2'))
  for (const { status } of await Promise.all(pair)) assert.is(status, 200)
  assert.is((await scene.read('a', 'f')).value, '= 1')
  assert.is(effects(scene, 'w2'), 1)
})

rule('a no-op beside an entry is answered after the entry, not before', async (scene) => {
  await begin(scene)
  scene.next({ operation: 'create', key: slot(3) }, courses.slowEffect(200))
  const pair = [scene.write('a', 'w1', put('g', '1')), scene.write('a', 'w2', put('g', '1'))]
  let answered = false
  void (pair[1] as Promise<unknown>).then(() => {
    answered = true
  })
  await scene.called({ operation: 'create', key: slot(3) })
  await scene.sleep(100)
  assert.is(answered, false, 'it saw what nobody had yet')
  const [one, two] = await Promise.all(pair)
  assert.is(one?.status, 200)
  assert.is(two?.commit, one?.commit)
})

rule('a keyed no-op is answered from an entry', async (scene) => {
  await begin(scene)
  const outcome = await scene.write('a', 'w1', put('f', '1'), { key: 'k' })
  const last = scene.log().entries.at(-1)?.transaction.requests[0]
  assert.is(last?.key, 'k')
  assert.equal(last?.commits, [])
  await scene.write('a', 'w2', put('f', '2'))
  assert.equal(await scene.write('b', 'w1', put('f', '1'), { key: 'k' }), outcome)
  assert.is((await scene.read('b', 'f')).value, '= 2')
})

rule('a keyed refusal is answered from an entry, and stays the answer', async (scene) => {
  await begin(scene)
  const refused = await scene.write('a', 'w1', remove('g'), { key: 'k' })
  assert.is(refused.status, 404)
  await scene.write('a', 'w2', put('g', '1'))
  const again = await scene.write('b', 'w1', remove('g'), { key: 'k' })
  assert.is(again.status, 404)
  assert.is(again.code, refused.code)
  assert.is((await scene.read('a', 'g')).value, '= 1')
})

rule('a refusal on an empty log binds no key', async (scene) => {
  const early = await scene.write('a', 'w1', put('f', '9'), { key: 'k' })
  assert.is(early.code, 'project_not_found')
  await scene.write('b', 'w0', create)
  assert.is((await scene.write('a', 'w1', put('f', '9'), { key: 'k' })).status, 200)
  assert.is((await scene.read('b', 'f')).value, '= 9')
})

rule(
  'a keyed refusal on a log that turns out not to be empty is evaluated again',
  async (scene) => {
    assert.is((await scene.read('b', 'f')).value, 'project_not_found')
    await scene.write('a', 'w0', create)
    assert.is((await scene.write('b', 'w1', put('f', '9'), { key: 'k' })).status, 200)
    assert.is(scene.log().entries.at(-1)?.transaction.requests[0]?.key, 'k')
  },
)

rule('the same key twice in a batch: the second takes the outcome of the first', async (scene) => {
  await begin(scene)
  const both = ['w1', 'w1'].map((id) => scene.write('a', id, remove('f'), { key: 'k' }))
  const [one, two] = await Promise.all(both)
  assert.is(one?.status, 200)
  assert.equal(one, two)
  assert.is(effects(scene, 'w1'), 1)
})

rule('a key is not used for another request: 422', async (scene) => {
  await begin(scene)
  await scene.write('a', 'w1', put('f', '2'), { key: 'k' })
  const other = await scene.write('b', 'w2', put('f', '3'), { key: 'k', digest: 'd'.repeat(64) })
  assert.is(other.status, 422)
  assert.is((await scene.read('a', 'f')).value, '= 2')
})

rule('a retry with its key on another replica takes no second effect', async (scene) => {
  await begin(scene)
  scene.next({ replica: 'a', operation: 'create', key: slot(3) }, courses.late(3_000))
  scene.always({ replica: 'a', operation: 'create' }, courses.lost(50))
  const first = scene.write('a', 'w1', put('f', '2'), { key: 'k', timeoutMs: 1_000 })
  await fails(first, 'outcome_unknown')
  const outcome = await scene.write('b', 'w1', put('f', '2'), { key: 'k' })
  scene.calm()
  await scene.write('b', 'w2', put('f', '3'))
  await scene.sleep(10_000)
  assert.equal(await scene.write('a', 'w1', put('f', '2'), { key: 'k' }), outcome)
  assert.is(effects(scene, 'w1'), 1)
  assert.is((await scene.read('a', 'f')).value, '= 3')
})

rule('a retry finds the key of a write whose answer was lost', async (scene) => {
  await begin(scene)
  scene.next({ replica: 'a', operation: 'create', key: slot(3) }, courses.swallowed())
  const first = scene.write('a', 'w1', put('f', '2'), { key: 'k', timeoutMs: 500 })
  await fails(first, 'outcome_unknown')
  await scene.write('b', 'w2', put('f', '3'))
  assert.is((await scene.write('b', 'w1', put('f', '2'), { key: 'k' })).status, 200)
  assert.is((await scene.read('a', 'f')).value, '= 3')
  assert.is(effects(scene, 'w1'), 1)
})

run()
