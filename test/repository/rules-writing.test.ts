/** Section 4 of docs/design.md: how a slot is won, and what a writer may say of it. */
import * as assert from 'uvu/assert'
import { courses, type Scene, slot } from '../simulation/scene.ts'
import { begin, creates, effects, fails, put, remove, rulesOf, transactionIdOf } from './rules.ts'

const { rule, run } = rulesOf('how a slot is won')

rule(
  'requests that wait together are committed together, each with its own commit',
  async (scene) => {
    await begin(scene)
    const ids = Array.from({ length: 30 }, (_, i) => `w${i}`)
    const outcomes = await Promise.all(ids.map((id) => scene.write('a', id, put('f', id))))
    const { entries } = scene.log()
    assert.ok(entries.length <= 4, `${entries.length} entries`)
    assert.is(new Set(outcomes.map(({ commit }) => commit)).size, 30)
    for (const id of ids) assert.is(effects(scene, id), 1)
    assert.is((await scene.read('b', 'f')).value, '= w29')
  },
)

/** Clients that write one thing after the other, each to its own file. @returns how long each write took, milliseconds */
function writeInTurn(scene: Scene, clients: number, times: number): Promise<number[]> {
  const all = Array.from({ length: clients }, async (_, client) => {
    const tookMs: number[] = []
    // Never all at the same time to begin with.
    await scene.sleep(client)
    for (let n = 0; n < times; n++) {
      const startedMs = scene.world.nowMs()
      await scene.write('a', `w${client}.${n}`, put(`f${client}`, `${n}`))
      tookMs.push(scene.world.nowMs() - startedMs)
      await scene.sleep(2)
    }
    return tookMs
  })
  return Promise.all(all).then((tookMs) => tookMs.flat())
}

rule('clients that were answered together are waited for, and travel together', async (scene) => {
  await begin(scene)
  scene.always({ operation: 'create' }, courses.slowAnswer(8))
  await writeInTurn(scene, 4, 20)
  const entries = scene.log().entries.length - 2
  assert.ok(entries <= 25, `${entries} entries for 80 writes`)
})

rule('nobody waits long for one who does not come back, nor who is alone', async (scene) => {
  await begin(scene)
  const alone = await writeInTurn(scene, 1, 5)
  const usualMs = Math.max(...alone)
  await writeInTurn(scene, 4, 5)
  await scene.sleep(200)
  assert.ok(Math.max(...(await writeInTurn(scene, 1, 5))) <= usualMs)
  const [left] = await Promise.all([writeInTurn(scene, 1, 5), writeInTurn(scene, 3, 1)])
  // What is under way when a write comes, half of a create, and its own.
  assert.ok(Math.max(...(left as number[])) <= 2.6 * usualMs, `${left} ms, alone ${alone} ms`)
})

rule('a request whose evaluation throws fails alone', async (scene) => {
  await begin(scene)
  const broken = scene
    .write('a', 'w2', put('g', '2'), {
      evaluated() {
        throw new Error('broken')
      },
    })
    .then(
      () => 'well',
      () => 'failed',
    )
  const good = [scene.write('a', 'w1', put('f', '2')), scene.write('a', 'w3', put('h', '2'))]
  for (const { status } of await Promise.all(good)) assert.is(status, 200)
  assert.is(await broken, 'failed')
  assert.is((await scene.read('b', 'g')).value, 'resource_not_found')
})

rule('412 on a slot that holds our own bytes is a win', async (scene) => {
  await begin(scene)
  scene.next({ operation: 'create', key: slot(3) }, courses.repeatedBeneath())
  assert.is((await scene.write('a', 'w1', remove('f'))).status, 200)
  assert.is(scene.log().entries.length, 3)
  assert.is(effects(scene, 'w1'), 1)
})

rule(
  'a lost slot: the foreign entry is applied, and the rest is a new transaction',
  async (scene) => {
    await begin(scene)
    scene.next({ replica: 'b', operation: 'create', key: slot(3) }, courses.slowEffect(30))
    const answer = scene.write('b', 'w1', put('g', '1'))
    await scene.called({ replica: 'b', operation: 'create', key: slot(3) })
    await scene.write('a', 'w2', put('f', '2'))
    assert.is((await answer).status, 200)
    const { entries } = scene.log()
    assert.is(entries.length, 4)
    assert.is((await scene.read('a', 'f')).value, '= 2')
    assert.is((await scene.read('a', 'g')).value, '= 1')
    const ids = [...creates(scene, 3, 'b'), ...creates(scene, 4, 'b')].map(transactionIdOf)
    assert.is(ids.length, 2)
    assert.is.not(ids[0], ids[1])
  },
)

for (const [name, course] of Object.entries({
  'lost on its way': courses.lost(),
  'whose answer is lost': courses.answerLost(),
  'that nobody answers': courses.hangs(),
  'that nobody answers, though it landed': courses.swallowed(),
  'answered 500': courses.error(),
  'that lands long after': courses.late(2_000),
}))
  rule(`a PUT ${name} is repeated, byte for byte, until the slot is known`, async (scene) => {
    await begin(scene)
    scene.next({ operation: 'create', key: slot(3) }, course)
    scene.next({ operation: 'create', key: slot(3) }, courses.lost())
    assert.is((await scene.write('a', 'w1', put('f', '2'))).status, 200)
    const bodies = new Set(creates(scene, 3).map(({ body }) => body.toString('latin1')))
    assert.is(bodies.size, 1, 'different bytes')
    await scene.sleep(5_000)
    assert.is(scene.log().entries.length, 3)
    assert.is(effects(scene, 'w1'), 1)
  })

rule('a PUT of which nothing is heard is sent again within a second', async (scene) => {
  await begin(scene)
  scene.next({ operation: 'create', key: slot(3) }, courses.hangs())
  const startedMs = scene.world.nowMs()
  assert.is((await scene.write('a', 'w1', put('f', '2'))).status, 200)
  const tookMs = scene.world.nowMs() - startedMs
  assert.ok(tookMs < 1_100, `${tookMs} ms`)
  const [first, second] = creates(scene, 3)
  assert.equal(first?.body, second?.body)
})

rule('one that was sent again is unknown, whatever becomes of the second', async (scene) => {
  await begin(scene)
  // The first is given up after 5 s and lands later; the last that repeats it is refused after that.
  const match = { operation: 'create', key: slot(3) } as const
  scene.next(match, { ...courses.hangs(), effectsAfterMs: [8_000] })
  scene.always(match, { ...courses.refused(), answerAfterMs: 1_500 })
  const answer = fails(
    scene.write('a', 'w1', put('f', '2'), { timeoutMs: 7_000 }),
    'outcome_unknown',
  )
  await scene.sleep(5_200)
  scene.calm()
  scene.always(match, courses.refused())
  await answer
  scene.calm()
  await scene.sleep(10_000)
  assert.is(effects(scene, 'w1'), 1)
})

rule('409 is repeated identically', async (scene) => {
  await begin(scene)
  for (let i = 0; i < 3; i++) scene.next({ operation: 'create', key: slot(3) }, courses.conflict())
  assert.is((await scene.write('a', 'w1', put('f', '2'))).status, 200)
  const attempts = creates(scene, 3)
  assert.is(attempts.length, 4)
  assert.is(new Set(attempts.map(({ body }) => body.toString('latin1'))).size, 1)
})

rule(
  'where every attempt is known lost, a write past its deadline is not_written',
  async (scene) => {
    await begin(scene)
    scene.always({ operation: 'create' }, courses.refused())
    await fails(scene.write('a', 'w1', put('f', '2'), { timeoutMs: 500 }), 'not_written')
    scene.calm()
    await scene.sleep(60_000)
    assert.is(effects(scene, 'w1'), 0)
  },
)

rule('once one attempt was ambiguous, no error code proves failure', async (scene) => {
  await begin(scene)
  scene.always({ operation: 'get', key: slot(3) }, courses.hangs())
  scene.next({ operation: 'create' }, courses.late(3_000))
  scene.always({ operation: 'create' }, courses.refused())
  await fails(scene.write('a', 'w1', put('f', '2'), { timeoutMs: 500 }), 'outcome_unknown')
  scene.calm()
  await scene.sleep(60_000)
  assert.is(effects(scene, 'w1'), 1)
})

rule('a keyed write past its deadline is always unknown', async (scene) => {
  await begin(scene)
  scene.always({ operation: 'create' }, courses.refused())
  const answer = scene.write('a', 'w1', put('f', '2'), { timeoutMs: 500, key: 'k' })
  await fails(answer, 'outcome_unknown')
})

rule('an answered request is dropped from every later evaluation', async (scene) => {
  await begin(scene)
  let evaluations = 0
  scene.always({ operation: 'create', key: slot(3) }, courses.lost(50))
  scene.always({ operation: 'get', key: slot(3) }, courses.hangs())
  const unknown = scene.write('a', 'w1', put('f', 'w1'), {
    timeoutMs: 1_000,
    evaluated: () => void evaluations++,
  })
  await scene.sleep(20)
  const waiting = scene.write('a', 'w2', put('g', 'w2'))
  await fails(unknown, 'outcome_unknown')
  const evaluated = evaluations
  scene.calm()
  assert.is((await waiting).status, 200)
  assert.is(evaluations, evaluated)
  await scene.sleep(10_000)
  assert.is(effects(scene, 'w1'), 0)
  assert.is(effects(scene, 'w2'), 1)
})

rule('of a batch whose slot was lost only what is unanswered is evaluated again', async (scene) => {
  await begin(scene)
  scene.always({ replica: 'a', operation: 'create', key: slot(3) }, courses.lost(50))
  const waiting = [scene.write('a', 'w0', put('e', 'w0'))]
  const short = scene.write('a', 'w1', put('f', 'w1'), { timeoutMs: 1_000 })
  waiting.push(scene.write('a', 'w2', put('g', 'w2')))
  await fails(short, 'outcome_unknown')
  await scene.write('b', 'w3', put('h', 'w3'))
  scene.calm()
  for (const { status } of await Promise.all(waiting)) assert.is(status, 200)
  await scene.sleep(10_000)
  assert.is(effects(scene, 'w1'), 0)
  assert.is(effects(scene, 'w2'), 1)
  assert.is((await scene.read('b', 'f')).value, '= 1')
})

rule(
  'an earlier attempt of our own that lands late is foreign to the batch after it',
  async (scene) => {
    await begin(scene)
    scene.next({ operation: 'create', key: slot(3) }, courses.late(3_000))
    scene.always({ operation: 'create', key: slot(3) }, courses.lost(100))
    await fails(scene.write('a', 'w1', put('f', 'w1'), { timeoutMs: 1_000 }), 'outcome_unknown')
    const next = scene.write('a', 'w2', put('g', 'w2'))
    await scene.sleep(2_500)
    scene.calm()
    assert.is((await next).status, 200)
    await scene.sleep(5_000)
    assert.is(effects(scene, 'w1'), 1)
    assert.is(effects(scene, 'w2'), 1)
    assert.is(scene.log().entries.length, 4)
    assert.is((await scene.read('b', 'f')).value, '= w1')
    assert.is((await scene.read('b', 'g')).value, '= w2')
  },
)

rule('who was told not_written is not written later, with others of the batch', async (scene) => {
  await begin(scene)
  scene.always({ operation: 'create' }, courses.refused())
  const waiting = [scene.write('a', 'w0', put('e', 'w0'))]
  const short = scene.write('a', 'w1', put('f', 'w1'), { timeoutMs: 1_000 })
  waiting.push(scene.write('a', 'w2', put('g', 'w2')))
  await fails(short, 'not_written')
  scene.calm()
  for (const { status } of await Promise.all(waiting)) assert.is(status, 200)
  assert.is(effects(scene, 'w1'), 0)
  assert.is(effects(scene, 'w2'), 1)
})

rule(
  'a request whose time runs out in the queue is not_written, and never evaluated',
  async (scene) => {
    await begin(scene)
    let evaluations = 0
    scene.next({ operation: 'create', key: slot(3) }, courses.slowEffect(2_000))
    const busy = scene.write('a', 'w1', put('f', '2'))
    await scene.called({ operation: 'create', key: slot(3) })
    const evaluated = () => void evaluations++
    const short = scene.write('a', 'w2', put('g', '2'), { timeoutMs: 1_000, evaluated })
    await fails(short, 'not_written')
    assert.is((await busy).status, 200)
    await scene.sleep(10_000)
    assert.is(evaluations, 0)
  },
)

rule(
  'who has not looked for a while follows the log before it takes the lock, and creates once',
  async (scene) => {
    await begin(scene)
    for (let at = 0; at < 20; at++) await scene.write('a', `w${at}`, put('f', `${at}`))
    await scene.sleep(2_000)
    assert.is((await scene.write('b', 'late', put('g', '1'))).status, 200)
    assert.is(creates(scene, 3, 'b').length, 0)
    assert.is(creates(scene, 23, 'b').length, 1)
  },
)

rule(
  'a read that finds the entry of another in the slot that its replica is creating applies that one',
  async (scene) => {
    await begin(scene)
    scene.next({ replica: 'a', operation: 'create', key: slot(3) }, courses.slowEffect(50))
    const own = scene.write('a', 'own', put('f', 'own'))
    await scene.called({ replica: 'a', operation: 'create', key: slot(3) })
    assert.is((await scene.write('b', 'other', put('f', 'other'))).status, 200)
    assert.is((await scene.read('a', 'f')).value, '= other')
    assert.is((await own).status, 200)
    assert.is((await scene.read('b', 'f')).value, '= own')
  },
)

rule(
  'an entry holds 64 requests at most; beyond 512 that wait, a write is refused at once',
  async (scene) => {
    await begin(scene)
    const ids = Array.from({ length: 512 }, (_, i) => `w${i}`)
    const writes = ids.map((id) => scene.write('a', id, put('f', id)))
    await fails(scene.write('a', 'more', put('f', 'more')), 'overloaded')
    for (const { status } of await Promise.all(writes)) assert.is(status, 200)
    const sizes = scene.log().entries.map(({ transaction }) => transaction.requests.length)
    assert.ok(Math.max(...sizes) === 64, `${sizes}`)
    assert.is((await scene.read('b', 'f')).value, '= w511')
  },
)

run()
