import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { runGate } from '../gate/gate.ts'
import { rolls } from '../gate/scenarios.ts'
import { drawSeed } from '../support/chance.ts'
import { requireServers } from '../support/servers.ts'

const test = suite('the small gate')

if (requireServers('the small gate', 'minio', 'redis-server', 'nginx')) {
  test('12 rolls of three replicas between N-1 and N under load fail nothing and lose nothing', async () => {
    const report = await runGate({ scenario: rolls(12), perSecond: 60, seed: drawSeed('gate') })
    console.log(report.text)
    assert.equal(report.failures, [])
    // Every replaced replica, and the last three.
    assert.is(report.replacements, 13 * 3)
  })
}

test.run()
