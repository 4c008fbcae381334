import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { planOf } from '../gate/plan.ts'
import { runPlan } from '../gate/run-plan.ts'
import { sumOf } from '../gate/write-report.ts'
import { drawSeed } from '../support/chance.ts'
import { requireServers } from '../support/servers.ts'

const test = suite('the gate')

if (requireServers('the gate', 'minio', 'redis-server', 'nginx', 'git')) {
  test('its short run, in both modes, fails nothing and loses nothing', async () => {
    const asked = planOf([])
    if (!('plan' in asked)) throw new Error('no flag is a short run')
    const { runs, failures } = await runPlan(asked.plan, {
      seed: drawSeed('gate'),
      say: (line) => console.log(line),
    })
    assert.equal(failures, [])
    for (const run of runs) assert.equal(run.failures, [])
    const { replacements, requests } = sumOf(runs)
    assert.ok(replacements >= 36, `${replacements} replacements`)
    assert.ok(requests >= 10_000, `${requests} requests`)
  })
}

test.run()
