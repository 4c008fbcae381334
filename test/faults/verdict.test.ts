/** The judge of the faults is tried on journals of runs that broke a promise: what it does not see, no campaign shows. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { checkFiles, checkLog, type Journal, newJournal, type Write } from '../long/journal.ts'
import { createOutages } from '../long/outages.ts'
import { measureRecovery } from './recovery.ts'
import { failuresOf, markdownOf } from './report.ts'
import { judge, type Row, type Seen } from './verdict.ts'

const test = suite('the judge of the faults')

const times = { read: 10, write: 20, 'keyed write': 30 }
const good = { times, everywhereMs: 40 }

function write(id: string, invokedAt: number, more: Partial<Write> = {}): Write {
  return {
    id,
    project: 'p',
    file: 'f',
    keyed: true,
    invokedAt,
    returnedAt: invokedAt + 5,
    commit: `commit of ${id}`,
    refused: false,
    sends: 1,
    ...more,
  }
}

/** Two writes one after the other, and a read that saw the second. */
function wellKept(): Journal {
  const journal = newJournal()
  journal.writes.push(write('write 1', 0), write('write 2', 10))
  journal.reads.push({
    id: 'read 3',
    project: 'p',
    file: 'f',
    saw: 'write 2',
    invokedAt: 20,
    returnedAt: 25,
  })
  journal.counts.set('keyed write: 200', 2).set('read: 200', 1)
  return journal
}

/** What the log holds of such a journal. */
function logOf({ writes }: Journal) {
  return {
    messages: new Map(writes.map(({ id }) => [id, 1])),
    commits: new Map(writes.map(({ id }) => [`commit of ${id}`, id])),
    keys: new Map(writes.map(({ id }) => [id, 1])),
    faults: [] as string[],
  }
}

function judged(journal: Journal, log = logOf(journal), more: Partial<Seen> = {}): Row {
  return judge({
    kind: 'kind',
    title: 'a kind',
    faults: 1,
    journal,
    findings: [...checkFiles(journal), ...checkLog(journal, 'p', log)],
    outages: { ofOneMs: 1_234.5, ofAllMs: 99 },
    recoveries: [good],
    ...more,
  })
}

test('where everything was kept it is green, and counts', () => {
  const { title, ...row } = judged(wellKept())
  assert.is(title, 'a kind')
  assert.equal(row, {
    kind: 'kind',
    faults: 1,
    requests: 3,
    acknowledged: 2,
    lost: 0,
    doubled: 0,
    stale: 0,
    outageMs: 1_235,
    outageOfAllMs: 99,
    recoveryMs: times,
    everywhereMs: 40,
    answers: { 'keyed write: 200': 2, 'read: 200': 1 },
    failures: [],
  })
})

test('a write that was acknowledged and is not in the log is lost', () => {
  const journal = wellKept()
  const log = logOf(journal)
  log.messages.delete('write 1')
  log.commits.delete('commit of write 1')
  const { lost, failures } = judged(journal, log)
  assert.is(lost, 1)
  assert.equal(failures, ['lost: write 1 was acknowledged, and is lost'])
})

test('a write that nobody was told of may be in the log or not', () => {
  const journal = wellKept()
  const { commit: _commit, ...unknown } = write('write 4', 30, {
    returnedAt: Number.POSITIVE_INFINITY,
  })
  journal.writes.push(unknown)
  const without = logOf(wellKept())
  assert.equal(judged(journal, without).failures, [])
  assert.equal(judged(journal).failures, [])
})

test('a write that took effect twice is doubled', () => {
  const journal = wellKept()
  const log = logOf(journal)
  log.messages.set('write 2', 2)
  assert.is(judged(journal, log).doubled, 1)
  const twiceBound = logOf(journal)
  twiceBound.keys.set('write 2', 2)
  assert.is(judged(journal, twiceBound).doubled, 1)
})

test('a read that saw what was overwritten before it began is stale', () => {
  const journal = wellKept()
  journal.reads.push({
    id: 'read 5',
    project: 'p',
    file: 'f',
    saw: 'write 1',
    invokedAt: 40,
    returnedAt: 45,
  })
  const { stale, failures } = judged(journal)
  assert.is(stale, 1)
  assert.match(failures[0] ?? '', /^stale: p\/f: .*write 1/)
})

test('a write that was "not written" and is in the log, and a commit that is another one, are red', () => {
  const journal = wellKept()
  Object.assign(journal.writes[0] as Write, { refused: true, returnedAt: Number.POSITIVE_INFINITY })
  assert.match(judged(journal).failures.join(), /untrue: write 1 was "not written"/)
  const other = wellKept()
  Object.assign(other.writes[0] as Write, { commit: 'commit of write 2' })
  const log = logOf(wellKept())
  assert.match(judged(other, log).failures.join(), /untrue: write 1 was answered commit of write 2/)
})

test('answers that must never be, and writes that are never answered, are red', () => {
  const journal = wellKept()
  journal.violations.push('write 1 was answered 500')
  journal.counts.set('keyed write given up', 1)
  const { requests, failures } = judged(journal)
  assert.is(requests, 3)
  assert.equal(failures, [
    'answer: write 1 was answered 500',
    'answer: 1 keyed writes were never answered',
  ])
})

test('the worst of all rounds is judged, for each kind of request', () => {
  const late = { times: { ...times, write: 2_001 }, everywhereMs: 5_000 }
  const never = { ...good, times: { ...times, 'keyed write': Number.POSITIVE_INFINITY } }
  const row = judged(wellKept(), undefined, { recoveries: [late, good, never] })
  assert.equal(row.recoveryMs, { read: 10, write: 2_001, 'keyed write': null })
  assert.is(row.everywhereMs, 5_000)
  assert.equal(row.failures, [
    'recovery: a write was answered well 2001 ms after a fault, must 2000 ms',
    'recovery: a keyed write was answered well never again, must 2000 ms',
  ])
})

test('a run without load proves nothing', () => {
  const journal = newJournal()
  assert.equal(judged(journal).failures, [
    'load: nothing was read',
    'load: nothing was acknowledged',
  ])
})

test('the report names each failure with its kind, and what was not run', () => {
  const journal = wellKept()
  journal.violations.push('write 1 was answered 500')
  const campaign = {
    rows: [judged(journal)],
    notRun: [{ kind: 'other', reason: 'it takes root' }],
    seed: 7,
    words: ['--report', 'somewhere', '--short', '--seed', '7'],
    seconds: 90,
  }
  assert.equal(failuresOf(campaign), ['kind: answer: write 1 was answered 500'])
  assert.equal(failuresOf({ rows: [], endedEarly: 'it ended early' }), ['it ended early'])
  const text = markdownOf(campaign)
  assert.match(text, '`npm run faults -- --short --seed 7`')
  assert.match(text, '**red**')
  assert.match(
    text,
    '| a kind | 1 | 3 | 2 | 0 | 0 | 0 | 1.24 s | 0.10 s | 0.01 s | 0.02 s | 0.03 s | 0.04 s |',
  )
  assert.match(text, 'Not run: other: it takes root.')
})

test('an outage lasts from the first request of a client to its next good answer', () => {
  let now = 0
  const outages = createOutages(() => now)
  const at = (ms: number, step: () => void) => {
    now = ms
    step()
  }
  at(0, () => outages.begin(1))
  at(10, () => outages.end(1))
  at(100, () => outages.begin(1))
  at(150, () => outages.begin(2))
  at(200, () => outages.begin(1))
  at(300, () => outages.end(2))
  at(400, () => outages.end(1))
  assert.is(outages.ofOneMs, 300)
  assert.is(outages.ofAllMs, 290)
  at(500, () => outages.begin(3))
  outages.close()
  at(2_500, () => outages.end(3))
  assert.is(outages.ofOneMs, 2_000)
  assert.is(outages.ofAllMs, 290)
})

test('recovery is the first good answer to a request that was sent after the fault', async () => {
  const startedMs = performance.now()
  const { times, everywhereMs, settled } = await measureRecovery(
    async (kind, replica) => {
      await new Promise((resolve) => setTimeout(resolve, 5))
      const passedMs = performance.now() - startedMs
      return replica === 'late' ? passedMs > 300 : kind !== 'write' || passedMs > 200
    },
    ['good', 'late'],
  )
  await settled
  assert.ok(times.read < 100, `${times.read}`)
  assert.ok(times.write >= 200 && times.write < 300, `${times.write}`)
  assert.ok(everywhereMs >= 300 && everywhereMs < 600, `${everywhereMs}`)
})

test.run()
