/** docs/gateway.md on a real nginx: what its location block lets through, and what its recipe does for a roll of the gateway. */
import { once } from 'node:events'
import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { send } from '../support/send.ts'
import { requireServers, type Server, startNginx } from '../support/servers.ts'
import { gatewayConfig, startGateway } from './gateway.ts'
import { recipeSettings, rollGateways } from './gateway-roll.ts'

const test = suite('docs/gateway.md')
let service: HttpServer
let gateway: Server
let reached: string[] = []

test.before(async () => {
  service = createServer((request, response) => {
    reached.push(`${request.url}`)
    response.end()
  }).listen(0, '127.0.0.1')
  await once(service, 'listening')
  gateway = await startGateway(portOf(service))
})
test.after(async () => {
  await gateway?.stop()
  service?.close()
})
test.before.each(() => {
  reached = []
})

const portOf = (server: HttpServer) => (server.address() as AddressInfo).port
const get = (port: number, path: string) =>
  send(`http://127.0.0.1:${port}`, { method: 'GET', path })

const names = ['resource-service', 'configuration-service']

test('resources are reached under both names, without the prefix and otherwise as they are', async () => {
  for (const name of names) {
    for (const path of [
      '/v1/project/p/resource',
      '/v1/project/p/resource/a%252Fb.yaml?gitCommitID=x',
      '/v1/project/p/stage/s/resource/a.yaml',
      '/v1/project/p/stage/s/service/x/resource',
      '/v1/project/p/stage/s/service/x/resource/a.yaml',
      '/swagger-ui/swagger.yaml',
    ]) {
      reached = []
      assert.is((await get(gateway.port, `/api/${name}${path}`)).status, 200, path)
      assert.equal(reached, [path])
    }
  }
})

test('projects, stages and services are not', async () => {
  for (const name of names) {
    for (const path of [
      '/v1/project',
      '/v1/project/',
      '/v1/project/p',
      '/v1/project?pageSize=1',
      '/v1/project/p/stage',
      '/v1/project/p/stage/s',
      '/v1/project/p/stage/s/service',
      '/v1/project/p/stage/s/service/x',
      '/v1/project/p/service/x/resource',
      '/v1/project/p/service/x/resource/a.yaml',
    ]) {
      assert.is((await get(gateway.port, `/api/${name}${path}`)).status, 403, path)
    }
  }
  assert.equal(reached, [])
})

test('nothing is reached without authentication; one that is down is told as 429', async () => {
  for (const [answer, status] of [
    [401, 401],
    [500, 429],
  ] as const) {
    const config = (port: number) =>
      gatewayConfig(port, `127.0.0.1:${portOf(service)}`).replace('return 204', `return ${answer}`)
    const strict = await startNginx(config)
    const path = '/api/resource-service/v1/project/p/resource'
    assert.is((await get(strict.port, path)).status, status)
    await strict.stop()
  }
  assert.equal(reached, [])
})

test('a roll of two gateways that keep to the recipe fails nothing', async () => {
  const { requests, failures } = await rollGateways({
    settings: recipeSettings(),
    rounds: 2,
    perSecond: 200,
  })
  assert.equal(failures, [])
  assert.ok(requests > 100)
})

if (requireServers('docs/gateway.md', 'nginx')) test.run()
