import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type ClusterLog, createClusterLog } from '../../src/cluster/cluster-log.ts'
import { ClusterLogError } from '../../src/cluster/decisions.ts'
import type { ClusterState, Decision } from '../../src/cluster/state.ts'
import { openFileStore } from '../../src/store/file.ts'
import type { Store } from '../../src/store/store.ts'
import { systemClock, systemRandomness } from '../../src/system-clock.ts'
import { away, createFaultyStore, type FaultyStore, lostAnswer } from '../support/faulty-store.ts'
import { makeFolder, removeFolder } from '../support/processes.ts'

const test = suite('the cluster log')

let folder: string
let store: FaultyStore
test.before.each(async () => {
  folder = makeFolder('cluster-log')
  store = createFaultyStore(await openFileStore(folder))
})
test.after.each(async () => {
  await store.close()
  removeFolder(folder)
})

const logOn = (on: Store): ClusterLog =>
  createClusterLog({ store: on, clock: systemClock, random: systemRandomness, build: '0.0.0' })
const expanded = (format: number): Decision => ({ kind: 'expanded', format, formats: [1] })
const forget = (replicaId: string): Decision => ({ kind: 'forget', replicaId })
const key = (seq: number) => `cluster/log/${String(seq).padStart(20, '0')}.json`
const call = { timeoutMs: 5_000 }

test('a decision is one line of JSON that names its predecessor, and others read it', async () => {
  const log = logOn(store)
  await log.append(() => expanded(1))
  await log.append(() => ({ kind: 'target', format: 1, acceptIrreversible: false }))
  const bodies = await Promise.all([1, 2].map((seq) => store.get(key(seq), call)))
  const [first, second] = bodies.map((body) => (body as { body: Buffer }).body.toString('utf8'))
  assert.match(first ?? '', /^\{"version":1,"seq":1,"previous":null,.*"kind":"expanded".*\}\n$/)
  assert.match(second ?? '', /^\{"version":1,"seq":2,"previous":"[0-9a-f]{64}",.*"format":1.*\}\n$/)
  const other = await logOn(store).follow()
  assert.equal(other, log.state)
  assert.is(other.proposed?.seq, 2)
})

test('of many that decide at once each decision stands once, in one order', async () => {
  const logs = Array.from({ length: 6 }, () => logOn(store))
  await Promise.all(logs.map((log, by) => log.append(() => forget(`replica-${by}`))))
  for (const log of logs) await log.follow()
  assert.is(logs[0]?.state.seq, 6)
  assert.is(logs[0]?.state.forgotten.size, 6)
  for (const log of logs) assert.equal(log.state, logs[0]?.state)
})

test('whoever was not the first decides anew, on what the other decided', async () => {
  const [one, two] = [logOn(store), logOn(store)]
  const seen: ClusterState[] = []
  const once = (state: ClusterState) => {
    seen.push(state)
    return state.expanded >= 1 ? null : expanded(1)
  }
  await Promise.all([one.append(once), two.append(once)])
  assert.is((await one.follow()).seq, 1)
  assert.ok(seen.length >= 2)
})

test('a create whose answer was lost is repeated, and is one decision', async () => {
  const log = logOn(store)
  let lost = 2
  store.after = ({ kind }) => {
    if (kind === 'create' && lost-- > 0) lostAnswer()
  }
  const state = await log.append(() => forget('a'))
  assert.is(state.seq, 1)
  const creates = store.calls.filter(({ kind }) => kind === 'create')
  assert.equal(
    new Set(creates.map((one) => one.key)),
    new Set([key(1)]),
    'another slot would be a second decision',
  )
  assert.equal((await logOn(store).follow()).forgotten, new Set(['a']))
})

test('a create that was lost to another, after its answer was lost too, decides anew', async () => {
  const log = logOn(store)
  const other = logOn(await openFileStore(folder))
  let first = true
  store.before = async ({ kind }) => {
    if (kind !== 'create' || !first) return
    first = false
    await other.append(() => forget('theirs'))
    lostAnswer()
  }
  const state = await log.append(({ forgotten }) => forget(forgotten.has('theirs') ? 'mine' : 'no'))
  assert.equal([...state.forgotten], ['theirs', 'mine'])
})

test('an outage is waited for', async () => {
  let failures = 5
  store.before = () => {
    if (failures-- > 0) away()
  }
  assert.is((await logOn(store).append(() => forget('a'))).seq, 1)
})

test('a look that began before a question does not answer it', async () => {
  const log = logOn(store)
  const other = logOn(await openFileStore(folder))
  let decided: Promise<unknown> | undefined
  store.after = async ({ kind }) => {
    if (kind !== 'get' || decided) return
    decided = other.append(() => forget('a'))
    await decided
  }
  const early = log.follow()
  const late = new Promise<ClusterState>((resolve, reject) => {
    const ask = () => {
      if (decided === undefined) setTimeout(ask, 1)
      else decided.then(() => log.follow()).then(resolve, reject)
    }
    ask()
  })
  assert.is((await early).seq, 0)
  assert.is((await late).seq, 1)
})

test('unknown kinds and unknown fields are passed over', async () => {
  const log = logOn(store)
  await log.append(() => expanded(1))
  const previous = (await import('node:crypto'))
    .createHash('sha256')
    .update(((await store.get(key(1), call)) as { body: Buffer }).body)
    .digest('hex')
  const at = '2026-01-01T00:00:00.000Z'
  const fields = { seq: 2, previous, transactionId: 'x', at, build: '9', kind: 'later', more: [1] }
  await store.create(key(2), Buffer.from(`${JSON.stringify(fields)}\n`), call)
  assert.is((await log.follow()).seq, 2)
  assert.is((await log.append(() => expanded(2))).expanded, 2)
})

test('a log that was changed is refused, and says which entry', async () => {
  const log = logOn(store)
  await log.append(() => expanded(1))
  await log.append(() => forget('a'))
  await store.delete(key(1), call)
  await store.create(
    key(1),
    Buffer.from(
      '{"seq":1,"previous":null,"transactionId":"x","at":"","kind":"forget","replicaId":"z"}',
    ),
    call,
  )
  const error = await logOn(store)
    .follow()
    .catch((thrown) => thrown)
  assert.instance(error, ClusterLogError)
  assert.match(error.message, /entry 2 of the cluster log does not follow/)
  await store.put(key(2), Buffer.from('{"seq":2'), call)
  const broken = await logOn(store)
    .follow()
    .catch((thrown) => thrown)
  assert.match(broken.message, /entry 2 of the cluster log cannot be read: it is no JSON/)
})

test.run()
