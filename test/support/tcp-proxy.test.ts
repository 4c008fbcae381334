import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { startTcpProxy, type TcpFault, type TcpProxy } from './tcp-proxy.ts'

const test = suite('the proxy of bare TCP')

/** Answers every byte with itself. */
let echo: Server
let proxy: TcpProxy
let clients: Socket[] = []

test.before(async () => {
  echo = createServer((socket) => socket.on('error', () => {}).pipe(socket))
  echo.listen(0, '127.0.0.1')
  await once(echo, 'listening')
})
test.after(() => {
  echo.close()
})
test.before.each(async () => {
  proxy = await startTcpProxy((echo.address() as AddressInfo).port)
})
test.after.each(async () => {
  for (const client of clients) client.destroy()
  clients = []
  await proxy.stop()
})

/** A client of the proxy, and what it has heard. */
async function open() {
  const socket = connect({ port: proxy.port, host: '127.0.0.1' })
  clients.push(socket)
  const heard = { bytes: 0, end: '' }
  socket.on('data', (chunk) => {
    heard.bytes += chunk.length
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    heard.end = error.code ?? ''
  })
  // Where data and a reset come together, libuv tells the end alone.
  socket.on('end', () => {
    heard.end ||= 'end'
  })
  await once(socket, 'connect')
  const says = async (bytes: number) => {
    const expected = heard.bytes + bytes
    socket.write(Buffer.alloc(bytes))
    const startedMs = performance.now()
    while (heard.bytes < expected && heard.end === '' && performance.now() < startedMs + 5_000) {
      await sleep(2)
    }
    return performance.now() - startedMs
  }
  return { socket, heard, says }
}

/** Under a fault. @returns a client that was there before it, and one that came later */
async function under(fault: TcpFault) {
  const before = await open()
  await before.says(10)
  proxy.become(fault)
  return { before, later: await open().catch(() => null) }
}

test('bytes pass, and so does the end', async () => {
  const { socket, heard, says } = await open()
  await says(300_000)
  assert.is(heard.bytes, 300_000)
  socket.end()
  await once(socket, 'close')
  await sleep(20)
  assert.is(proxy.connections, 0)
})

test('a cut resets those that are there and those that come, and ends', async () => {
  const { before, later } = await under('cut')
  await sleep(50)
  assert.is(before.heard.end, 'ECONNRESET')
  assert.ok(later === null || later.heard.end === 'ECONNRESET')
  proxy.become('pass')
  const after = await open()
  await after.says(10)
  assert.is(after.heard.bytes, 10)
})

test('half-open says nothing, and whoever lived through it hears nothing any more', async () => {
  const { before, later } = await under('half-open')
  for (const one of [before, later]) one?.socket.write('x')
  await sleep(100)
  proxy.become('pass')
  const after = await open()
  await after.says(10)
  assert.is(after.heard.bytes, 10)
  await sleep(100)
  assert.equal(before.heard, { bytes: 10, end: '' })
  assert.equal(later?.heard, { bytes: 0, end: '' })
})

test('a delay is for each way, and what waits is let go when it ends', async () => {
  const { before, later } = await under({ delayMs: 100 })
  const [first = 0, second = 0] = await Promise.all([before.says(10), later?.says(10)])
  assert.ok(first >= 195 && second >= 195, `${first} ms, ${second} ms`)
  proxy.become({ delayMs: 60_000 })
  const waiting = before.says(10)
  await sleep(20)
  proxy.become('pass')
  assert.ok((await waiting) < 1_000)
})

test('a narrow line carries so many bytes a second', async () => {
  const { before } = await under({ bytesPerSecond: 100_000 })
  const tookMs = await before.says(20_000)
  assert.ok(tookMs >= 180 && tookMs < 2_000, `${tookMs} ms`)
})

test('a connection is reset after the byte that was drawn', async () => {
  const { before, later } = await under({ resetAfterBytes: () => 1_500 })
  for (const one of [before, later]) {
    await one?.says(1_000)
    assert.ok(one?.heard.end)
  }
  assert.ok(before.heard.bytes <= 10 + 500, `${before.heard.bytes}`)
})

test.run()
