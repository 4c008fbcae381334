/** Section 5 of docs/design.md: how fresh a read is. */
import * as assert from 'uvu/assert'
import { courses, type Scene, slot } from '../simulation/scene.ts'
import { begin, create, drop, fails, gets, put, rulesOf } from './rules.ts'

const { rule, run } = rulesOf('how fresh a read is')

rule('a read uses no probe that was running when it came', async (scene) => {
  await begin(scene)
  scene.next({ replica: 'b', operation: 'get', key: slot(3) }, courses.slowAnswer(15))
  const early = scene.read('b', 'f')
  await scene.called({ replica: 'b', operation: 'get', key: slot(3) })
  await scene.sleep(1.5)
  await scene.write('a', 'w1', put('f', '2'))
  assert.is((await scene.read('b', 'f')).value, '= 2')
  await early
})

rule('reads that arrive during a probe share the next one', async (scene) => {
  await begin(scene)
  const before = gets(scene, 3, 'b')
  const reads = [scene.read('b', 'f')]
  await scene.called({ replica: 'b', operation: 'get', key: slot(3) })
  for (let i = 0; i < 50; i++) reads.push(scene.read('b', 'f'))
  for (const { value } of await Promise.all(reads)) assert.is(value, '= 1')
  assert.is(gets(scene, 3, 'b') - before, 2)
})

/** Replica a can ask for slot 3 no more: three probes are on their way, and will not be answered. */
async function silenceProbes(scene: Scene): Promise<ReturnType<Scene['read']>[]> {
  scene.always({ replica: 'a', operation: 'get', key: slot(3) }, courses.hangs())
  scene.always({ replica: 'a', operation: 'list' }, courses.hangs())
  const reads: ReturnType<Scene['read']>[] = []
  for (let n = 0; n < 3; n++) {
    reads.push(scene.read('a', 'f'))
    await scene.sleep(40)
  }
  return reads
}

rule('what a replica creates answers those who asked it before', async (scene) => {
  await begin(scene)
  const reads = await silenceProbes(scene)
  const startedMs = scene.world.nowMs()
  reads.push(scene.read('a', 'f'))
  await scene.sleep(5)
  scene.next({ replica: 'a', operation: 'create', key: slot(3) }, courses.slowAnswer(10))
  const writing = scene.write('a', 'w3', put('f', '3'))
  await scene.called({ replica: 'a', operation: 'create', key: slot(3) })
  await scene.sleep(1)
  // Who asks now is answered by another; those before are not kept waiting with them.
  const late = scene.read('a', 'f')
  for (const { value, proof } of await Promise.all(reads)) {
    assert.equal([value, proof.stale], ['= 3', false])
  }
  assert.ok(scene.world.nowMs() - startedMs < 50, `${scene.world.nowMs() - startedMs} ms`)
  await writing
  scene.calm()
  assert.is((await late).value, '= 3')
})

rule('what a replica creates answers nobody who asked after its creation began', async (scene) => {
  await begin(scene)
  const reads = await silenceProbes(scene)
  scene.next({ replica: 'a', operation: 'create', key: slot(3) }, courses.refused())
  scene.next({ replica: 'a', operation: 'create', key: slot(3) }, courses.slowAnswer(15))
  const writing = scene.write('a', 'w3', put('f', '3'))
  await scene.called({ replica: 'a', operation: 'create', key: slot(3) })
  // It will be sent again: who asks before that, and who asks after it, wait together.
  await scene.sleep(2)
  reads.push(scene.read('a', 'f'))
  await scene.called({ replica: 'a', operation: 'create', key: slot(3) })
  await scene.sleep(2)
  await scene.write('b', 'w4', put('f', '4'))
  const late = scene.read('a', 'f')
  await writing
  scene.calm()
  assert.is((await late).value, '= 4')
  await Promise.all(reads)
})

rule('a probe beside a creation looks at once behind what it may find', async (scene) => {
  await begin(scene)
  scene.next({ replica: 'a', operation: 'create', key: slot(3) }, courses.slowAnswer(15))
  const writing = scene.write('a', 'w3', put('f', '3'))
  await scene.called({ replica: 'a', operation: 'create', key: slot(3) })
  await scene.sleep(2)
  assert.is((await scene.read('a', 'f')).value, '= 3')
  assert.equal([gets(scene, 4, 'a'), gets(scene, 5, 'a')], [1, 0])
  await writing
})

rule('a probe that is slow is hedged by LIST', async (scene) => {
  await begin(scene)
  scene.always({ replica: 'b', operation: 'get', key: slot(3) }, courses.hangs())
  const startedMs = scene.world.nowMs()
  assert.is((await scene.read('b', 'f')).value, '= 1')
  assert.ok(scene.world.nowMs() - startedMs < 50, `${scene.world.nowMs() - startedMs} ms`)
})

rule(
  'a slow probe does not keep the next one from starting; 3 are in flight at most',
  async (scene) => {
    await begin(scene)
    scene.always({ replica: 'b', operation: 'list' }, courses.hangs())
    for (let i = 0; i < 2; i++)
      scene.next({ replica: 'b', operation: 'get', key: slot(3) }, courses.hangs())
    const before = gets(scene, 3, 'b')
    const slow = [scene.read('b', 'f', { timeoutMs: 4_000 }).catch(() => null)]
    await scene.sleep(40)
    slow.push(scene.read('b', 'f', { timeoutMs: 4_000 }).catch(() => null))
    await scene.sleep(40)
    const startedMs = scene.world.nowMs()
    assert.is((await scene.read('b', 'f')).value, '= 1')
    assert.ok(scene.world.nowMs() - startedMs < 50, `${scene.world.nowMs() - startedMs} ms`)
    scene.always({ replica: 'b', operation: 'get', key: slot(3) }, courses.hangs())
    for (let i = 0; i < 20; i++) {
      slow.push(scene.read('b', 'f', { timeoutMs: 4_000 }).catch(() => null))
      await scene.sleep(40)
    }
    assert.ok(gets(scene, 3, 'b') - before <= 4, `${gets(scene, 3, 'b') - before} probes`)
    await Promise.all(slow)
  },
)

rule('who comes late to those who wait for a probe has a time of its own', async (scene) => {
  await begin(scene)
  for (let n = 2; n < 5; n++) await scene.write('a', `w${n}`, put('f', `${n}`))
  scene.always({ replica: 'b' }, courses.slowAnswer(4_000))
  const first = [0, 1, 2].map(async (n) => {
    await scene.sleep(40 * n)
    return scene.read('b', 'f', { timeoutMs: 25_000 })
  })
  await scene.sleep(200)
  const before = scene.read('b', 'f', { timeoutMs: 25_000 })
  await scene.sleep(4_300)
  const late = scene.read('b', 'f', { timeoutMs: 25_000 })
  assert.is((await before).proof.stale, true, 'no probe began for 5 s')
  const { value, proof } = await late
  assert.equal([value, proof.stale], ['= 4', false])
  await Promise.all(first)
})

rule('a read beside a busy writer does not chase it', async (scene) => {
  await begin(scene)
  let over = false
  const busy = (async () => {
    for (let i = 0; !over; i++) await scene.write('a', `w${i}`, put('g', `${i}`))
  })()
  for (let i = 0; i < 10; i++) {
    const before = scene.calls({ replica: 'b' }).length
    const startedMs = scene.world.nowMs()
    await scene.read('b', 'f')
    const tookMs = scene.world.nowMs() - startedMs
    assert.ok(tookMs < 20, `${tookMs} ms`)
    assert.ok(scene.calls({ replica: 'b' }).length - before < 20)
    await scene.sleep(30)
  }
  over = true
  await busy
})

rule('what others wrote since the last read is fetched without a list', async (scene) => {
  await begin(scene)
  await scene.read('b', 'f')
  const lists = () => scene.calls({ replica: 'b', operation: 'list' }).length
  const before = lists()
  for (let n = 1; n <= 4; n++) {
    for (let i = 0; i < n; i++) await scene.write('a', `w${n}.${i}`, put('f', `${n}.${i}`))
    assert.is((await scene.read('b', 'f')).value, `= ${n}.${n - 1}`)
  }
  assert.is(lists(), before)
})

rule(
  'of slots that are looked at together nothing counts behind one that was absent',
  async (scene) => {
    await begin(scene)
    await scene.write('a', 'w3', put('f', '3'))
    scene.next({ replica: 'b', operation: 'get', key: slot(5) }, courses.slowEffect(12))
    const reading = scene.read('b', 'f')
    await scene.sleep(3)
    for (const n of [4, 5]) await scene.write('a', `w${n}`, put('f', `${n}`))
    assert.is((await reading).value, '= 3')
    assert.is((await scene.read('b', 'f')).value, '= 5')
  },
)

rule('a failure of the store is never absence', async (scene) => {
  await begin(scene)
  scene.always({ replica: 'b' }, courses.error())
  await fails(scene.read('b', 'g', { timeoutMs: 3_000 }), 'store_unavailable')
  scene.replicas.restart('c')
  scene.always({ replica: 'c' }, courses.error())
  await fails(scene.read('c', 'f', { timeoutMs: 3_000 }), 'store_unavailable')
})

rule('while the bucket is away a file at hand is answered and says its age', async (scene) => {
  await begin(scene)
  scene.always({}, courses.hangs())
  await scene.sleep(20_000)
  const { value, proof } = await scene.read('a', 'f')
  assert.is(value, '= 1')
  assert.is(proof.stale, true)
  assert.ok(proof.ageSeconds >= 24 && proof.ageSeconds <= 26, `${proof.ageSeconds} s`)
  await fails(scene.read('a', 'g'), 'store_unavailable')
  await fails(scene.read('a', 'f', { mayBeStale: false }), 'store_unavailable')
  await fails(scene.write('a', 'w1', put('f', '2'), { timeoutMs: 8_000 }), 'not_written')
  await scene.sleep(300_000)
  await fails(scene.read('a', 'f'), 'store_unavailable')
  scene.calm()
  assert.is((await scene.read('a', 'f')).proof.stale, false)
})

rule('a read is answered within its time', async (scene) => {
  await begin(scene)
  scene.always({ replica: 'b' }, courses.hangs())
  const startedMs = scene.world.nowMs()
  await fails(scene.read('b', 'f', { timeoutMs: 100 }), 'store_unavailable')
  assert.ok(scene.world.nowMs() - startedMs < 150, `${scene.world.nowMs() - startedMs} ms`)
})

rule(
  'a probe that was under way while the machine slept proves what it saw before',
  async (scene) => {
    await begin(scene)
    scene.next({ replica: 'a', operation: 'get', key: slot(3) }, courses.slowAnswer(10))
    const probed = scene.read('a', 'f')
    await scene.called({ replica: 'a', operation: 'get', key: slot(3) })
    await scene.sleep(5)
    scene.replicas.hold(scene.replica('a'), 60_000, true)
    await scene.write('b', 'w1', put('f', '2'))
    await probed
    assert.is((await scene.read('a', 'f', { maxStaleSeconds: 5 })).value, '= 2')
  },
)

rule('a read that may be old asks nobody, and says its age', async (scene) => {
  await begin(scene)
  await scene.sleep(3_000)
  const before = scene.store.calls.length
  const { proof } = await scene.read('a', 'f', { maxStaleSeconds: 60 })
  assert.is(scene.store.calls.length, before)
  assert.is(proof.ageSeconds, 3)
  await scene.write('b', 'w1', put('f', '2'))
  assert.is((await scene.read('a', 'f', { maxStaleSeconds: 2 })).value, '= 2')
})

rule('a slot that was won long ago and is read now proves no newer state', async (scene) => {
  await begin(scene)
  // It breaks before it would be sent again beside itself, so that there is a second attempt.
  scene.next({ operation: 'create', key: slot(3) }, courses.answerLost(900))
  const slow = scene.write('a', 'w1', put('g', '1'))
  await scene.sleep(100)
  await scene.write('b', 'w2', put('f', '2'))
  await slow
  assert.is((await scene.read('a', 'f', { maxStaleSeconds: 0.5 })).value, '= 2')
})

rule('a read as of a commit needs no probe, and ends with its incarnation', async (scene) => {
  await begin(scene)
  const { commit } = await scene.write('a', 'w1', put('f', '2'))
  assert.ok(commit)
  await scene.write('a', 'w2', put('f', '3'))
  const before = scene.store.calls.length
  assert.is(await scene.readAt('a', commit, 'f'), '= 2')
  assert.is(scene.store.calls.length, before)
  assert.is(await scene.readAt('b', commit, 'f'), '= 2')
  await scene.write('a', 'w3', drop)
  await scene.write('a', 'w4', create)
  assert.is(await scene.readAt('a', commit, 'f'), 'commit_not_found')
})

rule(
  'a machine that was suspended knows how old an answer is, though its wall clock was set back',
  async (scene) => {
    await begin(scene)
    scene.always({}, courses.refused())
    scene.replicas.hold(scene.replica('a'), 400_000, true)
    scene.replica('a').actor.wallErrorMs = -3_600_000
    await scene.sleep(400_100)
    await fails(scene.read('a', 'f'), 'store_unavailable')
  },
)

run()
