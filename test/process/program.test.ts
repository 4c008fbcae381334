import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { settings } from '../../src/config.ts'
import { freePort, makeFolder, removeFolder, waitFor } from '../support/processes.ts'
import { mainFile, quickDrain, startService } from '../support/service.ts'

const test = suite('program')

/** Runs the program to its end. */
function run(words: string[], env: Record<string, string> = {}) {
  const folder = makeFolder('program')
  const { status, stdout, stderr } = spawnSync(process.execPath, [mainFile, ...words], {
    cwd: folder,
    env: { PATH: process.env.PATH ?? '', ...env },
    encoding: 'utf8',
    timeout: 30_000,
  })
  removeFolder(folder)
  return { status, stdout, stderr }
}

test('version prints the version of the package', () => {
  for (const word of ['version', '--version']) {
    const { status, stdout } = run([word])
    assert.is(status, 0)
    assert.match(stdout, /^\d+\.\d+\.\d+\S*\n$/)
  }
})

test('help names every verb and every variable', () => {
  for (const word of ['help', '--help', '-h']) {
    const { status, stdout } = run([word])
    assert.is(status, 0)
    for (const verb of ['serve', 'help', 'version']) assert.ok(stdout.includes(`  ${verb} `))
    for (const { variable } of Object.values(settings)) assert.ok(stdout.includes(variable))
  }
})

test('an unknown verb, flag or second word is answered with the usage and exit code 2', () => {
  for (const words of [['sevre'], ['--port'], ['serve', '--now'], ['toString'], ['']]) {
    const { status, stdout, stderr } = run(words)
    assert.is(status, 2, words.join(' '))
    assert.is(stdout, '')
    assert.match(stderr, 'Verbs')
  }
})

test('bad variables end it with 1, all of them named, and no secret is repeated', () => {
  const { status, stdout, stderr } = run(['serve'], {
    PORT: 'eighty',
    LOG_LEVEL: 'loud',
    REDIS_URL: 'http://:hidden@redis',
    STORE_URL: 's3://key:hidden@bucket',
    TOKENS_FILE: '/nowhere/tokens.json',
    AWS_SECRET_ACCESS_KEY_FILE: '/nowhere/key',
  })
  assert.is(status, 1)
  assert.is(stdout, '')
  const named = stderr.split('\n').map((line) => line.split(' ')[1])
  assert.equal(named.filter(Boolean).sort(), [
    'AWS_SECRET_ACCESS_KEY_FILE',
    'LOG_LEVEL',
    'PORT',
    'REDIS_URL',
    'STORE_URL',
    'TOKENS_FILE',
  ])
  assert.not.match(stderr, 'hidden')
})

test('a port that is taken ends it with 1 and a sentence that names it', async () => {
  const port = await freePort()
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const { status, stderr } = run(['serve'], { PORT: String(port) })
  server.close()
  assert.is(status, 1)
  assert.match(stderr, /EADDRINUSE/)
  assert.match(stderr, String(port))
  assert.not.match(stderr, /\n\s+at /, 'no stack for a person')
})

test('it starts without any setting, and SIGTERM ends it with 0', async () => {
  const service = await startService()
  const ready = await fetch(`${service.url}/readyz`)
  assert.is(ready.status, 200)
  assert.is(await service.stop(), 0)
  const events = service.events().map(({ event }) => event)
  const expected = ['starting', 'config_warning', 'listening', 'ready', 'stopping', 'stopped']
  assert.equal(
    events.filter((event) => expected.includes(String(event))),
    expected,
  )
  await service.dispose()
})

test('it prints two lines to try it with, and both work as printed', async () => {
  const service = await startService()
  await waitFor(() => service.process.output().includes('/resource\n'))
  const lines = service.process.output().match(/^ {2}curl .*$/gm) ?? []
  assert.is(lines.length, 2)
  const [created, listed] = lines.map((line) =>
    spawnSync('sh', ['-c', `${line} -s -w '%{http_code}'`], { encoding: 'utf8' }),
  )
  assert.match(created?.stdout ?? '', '204')
  assert.match(listed?.stdout ?? '', '/metadata.yaml')
  assert.match(listed?.stdout ?? '', '200')
  await service.dispose()
})

test('what was written is there after a restart, the cache deleted or not', async () => {
  const first = await startService()
  const create = { method: 'POST', body: JSON.stringify({ projectName: 'sockshop' }) }
  assert.is((await fetch(`${first.url}/v1/project`, create)).status, 204)
  const file = `/v1/project/sockshop/resource/shipyard.yaml`
  const put = {
    method: 'PUT',
    body: JSON.stringify({ resourceContent: Buffer.from('hello').toString('base64') }),
  }
  assert.is((await fetch(first.url + file, put)).status, 200)
  assert.is(await first.stop(), 0)
  for (const remove of ['', 'data/cache']) {
    if (remove) removeFolder(`${first.folder}/${remove}`)
    const again = await startService({ folder: first.folder })
    const answer = (await (await fetch(again.url + file)).json()) as { resourceContent: string }
    assert.is(Buffer.from(answer.resourceContent, 'base64').toString(), 'hello')
    await again.process.kill()
  }
  await first.dispose()
})

test('while it drains it is alive, not ready, and answers with Connection: close', async () => {
  const service = await startService({ env: { DRAIN_WINDOW_SECONDS: '4' } })
  const ended = service.stop()
  await waitFor(() => service.events().some(({ phase }) => phase === 'accepting'))
  const at = async (path: string) => {
    const answer = await fetch(service.url + path)
    return [answer.status, answer.headers.get('connection')]
  }
  assert.equal(await at('/readyz'), [503, 'close'])
  assert.equal(await at('/startupz'), [200, 'close'])
  assert.equal(await at('/livez'), [200, 'close'])
  assert.equal(await at('/v1/project'), [200, 'close'])
  assert.equal(await at('/no/such/route'), [404, 'close'])
  assert.is(await ended, 0)
  await service.dispose()
})

test('it serves and ends although nobody reads its log', async () => {
  const folder = makeFolder('unread')
  const port = String(await freePort())
  const child = spawn(process.execPath, [mainFile], {
    cwd: folder,
    env: { PATH: process.env.PATH, PORT: port, ...quickDrain },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const status = (path: string) =>
    fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(10_000) }).then(
      (answer) => answer.status,
      String,
    )
  try {
    await waitFor(async () => (await status('/readyz')) === 200, { timeoutMs: 30_000 })
    // Each leaves a line of 150 bytes and more, of which the kernel keeps some 200 KiB.
    for (let n = 0; n < 60; n++) {
      const statuses = await Promise.all(Array.from({ length: 50 }, () => status('/livez')))
      assert.equal(new Set(statuses), new Set([200]))
    }
    child.kill('SIGTERM')
    await once(child, 'exit')
  } finally {
    child.kill('SIGKILL')
    removeFolder(folder)
  }
})

test('a request that is being uploaded at SIGTERM is answered', async () => {
  const service = await startService({ env: { DRAIN_WINDOW_SECONDS: '1' } })
  const create = { method: 'POST', body: JSON.stringify({ projectName: 'sockshop' }) }
  await fetch(`${service.url}/v1/project`, create)
  let finish = () => {}
  const finished = new Promise<void>((resolve) => {
    finish = resolve
  })
  const body = new ReadableStream({
    async start(controller) {
      controller.enqueue(new TextEncoder().encode('{"resourceContent":"aGVs'))
      await finished
      controller.enqueue(new TextEncoder().encode('bG8="}'))
      controller.close()
    },
  })
  const url = `${service.url}/v1/project/sockshop/resource/a.yaml`
  const upload = fetch(url, { method: 'PUT', body, duplex: 'half' } as RequestInit)
  await new Promise((resolve) => setTimeout(resolve, 200))
  const ended = service.stop()
  await waitFor(() => service.events().some(({ phase }) => phase === 'finishing'), {
    what: 'the listener to close',
  })
  finish()
  assert.is((await upload).status, 200)
  assert.is(await ended, 0)
  await service.dispose()
})

test.run()
