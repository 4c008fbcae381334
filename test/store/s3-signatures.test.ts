import { once } from 'node:events'
import * as http from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openS3Store } from '../../src/store/s3.ts'
import type { Store } from '../../src/store/store.ts'

const test = suite('s3 store: signatures')
const timeoutMs = 2_000

let server: http.Server
let store: Store
let heads: http.IncomingHttpHeaders[]
let secretAccessKey: string

test.before.each(async () => {
  heads = []
  secretAccessKey = 'first'
  server = http.createServer((request, response) => {
    heads.push(request.headers)
    request.resume().on('end', () => response.end('here'))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  store = await openS3Store({
    bucket: 'bucket',
    prefix: '',
    endpoint: `http://127.0.0.1:${port}`,
    region: 'us-east-1',
    style: 'path',
    credentials: () => ({ accessKeyId: 'test', secretAccessKey }),
  })
})

test.after.each(async () => {
  await store.close()
  server.closeAllConnections()
  server.close()
})

const signatures = () => heads.map(({ authorization }) => authorization)

/** Waits for the first half of a second, so that what follows is in one. */
async function secondBegun(): Promise<void> {
  while (Date.now() % 1_000 > 500) await sleep(20)
}

test('a get that is repeated within its second is the same request, and in the next another', async () => {
  await secondBegun()
  await store.get('key', { timeoutMs })
  await store.get('key', { timeoutMs })
  const [first, second] = heads
  assert.equal(second, first)
  while (new Date().toISOString().startsWith(isoOf(first))) await sleep(20)
  await store.get('key', { timeoutMs })
  assert.is.not(heads[2]?.['x-amz-date'], first?.['x-amz-date'])
  assert.is.not(heads[2]?.authorization, first?.authorization)
})

test('another key, another header and another secret each have another signature', async () => {
  await secondBegun()
  await store.get('key', { timeoutMs })
  await store.get('other', { timeoutMs })
  await store.get('key', { timeoutMs, range: { start: 0, end: 1 } })
  secretAccessKey = 'second'
  await store.get('key', { timeoutMs })
  assert.is(new Set(signatures()).size, 4)
})

/** `20261122T010203Z` as the beginning of an ISO time. */
function isoOf(head: http.IncomingHttpHeaders | undefined): string {
  const [, ...parts] = /^(.{4})(..)(..)T(..)(..)(..)Z$/.exec(`${head?.['x-amz-date']}`) ?? []
  return parts.length === 0 ? '' : `${parts.slice(0, 3).join('-')}T${parts.slice(3).join(':')}`
}

test.run()
