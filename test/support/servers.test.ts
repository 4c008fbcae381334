import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { makeFolder, removeFolder, startProcess, waitFor } from './processes.ts'
import {
  requireServers,
  type S3Server,
  startEtcd,
  startMinio,
  startNginx,
  startRedis,
  startVersityGateway,
} from './servers.ts'

const support = suite('servers for tests')

for (const [name, start] of [
  ['minio', startMinio],
  ['versitygw', startVersityGateway],
] as [string, () => Promise<S3Server>][]) {
  if (!requireServers(`servers for tests: ${name}`, name)) continue
  support(`${name} starts, makes buckets, and is gone after stop`, async () => {
    const server = await start()
    const bucket = await server.createBucket()
    assert.match(bucket, /^bucket-/)
    const { status } = await fetch(`${server.endpoint}/${bucket}/x`)
    assert.is(status, 403, 'strangers are refused')
    await server.stop()
    assert.not(isAlive(server.pid))
    assert.not(existsSync(server.folder))
  })
}

if (requireServers('servers for tests: redis', 'redis-server')) {
  support(
    'a paused server answers nobody until it is resumed, a restarted one has its port',
    async () => {
      const server = await startRedis({ password: 's p@ce' })
      const redis = new Redis(server.url)
      redis.on('error', () => {})
      assert.is(await redis.ping(), 'PONG')
      server.pause()
      const answer = redis.ping()
      const first = await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 100))])
      assert.is(first, undefined)
      server.resume()
      assert.is(await answer, 'PONG')
      await server.restart()
      assert.is(await redis.ping(), 'PONG')
      redis.disconnect()
      await server.stop()
    },
  )
}

if (requireServers('servers for tests: etcd', 'etcd')) {
  support('etcd still has after a kill what it said that it had put', async () => {
    const server = await startEtcd()
    const post = async (path: string, body: object) => {
      const answer = await fetch(server.url + path, { method: 'POST', body: JSON.stringify(body) })
      return (await answer.json()) as { kvs: { value: string }[] }
    }
    await post('/v3/kv/put', { key: 'YQ==', value: 'b25l' })
    await server.restart()
    const { kvs } = await post('/v3/kv/range', { key: 'YQ==' })
    assert.is(kvs[0]?.value, 'b25l')
    await server.stop()
  })
}

if (requireServers('servers for tests: nginx', 'nginx')) {
  support('nginx serves what its configuration says, and another one after a reload', async () => {
    const answer = (text: string) => (port: number) =>
      `server { listen 127.0.0.1:${port}; return 200 ${text}; }`
    const server = await startNginx(answer('one'))
    assert.is(await (await fetch(server.url)).text(), 'one')
    server.reload(answer('two'))
    // A reload closes connections that a client has kept.
    const read = async () => (await fetch(server.url)).text()
    await waitFor(async () => (await read().catch(() => '')) === 'two')
    await server.stop()
  })
}

support('processes and folders do not outlive a test that was killed', async () => {
  const module = fileURLToPath(new URL('./processes.js', import.meta.url))
  const script = `
    const { makeFolder, startProcess } = await import(${JSON.stringify(module)})
    const folder = makeFolder('orphan')
    const child = startProcess('sh', ['-c', 'sleep 60 & sleep 60'])
    const stopped = startProcess('sleep', ['60'])
    const ended = startProcess('true', [])
    await ended.ended()
    stopped.signal('SIGSTOP')
    console.log(JSON.stringify({ folder, pids: [child.pid, stopped.pid] }))
    setInterval(() => {}, 1000)`
  const test = spawn(process.execPath, ['--input-type=module', '-e', script])
  const [line] = await new Promise<Buffer[]>((resolve) =>
    test.stdout.once('data', (data) => resolve([data])),
  )
  const { folder, pids } = JSON.parse(`${line}`) as { folder: string; pids: number[] }
  assert.ok(pids.every(isAlive))
  assert.ok(existsSync(folder))
  test.kill('SIGKILL')
  await waitFor(() => !pids.some(isAlive) && !existsSync(folder), { what: 'the reaper' })
})

support('a process tells its output and how it ended', async () => {
  const folder = makeFolder('process')
  const child = startProcess('sh', ['-c', 'pwd; exit 3'], { cwd: folder })
  assert.is(await child.ended(), 3)
  await waitFor(() => child.output().includes(folder))
  removeFolder(folder)
})

/** A zombie counts as gone: whoever adopted it may be slow to bury it. */
function isAlive(pid: number): boolean {
  try {
    process.kill(-pid, 0)
    return true
  } catch {
    return false
  }
}

support.run()
