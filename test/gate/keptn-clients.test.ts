import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { startGateway } from '../http/gateway.ts'
import { waitFor } from '../support/processes.ts'
import { requireServers } from '../support/programs.ts'
import { send } from '../support/send.ts'
import { startService } from '../support/service.ts'
import { startKeptnClients } from './keptn-clients.ts'

const test = suite("Keptn's clients")

test('find what they pinned, and tell where they do not', async () => {
  const service = await startService()
  const gateway = await startGateway(service.port)
  const gatewayUrl = `http://127.0.0.1:${gateway.port}`
  try {
    const options = { gatewayUrl, serviceUrl: service.url, delayMs: 0 }
    const well = await startKeptnClients({ ...options, prefix: 'well' })
    const outcomes = await well.stop()
    assert.equal(
      outcomes.map(({ client }) => client),
      ['evaluation', 'delivery', 'remediation', 'execution'],
    )
    for (const { sequences, pinsRead, failures } of outcomes) {
      assert.equal(failures, [])
      assert.is(sequences, 1)
      assert.is(pinsRead, 2)
    }

    const ill = await startKeptnClients({ ...options, prefix: 'ill', delayMs: 1 })
    const path = '/v1/project/ill-evaluation'
    const slo = `${path}/stage/production/service/carts/resource/slo.yaml`
    const hasSlo = async () =>
      (await send(service.url, { method: 'GET', path: slo })).status === 200
    await waitFor(hasSlo)
    const { status } = await send(service.url, { method: 'DELETE', path })
    assert.is(status, 204)
    const [evaluation] = await ill.stop()
    assert.ok((evaluation?.failures.length ?? 0) > 0)
  } finally {
    await gateway.stop()
    await service.dispose()
  }
})

if (requireServers("Keptn's clients", 'nginx')) test.run()
