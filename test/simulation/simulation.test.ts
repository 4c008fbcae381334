/**
 * The real repository in virtual worlds. `npm run simulate -- --seed n` tells one world's story, and `npm run simulate` lives through
 * 10,000 of them.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { addAll } from './counts.ts'
import { runSchedule } from './schedule.ts'

/** What many schedules have to meet, or they prove less than they say. */
const essential = [
  'create lost',
  'create answer lost',
  'create late',
  'create twice',
  'create repeated beneath',
  'create conflict',
  'create error before',
  'create error after',
  'create outage',
  'create slow',
  'get hangs',
  'get reset',
  'get slow',
  'get outage',
  'list error',
  'list hangs',
  'list torn',
  'pack spilled',
  'lock held',
  'lock busy',
  'lock down',
  'batch of 1',
  'batch of 2',
  'batch of 3',
  'batch of 4',
  'commit_conflicts_total',
  'commit_ambiguous_total',
  'store_probe_hedges_total',
  'checkpoint_written',
  'replica killed',
  'replica held',
  'replica suspended',
  'write repeated with its key',
  'write gone',
  'write outcome_unknown',
  'write not_written',
  'write answered 200',
  'write answered 201',
  'write answered 204',
  'write answered 404',
  'write answered 409',
  'write answered 412',
  'undelete done',
  'cluster',
  'replica ready',
  'expand done',
  'to done',
  'to failed',
  'stage done',
  'unstage done',
  'project_converted',
  'restarted with its cache',
  'restarted without its cache',
  'cache file flipped',
  'checkpoint object flipped',
  'clock jumped',
  'tail lost',
  'read stale',
  'read old',
  'read as of a commit',
]

/** So many, from this one on, meet everything essential. */
const schedules = 500
const firstSeed = 501

const test = suite('simulation')

test('the same seed tells the same story, another one another', async () => {
  const stories = new Set<string>()
  for (let seed = 1; seed <= 10; seed++) {
    const one = await runSchedule(seed)
    const again = await runSchedule(seed)
    const at = one.story.findIndex((line, index) => line !== again.story[index])
    assert.is(one.digest, again.digest, `they part at ${one.story[at]} / ${again.story[at]}`)
    stories.add(one.digest)
  }
  assert.is(stories.size, 10)
})

test(`${schedules} schedules are linearizable and leave a sound log`, async () => {
  const counts = new Map<string, number>()
  for (let seed = firstSeed; seed < firstSeed + schedules; seed++) {
    const result = await runSchedule(seed)
    const { failures } = result
    assert.equal(failures, [], `npm run simulate -- --seed ${seed}\n${failures.join('\n')}`)
    addAll(counts, result.counts)
  }
  const missing = essential.filter((name) => !counts.get(name))
  assert.equal(missing, [], 'never met')
})

test.run()
