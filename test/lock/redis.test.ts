import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Lock } from '../../src/lock/lock.ts'
import { createRedisLock } from '../../src/lock/redis.ts'
import { type Observer, silent } from '../../src/observe.ts'
import { lockContract } from '../contract/lock.ts'
import { startLyingRedis } from '../support/fake-redis.ts'
import { freePort, makeFolder, removeFolder, startProcess, waitFor } from '../support/processes.ts'
import { repositoryRoot, requireServers } from '../support/programs.ts'
import { startRedis } from '../support/servers.ts'

/** Keeps what is told. */
function recorder() {
  const lines: { event: string; fields: unknown }[] = []
  const observer: Observer = {
    ...silent,
    log: (_level, event, fields) => lines.push({ event, fields }),
  }
  return { observer, lines, events: () => lines.map(({ event }) => event) }
}

async function take(lock: Lock, name: string) {
  const answer = await lock.acquire(name, { waitMs: 2_000 })
  if (answer.result !== 'held') throw new Error(`not held: ${answer.result}`)
  return answer
}

/** What a test opened: closed after it, so that one that fails ends too. */
const opened: (() => Promise<void>)[] = []

async function closeAll(): Promise<void> {
  await Promise.all(opened.splice(0).map((close) => close()))
}

function openLock(urls: string[], observer: Observer = silent): Lock {
  const lock = createRedisLock({ urls, observer })
  opened.push(() => lock.close())
  return lock
}

async function openServer(options: Parameters<typeof startRedis>[0] = {}) {
  const server = await startRedis(options)
  opened.push(() => server.stop())
  return server
}

async function openLiar(hangsUp?: Parameters<typeof startLyingRedis>[0]) {
  const server = await startLyingRedis(hangsUp)
  opened.push(() => server.stop())
  return server
}

/** Asks once and tells how long it took. */
async function ask(lock: Lock, name: string, waitMs = 2_000) {
  const startMs = performance.now()
  const { result } = await lock.acquire(name, { waitMs })
  return { result, tookMs: performance.now() - startMs }
}

const isUp = (lock: Lock, name: string) => async () => {
  const answer = await lock.acquire(name, { waitMs: 0 })
  if (answer.result === 'held') await answer.release()
  return answer.result === 'held'
}

if (requireServers('redis lock', 'redis-server')) {
  lockContract('redis', async () => {
    const server = await startRedis()
    const [one, other] = [server, server].map(({ url }) =>
      createRedisLock({ urls: [url], observer: silent }),
    ) as [Lock, Lock]
    await Promise.all([waitFor(isUp(one, 'one')), waitFor(isUp(other, 'other'))])
    const close = async () => {
      await Promise.all([one.close(), other.close()])
      await server.stop()
    }
    return { one, other, close }
  })

  lockContract('redis, a quorum of three with one away', async () => {
    const servers = await Promise.all([startRedis(), startRedis(), startRedis()])
    await servers[1].kill()
    const urls = servers.map(({ url }) => url)
    const [one, other] = [0, 1].map(() => createRedisLock({ urls, observer: silent })) as [
      Lock,
      Lock,
    ]
    await Promise.all([waitFor(isUp(one, 'one')), waitFor(isUp(other, 'other'))])
    const close = async () => {
      await Promise.all([one.close(), other.close()])
      await Promise.all(servers.map((server) => server.stop()))
    }
    return { one, other, close }
  })

  const redis = suite('redis lock')
  redis.after.each(closeAll)

  redis(
    'a server that is absent at start is down at once, told once, and used when it is there',
    async () => {
      const { observer, events } = recorder()
      const port = await freePort()
      const lock = openLock([`redis://127.0.0.1:${port}`], observer)
      for (let i = 0; i < 20; i++) {
        const { result, tookMs } = await ask(lock, 'p')
        assert.is(result, 'down')
        assert.ok(tookMs < 700, `${tookMs} ms`)
      }
      assert.equal(events(), ['lock_down'])
      await openServer({ port })
      await waitFor(isUp(lock, 'p'))
      assert.equal(events(), ['lock_down', 'lock_up'])
    },
  )

  redis('a server that is killed and started again costs one line each', async () => {
    const { observer, events } = recorder()
    const server = await openServer()
    const lock = openLock([server.url], observer)
    const held = await take(lock, 'p')
    await server.kill()
    await held.release()
    for (let i = 0; i < 20; i++) {
      const { result, tookMs } = await ask(lock, 'p')
      assert.is(result, 'down')
      assert.ok(tookMs < 700, `${tookMs} ms`)
    }
    assert.equal(events(), ['lock_down'])
    await server.restart()
    await waitFor(isUp(lock, 'p'))
    assert.equal(events(), ['lock_down', 'lock_up'])
  })

  redis(
    'a server that is paused is given up in a moment, then at once, until it goes on',
    async () => {
      const { observer, events } = recorder()
      const server = await openServer()
      const lock = openLock([server.url], observer)
      const held = await take(lock, 'p')
      server.pause()
      const first = await ask(lock, 'q')
      assert.is(first.result, 'down')
      assert.ok(first.tookMs < 800, `${first.tookMs} ms`)
      await held.release()
      await waitFor(() => events().length === 1)
      const second = await ask(lock, 'q')
      assert.ok(second.tookMs < 20, `${second.tookMs} ms`)
      server.resume()
      await waitFor(isUp(lock, 'q'), { what: 'the lock after the pause' })
      assert.equal(events(), ['lock_down', 'lock_up'])
    },
  )

  redis('a wait ends in time although the server stops answering in the middle of it', async () => {
    const server = await openServer()
    const [one, other] = [1, 2].map(() => openLock([server.url]))
    if (!one || !other) throw new Error()
    const held = await take(one, 'p')
    const waiting = ask(other, 'p', 5_000)
    server.pause()
    const { result, tookMs } = await waiting
    assert.is(result, 'down')
    assert.ok(tookMs < 1_000, `${tookMs} ms`)
    server.resume()
    await held.release()
  })

  redis(
    'a server that forgets everything grants again, and a release after that is harmless',
    async () => {
      const { observer, events } = recorder()
      const server = await openServer()
      const lock = openLock([server.url], observer)
      const admin = new Redis(server.url)
      const first = await take(lock, 'p')
      await admin.flushall()
      await admin.script('FLUSH')
      const second = await take(lock, 'p')
      await first.release()
      assert.equal(await lock.acquire('p', { waitMs: 0 }), { result: 'busy' })
      await second.release()
      assert.equal(events(), [])
      admin.disconnect()
    },
  )

  redis('a server that cannot be written to is down, without a flood', async () => {
    const { observer, events } = recorder()
    const server = await openServer({ args: ['--replicaof', '127.0.0.1', '1'] })
    const lock = openLock([server.url], observer)
    const endMs = performance.now() + 1_200
    while (performance.now() < endMs) {
      assert.is((await ask(lock, 'p')).result, 'down')
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    assert.equal(events(), ['lock_down'])
  })

  redis('of three servers one may be away, and not two', async () => {
    const { observer, lines, events } = recorder()
    const servers = await Promise.all([openServer(), openServer(), openServer()])
    const lock = openLock(
      servers.map(({ url }) => url),
      observer,
    )
    await (await take(lock, 'p')).release()
    await servers[0].kill()
    await (await take(lock, 'p')).release()
    assert.equal(events(), [])
    await servers[1].kill()
    await waitFor(() => events().length === 1)
    assert.is((await ask(lock, 'p')).result, 'down')
    assert.match(JSON.stringify(lines), `127.0.0.1:${servers[0].port}`)
    assert.not.match(JSON.stringify(lines), `127.0.0.1:${servers[2].port}`)
    await servers[1].restart()
    await waitFor(isUp(lock, 'p'))
    assert.equal(events(), ['lock_down', 'lock_up'])
  })

  redis('of an even number of servers the last is left out, and it says so', async () => {
    const { observer, events } = recorder()
    const server = await openServer()
    const absent = `redis://127.0.0.1:${await freePort()}`
    const lock = openLock([server.url, absent], observer)
    await (await take(lock, 'p')).release()
    assert.equal(events(), ['config_warning'])
  })

  redis('a password in the URL works, and no password is ever told', async () => {
    const server = await openServer({ password: 'right p@ss' })
    const { observer, lines } = recorder()
    const wrong = `redis://:wr0ng-secret@127.0.0.1:${server.port}`
    const locks = [server.url, wrong].map((url) => openLock([url], observer))
    assert.is((await ask(locks[0] as Lock, 'p')).result, 'held')
    assert.is((await ask(locks[1] as Lock, 'p')).result, 'down')
    assert.is(lines.length, 1)
    assert.match(JSON.stringify(lines), 'lock_down')
    assert.not.match(JSON.stringify(lines), 'secret')
  })

  redis('whoever waits is woken by the release, and not by looking now and then', async () => {
    const server = await openServer()
    const one = openLock([server.url])
    const lookEveryMs = 60_000
    const other = createRedisLock({ urls: [server.url], observer: silent, lookEveryMs })
    opened.push(() => other.close())
    await Promise.all([waitFor(isUp(one, 'p')), waitFor(isUp(other, 'q'))])
    for (let turn = 0; turn < 5; turn++) {
      const held = await take(one, 'p')
      const next = other.acquire('p', { waitMs: 10_000 })
      await new Promise((resolve) => setTimeout(resolve, 20 * turn))
      await held.release()
      const releasedMs = performance.now()
      const answer = await next
      assert.is(answer.result, 'held')
      assert.ok(performance.now() - releasedMs < 5_000)
      if (answer.result === 'held') await answer.release()
    }
  })

  redis('three replicas that want it all the time take turns', async () => {
    const server = await openServer()
    const locks = [1, 2, 3].map(() => openLock([server.url]))
    await Promise.all(locks.map((lock, index) => waitFor(isUp(lock, `${index}`))))
    const turns = [0, 0, 0]
    const endMs = performance.now() + 1_500
    const work = async (index: number) => {
      while (performance.now() < endMs) {
        const held = await take(locks[index] as Lock, 'p')
        turns[index] = (turns[index] ?? 0) + 1
        await new Promise((resolve) => setTimeout(resolve, 3))
        await held.release()
      }
    }
    await Promise.all([0, 1, 2].map(work))
    const total = turns.reduce((sum, count) => sum + count)
    assert.ok(Math.min(...turns) > total / 10, `turns ${turns}`)
  })
  redis.run()
}

const lying = suite('redis lock that lies')
lying.after.each(closeAll)

lying('a server that grants everybody is believed by everybody', async () => {
  const server = await openLiar()
  const { observer, events } = recorder()
  const lock = openLock([server.url], observer)
  const [first, second] = await Promise.all([take(lock, 'p'), take(lock, 'p')])
  await Promise.all([first.release(), second.release()])
  assert.equal(events(), [])
})

lying('a server that hangs up again and again does not end the process', async () => {
  let healed = false
  const server = await openLiar((name, before) => !healed && name === 'psubscribe' && before > 0)
  const lock = openLock([server.url])
  await waitFor(isUp(lock, 'p'))
  server.hangUp()
  await waitFor(() => server.count('psubscribe') > 4)
  healed = true
  await waitFor(isUp(lock, 'p'))
})

lying.run()

if (requireServers('redis lock over TLS', 'redis-server', 'openssl')) {
  const tls = suite('redis lock over TLS')
  tls.after.each(closeAll)
  tls('rediss:// is spoken, and an unknown certificate is refused', async () => {
    const folder = makeFolder('certificate')
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2']
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1']
    const files = ['-keyout', key, '-out', cert]
    execFileSync('openssl', [...request, ...subject, ...files], { stdio: 'ignore' })
    const tlsPort = await freePort()
    const flags = ['--tls-cert-file', cert, '--tls-key-file', key, '--tls-auth-clients', 'no']
    await openServer({ args: ['--tls-port', `${tlsPort}`, ...flags] })
    const script = `
      const { createRedisLock } = await import('${join(repositoryRoot, 'dist/src/lock/redis.js')}')
      const observer = { log() {}, count() {}, record() {}, set() {} }
      const lock = createRedisLock({ urls: ['rediss://127.0.0.1:${tlsPort}'], observer })
      console.log('result', (await lock.acquire('p', { waitMs: 1000 })).result)
      await lock.close()`
    const run = async (env: Record<string, string>) => {
      const child = startProcess(process.execPath, ['--input-type=module', '-e', script], { env })
      await child.ended()
      return child.output()
    }
    assert.match(await run({ NODE_EXTRA_CA_CERTS: cert }), 'result held')
    assert.match(await run({}), 'result down')
    removeFolder(folder)
  })
  tls.run()
}
