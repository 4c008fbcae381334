import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { encodeAnnouncement, listAnnouncements } from '../../src/cluster/announcement.ts'
import { createClusterLog } from '../../src/cluster/cluster-log.ts'
import {
  clusterLogKey,
  decodeClusterEntry,
  encodeClusterEntry,
} from '../../src/cluster/decisions.ts'
import type { Decision } from '../../src/cluster/state.ts'
import { openFileStore } from '../../src/store/file.ts'
import type { Store } from '../../src/store/store.ts'
import { systemClock, systemRandomness } from '../../src/system-clock.ts'
import { list } from '../git/replay.ts'
import { makeFolder, removeFolder } from '../support/processes.ts'
import { repositoryRoot } from '../support/programs.ts'

const test = suite('the golden files of a cluster')

const fixtures = join(repositoryRoot, 'test/fixtures/cluster')
const entries = list(join(fixtures, 'log')).map((path) => readFileSync(path))
const soon = { timeoutMs: 5_000 }

let folder: string
let store: Store
test.before.each(async () => {
  folder = makeFolder('cluster-golden')
  store = await openFileStore(folder)
})
test.after.each(async () => {
  await store.close()
  removeFolder(folder)
})

test('a decision that was read is written again as it was', () => {
  const kinds = new Set<string>()
  for (const [at, bytes] of entries.entries()) {
    const entry = decodeClusterEntry(at + 1, bytes)
    const said = JSON.parse(bytes.toString()) as { later?: unknown }
    if (entry.decision === null || said.later !== undefined) continue
    kinds.add(entry.decision.kind)
    const again = encodeClusterEntry({ ...entry, decision: entry.decision as Decision })
    const asNow = bytes.toString().replace('{"version":0,', '{"version":1,')
    assert.is(again.toString(), asNow)
  }
  assert.is(kinds.size, 7, 'each kind that there is')
})

test('what was decided is known, and the log goes on', async () => {
  for (const [at, bytes] of entries.entries()) {
    await store.create(clusterLogKey(at + 1), bytes, soon)
  }
  const options = { store, clock: systemClock, random: systemRandomness, build: '9.9.9' }
  const log = createClusterLog(options)
  assert.equal(await log.follow(), {
    seq: 12,
    expanded: 2,
    proposed: { format: 1, seq: 12, at: '2026-11-21T12:11:00.007Z', acceptIrreversible: false },
    agreed: {
      format: 2,
      seq: 7,
      at: '2026-11-21T12:06:00.007Z',
      acceptIrreversible: true,
      reached: true,
    },
    formats: [2],
    forgotten: new Set(['replica-7']),
  })
  await log.append(() => ({ kind: 'agreed', format: 1 }))
  const other = await createClusterLog(options).follow()
  assert.equal([other.seq, other.agreed?.format, other.formats], [13, 1, [1, 2]])
})

test('what replicas announced is known', async () => {
  for (const path of list(join(fixtures, 'replicas'))) {
    await store.put(`cluster/replicas/${basename(path)}`, readFileSync(path), soon)
  }
  const found = await listAnnouncements(store)
  assert.equal(
    found.map(({ replicaId, role, build, reads, draining }) => [
      replicaId,
      role,
      build,
      reads[1],
      draining,
    ]),
    [
      ['job', 'migrate', '0.4.0', 2, false],
      ['of-0.1', 'replica', '0.1.0', 1, true],
      ['of-0.4', 'replica', '0.4.0', 2, false],
    ],
  )
  assert.equal(found[2]?.stopped, [{ project: 'sockshop', applied: 17 }])
  assert.equal(found[2]?.recent, ['sockshop', 'Ü project'])
  assert.equal([found[1]?.stopped, found[1]?.recent], [[], []])
  const { ageMs: _, ...said } = found[0] as (typeof found)[number]
  const job = readFileSync(join(fixtures, 'replicas/job.json'))
  assert.equal(encodeAnnouncement(said).toString(), job.toString())
})

test.run()
