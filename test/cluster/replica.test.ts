import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { announcementKey, listAnnouncements } from '../../src/cluster/announcement.ts'
import { away } from '../support/faulty-store.ts'
import { until } from '../support/until.ts'
import { type ClusterBench, openClusterBench, times } from './cluster-bench.ts'

const test = suite('a replica in the cluster')

let bench: ClusterBench
test.before.each(async () => {
  bench = await openClusterBench()
})
test.after.each(() => bench.close())

const isAnnouncement = ({ key }: { key: string }) => key.startsWith('cluster/replicas/')
const isLog = ({ key }: { key: string }) => key.startsWith('cluster/log/')

test('it announces itself first, reads the log second, and is ready third', async () => {
  await bench.expand(1)
  bench.store.calls.length = 0
  const member = bench.member(1)
  assert.is(await member.start(), 'ready')
  const calls = bench.store.calls.filter((call) => isAnnouncement(call) || isLog(call))
  assert.equal(calls[0], { kind: 'put', key: `cluster/replicas/${member.id}.json` })
  assert.is(calls[1]?.kind, 'get')
  assert.ok(isLog(calls[1] as { key: string }))
  const [announced] = await listAnnouncements(bench.store)
  assert.is(announced?.clusterSeq, 1)
  assert.equal(
    [announced?.reads, announced?.writes],
    [
      [1, 1],
      [1, 1],
    ],
  )
  assert.equal([announced?.role, announced?.draining], ['replica', false])
})

test('an announcement that was not acknowledged is none: the log is not read before', async () => {
  await bench.expand(1)
  let failures = 2
  bench.store.before = (call) => {
    if (call.kind === 'put' && isAnnouncement(call) && failures-- > 0) away()
    if (failures > 0 && isLog(call)) throw new Error('read before it was announced')
  }
  const member = bench.member(1)
  assert.is(await member.start(), 'ready')
  assert.match(member.told.join(), 'the store is away')
})

test('a store that nobody expanded it expands before it is ready', async () => {
  await bench.create('p', 1)
  assert.is(await bench.member(2).start(), 'ready')
  assert.is((await bench.runner(2).log.follow()).expanded, 2)
})

test('however many expand at once, there is one clean end', async () => {
  for (const project of ['p', 'q', 'r']) await bench.create(project, 1)
  const members = [bench.member(2), bench.member(2), bench.member(2)]
  const entered = Promise.all(members.map((member) => member.start()))
  const reports = await Promise.all([bench.expand(2), bench.expand(2)])
  assert.equal(await entered, ['ready', 'ready', 'ready'])
  assert.equal(new Set(reports.map(({ verdict }) => verdict)), new Set(['done']))
  const log = bench.runner(2).log
  const state = await log.follow()
  assert.is(state.seq, 1, 'one clean end')
  assert.equal([state.expanded, state.formats], [2, [1]])
})

test('it tells how far it has seen, and goes on with every heartbeat', async () => {
  const member = bench.member(1)
  await member.start()
  await bench.runner(1).log.append(() => ({ kind: 'forget', replicaId: 'x' }))
  await until(async () => (await listAnnouncements(bench.store))[0]?.clusterSeq === 2)
  member.drain()
  await until(async () => (await listAnnouncements(bench.store))[0]?.draining)
})

test('an outage makes it neither unready nor forget to announce itself afterwards', async () => {
  const member = bench.member(1)
  await member.start()
  bench.store.before = () => away()
  await until(() => member.events.includes('announce_failed'))
  bench.store.before = () => {}
  await until(() => member.events.includes('announced'))
  assert.is(member.events.filter((event) => event === 'announce_failed').length, 1)
})

test('it takes its announcement away when it leaves, and writes it no more', async () => {
  const member = bench.member(1)
  await member.start()
  await member.stop()
  // The look for old announcements, once after each start, may still be under way.
  const isWrite = ({ kind }: { kind: string }) => kind === 'put' || kind === 'delete'
  const writes = () =>
    bench.store.calls.filter((call) => isAnnouncement(call) && isWrite(call)).at(-1)?.kind
  assert.is(writes(), 'delete')
  await new Promise((resolve) => setTimeout(resolve, 3 * times.heartbeatMs))
  assert.is(writes(), 'delete')
  assert.equal(await listAnnouncements(bench.store), [])
})

test('a drain that begins during a heartbeat leaves no other heartbeat behind', async () => {
  const member = bench.member(1, { times: { ...times, heartbeatMs: 200 } })
  await member.start()
  const puts = () =>
    bench.store.calls.filter((call) => isAnnouncement(call) && call.kind === 'put').length
  let goOn = () => {}
  const held = new Promise<void>((resolve) => {
    goOn = resolve
  })
  bench.store.before = async (call) => {
    if (isAnnouncement(call) && call.kind === 'put') await held
  }
  const before = puts()
  await until(() => puts() > before)
  member.drain()
  goOn()
  await until(async () => (await listAnnouncements(bench.store))[0]?.draining)
  await member.stop()
  await new Promise((resolve) => setTimeout(resolve, 500))
  assert.equal(await listAnnouncements(bench.store), [])
})

test('while it announces itself it does not leave: no announcement comes after its removal', async () => {
  const member = bench.member(1)
  await member.start()
  let slow = () => {}
  const slowed = new Promise<void>((resolve) => {
    slow = resolve
  })
  let isSlow = false
  bench.store.before = async (call) => {
    if (call.kind !== 'put' || isSlow) return
    isSlow = true
    await slowed
  }
  await until(() => isSlow)
  const left = member.stop()
  await new Promise((resolve) => setTimeout(resolve, times.heartbeatMs))
  slow()
  await left
  await new Promise((resolve) => setTimeout(resolve, 5 * times.heartbeatMs))
  assert.equal(await listAnnouncements(bench.store), [])
})

test('a build that cannot handle what projects have is never ready, says why, and gives up', async () => {
  await bench.expand(2)
  assert.is((await bench.to(2, 2)).verdict, 'done')
  const member = bench.member(1)
  assert.is(await member.start(), 'out-of-range')
  assert.match(member.told.at(-1) ?? '', /projects may have format 2; this build reads format 1/)
  assert.match(member.told.at(-1) ?? '', /run `migrate to 1` with the build that is installed now/)
  assert.equal(await listAnnouncements(bench.store), [], 'nobody has to wait for it')
})

test('a build that skips a version is never ready, and says what to do', async () => {
  await bench.expand(1)
  const member = bench.member(3)
  assert.is(await member.start(), 'out-of-range')
  assert.match(member.told.at(-1) ?? '', /a version was skipped.*`migrate to 2` before this one/)
})

test('a target that is only proposed keeps it out too; withdrawn, it becomes ready', async () => {
  await bench.expand(2)
  const { log } = bench.runner(2)
  await log.append(() => ({ kind: 'target', format: 2, acceptIrreversible: false }))
  const member = bench.member(1, { times: { ...times, patienceMs: 60_000 } })
  const entered = member.start()
  await until(() => member.told.some((text) => /format 2 is the target/.test(text)))
  await log.append(() => ({ kind: 'withdrawn', format: 2, because: 'a test' }))
  assert.is(await entered, 'ready')
  const [announced, ...others] = await listAnnouncements(bench.store)
  assert.equal(others, [])
  assert.is.not(announced?.replicaId, member.id, 'a late removal of the first must not remove it')
})

test('a replica that serves goes on when the cluster leaves its range', async () => {
  const member = bench.member(1)
  await member.start()
  const { log } = bench.runner(2)
  await log.append(() => ({ kind: 'target', format: 2, acceptIrreversible: false }))
  await log.append(() => ({ kind: 'agreed', format: 2 }))
  await until(() => member.events.includes('out_of_range'))
  await bench.create('p', 1)
  const { value } = await member.repositories.read('p' as never, async (view) => view.format, {
    timeoutMs: 5_000,
  })
  assert.is(value, 1)
})

test('a store that must not be written to is served from, unexpanded', async () => {
  await bench.create('p', 1)
  const member = bench.member(2, { unfit: 'it does not keep its contract' })
  assert.is(await member.start(), 'ready')
  assert.is((await bench.runner(2).log.follow()).seq, 0)
})

test('the end of the program ends the waiting', async () => {
  bench.store.before = () => away()
  const member = bench.member(1)
  const entered = member.start()
  await until(() => member.told.length > 0)
  bench.store.before = () => {}
  await member.stop()
  assert.is(await entered, 'ended')
})

test('what killed replicas announced is taken away once it blocks nobody, by the next one that starts', async () => {
  for (const id of ['gone', 'silent', 'back']) await bench.announce(id, 1)
  bench.older.set('gone', times.blocksMs + 1)
  bench.older.set('silent', times.blocksMs - 60_000)
  bench.older.set('back', times.blocksMs + 1)
  let reads = 0
  bench.store.before = ({ kind, key }) => {
    // It is heard from again between the list and its turn.
    if (kind === 'get' && key === announcementKey('back') && ++reads === 2) {
      bench.older.delete('back')
    }
  }
  const member = bench.member(1)
  assert.is(await member.start(), 'ready')
  await until(() => member.events.includes('announcements_swept'))
  const left = (await listAnnouncements(bench.store)).map(({ replicaId }) => replicaId)
  assert.equal(left, ['back', member.id, 'silent'])
})

test('a store that must not be written to is not swept', async () => {
  await bench.announce('gone', 1)
  bench.older.set('gone', times.blocksMs + 1)
  assert.is(await bench.member(1, { unfit: 'broken' }).start(), 'ready')
  assert.not.ok(bench.store.calls.some(({ kind }) => kind === 'delete'))
})

test('one that was held back for so long that it may be swept comes back under another name', async () => {
  const member = bench.member(1, { times: { ...times, blocksMs: 1_000 } })
  await member.start()
  let isHeld = true
  bench.store.before = async (call) => {
    if (!isHeld || call.kind !== 'put' || !isAnnouncement(call)) return
    isHeld = false
    await new Promise((resolve) => setTimeout(resolve, 800))
  }
  await until(async () => {
    const left = (await listAnnouncements(bench.store)).map(({ replicaId }) => replicaId)
    return left.length === 1 && left[0]?.startsWith(`${member.id}.`)
  })
  await member.stop()
  assert.equal(await listAnnouncements(bench.store), [])
})

test.run()
