/** Runs what compose.yaml says as local processes: the same programs with the same arguments, other ports and folders. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parse } from 'yaml'

import {
  freePort,
  makeFolder,
  type RunningProcess,
  removeFolder,
  startProcess,
  waitFor,
} from '../support/processes.ts'
import { needProgram, repositoryRoot, requireServers } from '../support/programs.ts'
import { mainFile } from '../support/service.ts'

interface Service {
  image: string
  command?: string[]
  environment?: Record<string, string>
  volumes?: string[]
  deploy?: { replicas: number }
}

const test = suite('compose.yaml')
const file = readFileSync(join(repositoryRoot, 'compose.yaml'), 'utf8')
const services: Record<string, Service> = parse(file).services
const service = (name: string) => services[name] as Service

/** `${NAME:-default}` as it is where nobody sets NAME. */
const withDefaults = (text: string) => text.replace(/\$\{\w+:-([^}]*)\}/g, '$1')

const environmentOf = (name: string, replace: (text: string) => string) =>
  Object.fromEntries(
    Object.entries(service(name).environment ?? {}).map(([key, value]) => [
      key,
      replace(withDefaults(value)),
    ]),
  )

test('what it starts serves one project through its gateway on every replica', async () => {
  const folder = makeFolder('compose')
  const running: RunningProcess[] = []
  const start = (...args: Parameters<typeof startProcess>) => {
    const started = startProcess(...args)
    running.push(started)
    return started
  }
  try {
    const [bucketPort, lockPort, gatewayPort] = [
      await freePort(),
      await freePort(),
      await freePort(),
    ]
    const local = (text: string) =>
      text
        .replace('bucket:7070', `127.0.0.1:${bucketPort}`)
        .replace('lock:6379', `127.0.0.1:${lockPort}`)

    const data = join(folder, 'bucket')
    mkdirSync(data)
    const bucketArgs = commandOf('bucket').map((word) =>
      word === ':7070' ? `127.0.0.1:${bucketPort}` : word === '/bucket' ? data : word,
    )
    start(needProgram('versitygw'), bucketArgs, { env: environmentOf('bucket', local) })

    const [, ...lockArgs] = commandOf('lock')
    start(needProgram('redis-server'), [...lockArgs, '--port', String(lockPort), '--dir', folder])

    const [, script, ...setupArgs] = commandOf('make-bucket')
    const setup = start(
      process.execPath,
      [join(repositoryRoot, 'compose', script as string), ...setupArgs],
      { env: environmentOf('make-bucket', local) },
    )
    assert.is(await setup.ended(), 0, setup.output())

    const ports: number[] = []
    for (let at = 0; at < (service('configuration-service').deploy?.replicas ?? 0); at++) {
      const port = await freePort()
      ports.push(port)
      const env = {
        ...environmentOf('configuration-service', local),
        PORT: String(port),
        CACHE_DIR: join(folder, `cache-${at}`),
        DRAIN_WINDOW_SECONDS: '0.2',
      }
      start(process.execPath, [mainFile], { env, cwd: folder })
    }
    assert.is(ports.length, 3)
    for (const port of ports) await untilReady(`http://127.0.0.1:${port}`)

    const config = readFileSync(join(repositoryRoot, 'compose', 'nginx.conf'), 'utf8')
      .replace(/server configuration-service:8080 (.*);/, (_, options) =>
        ports.map((port) => `server 127.0.0.1:${port} ${options};`).join('\n'),
      )
      .replace('listen 8080', `listen 127.0.0.1:${gatewayPort}`)
      .replace('/tmp/nginx.pid', join(folder, 'nginx.pid'))
    writeFileSync(join(folder, 'nginx.conf'), config)
    const [, ...gatewayArgs] = commandOf('gateway')
    const places = ['-p', folder, '-e', join(folder, 'error.log'), '-c', join(folder, 'nginx.conf')]
    start(needProgram('nginx'), [...gatewayArgs, ...places])
    const gateway = `http://127.0.0.1:${gatewayPort}`
    await untilReady(gateway)

    const made = await post(`${gateway}/v1/project`, { projectName: 'sockshop' })
    assert.is(made.status, 204)
    const content = Buffer.from('one').toString('base64')
    const put = await post(`${gateway}/v1/project/sockshop/resource`, {
      resources: [{ resourceURI: 'a.yaml', resourceContent: content }],
    })
    assert.is(put.status, 201)
    for (const port of ports) {
      const got = await fetch(`http://127.0.0.1:${port}/v1/project/sockshop/resource/a.yaml`)
      assert.is(((await got.json()) as { resourceContent: string }).resourceContent, content)
    }
  } finally {
    await Promise.all(running.map((each) => each.kill()))
    removeFolder(folder)
  }
})

function commandOf(name: string): string[] {
  return service(name).command ?? []
}

function untilReady(url: string): Promise<void> {
  const isReady = async () => {
    const answer = await fetch(`${url}/readyz`).catch(() => null)
    return answer?.ok === true
  }
  return waitFor(isReady, { timeoutMs: 30_000, what: `${url} to be ready` })
}

function post(url: string, body: unknown): Promise<Response> {
  return fetch(url, { method: 'POST', body: JSON.stringify(body) })
}

if (requireServers('compose.yaml', 'versitygw', 'redis-server', 'nginx')) test.run()
