/** The suite of many schedules. */
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

/** Schedules that meet everything essential. */
const enough = 500

/** Runs schedules one after the other, and prints what they met; the first that fails ends it, with its story. */
export function simulate(options: { title: string; first: number; schedules: number }): void {
  const test = suite(options.title)
  const seed = process.env.SIMULATION_SEED
  const first = Number(seed ?? process.env.SIMULATION_FROM ?? options.first)
  const wanted = Number(process.env.SIMULATION_SCHEDULES ?? options.schedules)
  const schedules = seed === undefined ? wanted : 1

  test('the same seed tells the same story, another one another', async () => {
    const stories = new Set<string>()
    for (let now = first; now < first + 10; now++) {
      const one = await runSchedule(now)
      const again = await runSchedule(now)
      const at = one.story.findIndex((line, index) => line !== again.story[index])
      assert.is(one.digest, again.digest, `they part at ${one.story[at]} / ${again.story[at]}`)
      stories.add(one.digest)
    }
    assert.is(stories.size, 10)
  })

  test(`${schedules} schedules from ${first} are linearizable and leave a sound log`, async () => {
    const counts = new Map<string, number>()
    for (let now = first; now < first + schedules; now++) {
      const result = await runSchedule(now)
      if (result.failures.length > 0 || seed !== undefined) console.log(tale(result.story))
      if (result.failures.length > 0)
        assert.unreachable(
          `SIMULATION_SEED=${now} node dist/test/simulation/simulation.test.js\n${result.failures.join('\n')}`,
        )
      addAll(counts, result.counts)
    }
    console.log(table(counts))
    if (schedules < enough) return
    const missing = essential.filter((name) => !counts.get(name))
    assert.equal(missing, [], 'never met')
  })

  test.run()
}

function tale(story: readonly string[]): string {
  return story.map((line) => line.slice(0, 240)).join('\n')
}

function table(counts: Map<string, number>): string {
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => `${String(count).padStart(9)}  ${name}`)
    .join('\n')
}
