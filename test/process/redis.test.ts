import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { freePort, makeFolder, waitFor } from '../support/processes.ts'
import { requireServers, startRedis } from '../support/servers.ts'
import { type Service, startService } from '../support/service.ts'

const test = suite('Redis around the service')

async function write(service: Service, path: string): Promise<number> {
  const url = `${service.url}/v1/project/sockshop/resource/${path}`
  const body = JSON.stringify({ resourceContent: Buffer.from(path).toString('base64') })
  return (await fetch(url, { method: 'PUT', body })).status
}

async function createProject(service: Service): Promise<number> {
  const body = JSON.stringify({ projectName: 'sockshop' })
  return (await fetch(`${service.url}/v1/project`, { method: 'POST', body })).status
}

async function metric(service: Service, name: string): Promise<number | undefined> {
  const text = await (await fetch(`${service.url}/metrics`)).text()
  const [, value] = new RegExp(`^configuration_service_${name} (\\S+)$`, 'm').exec(text) ?? []
  return value === undefined ? undefined : Number(value)
}

if (requireServers('Redis around the service', 'redis-server')) {
  const opened: (() => Promise<unknown>)[] = []
  test.after.each(async () => {
    for (const close of opened.splice(0)) await close()
  })

  test('absent at the start it is ready and writes all the same; one line says so, and one when it comes', async () => {
    const port = await freePort()
    const service = await startService({ env: { REDIS_URL: `redis://127.0.0.1:${port}` } })
    opened.push(service.dispose)
    assert.is(await createProject(service), 204)
    assert.is(await write(service, 'without'), 200)
    const lines = (event: string) => service.events().filter((line) => line.event === event)
    await waitFor(() => lines('lock_down').length > 0, { what: 'the line that it is down' })

    const redis = await startRedis({ port })
    opened.push(redis.stop)
    await waitFor(async () => (await metric(service, 'lock_up')) === 1, {
      what: 'the lock to be up',
    })
    assert.is(await write(service, 'with'), 200)
    await waitFor(() => lines('lock_up').length > 0, { what: 'the line that it is up' })
    assert.is(lines('lock_down').length, 1)
    assert.is(lines('lock_up').length, 1)
    await redis.kill()
    assert.is(await write(service, 'without again'), 200)
    assert.is(await service.stop(), 0, 'a lock that is away does not make the end fail')
  })

  test('a password that is rotated in its file is used without a restart, and never printed', async () => {
    const redis = await startRedis({ password: 'second-password' })
    opened.push(redis.stop)
    const file = join(makeFolder('redis-url'), 'url')
    writeFileSync(file, redis.url.replace('second-password', 'first-password'))
    const service = await startService({ env: { REDIS_URL_FILE: file, LOG_LEVEL: 'debug' } })
    opened.push(service.dispose)
    assert.is(await createProject(service), 204)
    assert.is(await metric(service, 'lock_up'), 0)
    writeFileSync(file, redis.url)
    await waitFor(
      async () => {
        assert.is(await write(service, `${Math.random()}`), 200)
        return (await metric(service, 'lock_up')) === 1
      },
      { what: 'the lock to be up' },
    )
    assert.not.match(service.process.output(), 'first-password')
    assert.not.match(service.process.output(), 'second-password')
  })
}

test.run()
