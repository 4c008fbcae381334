/** Section 5 of docs/design.md: the witness, and projects that are stopped. */
import * as assert from 'uvu/assert'
import { courses, slot } from '../simulation/scene.ts'
import { begin, create, fails, put, rulesOf } from './rules.ts'

const { rule, run } = rulesOf('a log that is not what it was')

rule('one uncontended write is one PUT', async (scene) => {
  await begin(scene)
  const before = scene.store.calls.length
  await scene.write('a', 'w1', put('f', '2'))
  assert.equal(
    scene.store.calls.slice(before).map(({ operation, key }) => `${operation} ${key}`),
    [`create ${slot(3)}`],
  )
})

rule('412 and then absent stops the project; others go on', async (scene) => {
  await begin(scene)
  scene.store.tamper(slot(3), Buffer.from('taken'))
  const answer = scene.write('a', 'w1', put('f', '2'))
  await scene.called({ operation: 'create', key: slot(3) })
  await scene.sleep(1.5)
  scene.store.tamper(slot(3), null)
  await fails(answer, 'project_stopped')
  await fails(scene.read('a', 'f'), 'project_stopped')
  assert.equal(
    scene
      .replica('a')
      .repositories.stopped()
      .map(({ project }) => project),
    ['p'],
  )
  assert.is((await scene.write('a', 'w2', create, { project: 'q' })).status, 201)
})

rule('the witness sees a lost tail that another replica has filled again', async (scene) => {
  await begin(scene)
  await scene.write('a', 'w1', put('f', '2'))
  await scene.read('b', 'f')
  scene.store.tamper(slot(3), null)
  scene.replicas.restart('c')
  await scene.write('c', 'w2', put('f', 'another'))
  await scene.sleep(11_000)
  await fails(scene.read('b', 'f'), 'project_stopped')
  assert.is((await scene.read('c', 'f')).value, '= another')
})

rule('the witness sees an entry that was replaced', async (scene) => {
  await begin(scene)
  for (const i of [1, 2, 3]) await scene.write('a', `w${i}`, put('f', `${i}`))
  await scene.read('b', 'f')
  const held = scene.store.objects.get(slot(4))?.body as Buffer
  const other = Buffer.from(held)
  other[other.length - 1] = (other[other.length - 1] as number) ^ 1
  scene.store.tamper(slot(4), other)
  await scene.sleep(11_000)
  await fails(scene.read('b', 'f'), 'project_stopped')
  scene.store.tamper(slot(4), held)
  await scene.sleep(65_000)
  assert.is((await scene.read('b', 'f')).value, '= 3')
})

rule('a look of the witness that hangs is hedged', async (scene) => {
  await begin(scene)
  for (const i of [1, 2, 3]) await scene.write('a', `w${i}`, put('f', `${i}`))
  await scene.read('b', 'f')
  await scene.sleep(11_000)
  scene.next({ replica: 'b', operation: 'list' }, courses.hangs())
  const startedMs = scene.world.nowMs()
  assert.is((await scene.read('b', 'f')).value, '= 3')
  assert.ok(scene.world.nowMs() - startedMs < 300, `${scene.world.nowMs() - startedMs} ms`)
})

rule('a restore of the same bytes changes ETags and stops nobody', async (scene) => {
  await begin(scene)
  for (const i of [1, 2, 3]) await scene.write('a', `w${i}`, put('f', `${i}`))
  await scene.read('b', 'f')
  for (const [key, { body }] of [...scene.store.objects]) scene.store.tamper(key, body)
  await scene.sleep(11_000)
  assert.is((await scene.read('b', 'f')).value, '= 3')
  assert.is((await scene.write('a', 'w9', put('f', '9'))).status, 200)
})

rule('a writer that never rests witnesses the log as well', async (scene) => {
  await begin(scene)
  await scene.write('a', 'w1', put('f', '2'))
  scene.store.tamper(slot(3), null)
  const startedMs = scene.world.nowMs()
  const writeOn = async () => {
    for (let at = 0; at < 60; at++) {
      await scene.sleep(400)
      await scene.write('a', `on ${at}`, put('f', `on ${at}`))
    }
  }
  await fails(writeOn(), 'project_stopped')
  const tookMs = scene.world.nowMs() - startedMs
  assert.ok(tookMs < 11_000, `it wrote for ${tookMs} ms`)
})

rule(
  'before a write after idling the log is witnessed: no entry stands on a lost one',
  async (scene) => {
    await begin(scene)
    await scene.write('a', 'w1', put('f', '2'))
    await scene.sleep(60_000)
    scene.store.tamper(slot(3), null)
    scene.replicas.restart('c')
    await scene.write('c', 'w2', put('f', 'another'))
    await fails(scene.write('a', 'w3', put('g', '1')), 'project_stopped')
    assert.is(scene.log().entries.length, 3)
  },
)

rule(
  'a log that lost its tail stops its project and no other; healed, it goes on',
  async (scene) => {
    await begin(scene)
    await scene.write('a', 'w1', put('f', '2'))
    await scene.write('a', 'q', create, { project: 'q' })
    const held = scene.store.objects.get(slot(3))?.body as Buffer
    scene.store.tamper(slot(3), null)
    await scene.sleep(11_000)
    await fails(scene.read('a', 'f'), 'project_stopped')
    await fails(scene.write('a', 'w2', put('f', '3')), 'project_stopped')
    assert.is((await scene.write('a', 'w3', put('f', '1'), { project: 'q' })).status, 200)
    scene.store.tamper(slot(3), held)
    await scene.sleep(65_000)
    assert.is((await scene.read('a', 'f')).value, '= 2')
    assert.is((await scene.write('a', 'w4', put('f', '3'))).status, 200)
    assert.equal(scene.replica('a').repositories.stopped(), [])
  },
)

rule('a stopped project does not go on while its gap is filled by others', async (scene) => {
  await begin(scene)
  await scene.write('a', 'w1', put('f', '2'))
  scene.store.tamper(slot(3), null)
  await scene.sleep(11_000)
  await fails(scene.read('a', 'f'), 'project_stopped')
  await scene.write('b', 'w2', put('f', 'another')).catch(() => {})
  await scene.sleep(100_000)
  assert.is(scene.replica('a').repositories.stopped().length, 1)
  await fails(scene.read('a', 'f'), 'project_stopped')
})

rule(
  'the witness looks at every entry since the last look, not at the newest alone',
  async (scene) => {
    await begin(scene)
    for (const i of [2, 3, 4]) await scene.write('a', `w${i}`, put('f', `${i}`))
    await scene.read('b', 'f')
    scene.store.tamper(slot(4), null)
    await scene.sleep(11_000)
    await fails(scene.read('b', 'f'), 'project_stopped')
  },
)

rule('who starts looks at the whole of a log half a minute to a minute later', async (scene) => {
  await begin(scene)
  for (let n = 0; n < 66; n++) await scene.write('a', `w${n}`, put('f', `${n}`))
  await scene.sleep(1_000)
  scene.replicas.restart('c')
  const wholes = () => scene.calls({ replica: 'c', operation: 'list', key: /\/log\/>$/ }).length
  const readFor = async (seconds: number) => {
    for (let at = 0; at < seconds; at += 2) {
      await scene.read('c', 'f')
      await scene.sleep(2_000)
    }
  }
  await readFor(28)
  assert.is(wholes(), 0)
  await readFor(36)
  assert.is(wholes(), 1)
})

run()
