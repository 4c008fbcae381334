/** The bucket and the lock for trying it, run as their pods would be: the same programs with the same arguments. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  freePort,
  makeFolder,
  type RunningProcess,
  removeFolder,
  startProcess,
} from '../support/processes.ts'
import { needProgram, requireServers } from '../support/programs.ts'
import { send } from '../support/send.ts'
import { startService } from '../support/service.ts'
import { type Container, environmentOf, only, podsOf, render } from './helm.ts'

const test = suite('the chart for trying it')

test('a replica is ready on the bucket and the lock that are started with it', async () => {
  const objects = render({ trial: { bucket: { enabled: true }, redis: { enabled: true } } })
  const containerOf = (name: string): Container => podsOf(objects, name).spec.containers[0]
  const folder = makeFolder('trial')
  const running: RunningProcess[] = []
  const [bucketPort, redisPort] = [await freePort(), await freePort()]
  const secret = only(objects, 'Secret', 'configuration-service-bucket').stringData ?? {}
  const local = (text: string) =>
    text
      .replace('/bucket', join(folder, 'bucket'))
      .replace('http://configuration-service-bucket:7070', `http://127.0.0.1:${bucketPort}`)
      .replace('configuration-service-redis:6379', `127.0.0.1:${redisPort}`)
      .replace(/^:7070$/, `127.0.0.1:${bucketPort}`)
      .replace(/^\/(run|cache)/, `${folder}/$1`)
  try {
    const { initContainers = [] } = podsOf(objects, 'configuration-service-bucket').spec
    for (const { command = [] } of initContainers) {
      const [program = '', ...args] = command.map(local)
      assert.is(await startProcess(program, args).ended(), 0)
    }
    const bucket = containerOf('configuration-service-bucket')
    running.push(
      startProcess(needProgram('versitygw'), (bucket.args ?? []).map(local), {
        env: {
          ROOT_ACCESS_KEY_ID: secret.accessKeyId ?? '',
          ROOT_SECRET_ACCESS_KEY: secret.secretAccessKey ?? '',
        },
      }),
    )
    const [, ...lockArgs] = containerOf('configuration-service-redis').command ?? []
    const place = ['--port', String(redisPort), '--dir', folder]
    running.push(startProcess(needProgram('redis-server'), [...lockArgs, ...place]))

    const environment = environmentOf(containerOf('configuration-service'))
    const env = Object.fromEntries(
      Object.entries(environment).map(([name, value]) => [name, local(value)]),
    )
    for (const path of Object.values(env).filter((value) => value.startsWith(`${folder}/run/`))) {
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, secret[path.split('/').at(-1) as string] ?? '')
    }
    const service = await startService({
      env: { ...env, PORT: '0', HOST: '127.0.0.1', DRAIN_WINDOW_SECONDS: '0.2' },
    })
    try {
      const body = JSON.stringify({ projectName: 'sockshop' })
      const { status } = await send(service.url, { method: 'POST', path: '/v1/project', body })
      assert.is(status, 204)
      const metrics = await send(service.url, { method: 'GET', path: '/metrics' })
      assert.match(metrics.body.toString(), /^configuration_service_lock_up 1$/m)
      assert.is(await service.stop(), 0)
    } finally {
      await service.dispose()
    }
  } finally {
    await Promise.all(running.map((each) => each.kill()))
    removeFolder(folder)
  }
})

if (requireServers('the chart for trying it', 'helm', 'versitygw', 'redis-server')) test.run()
