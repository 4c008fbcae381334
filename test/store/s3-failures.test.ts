import { once } from 'node:events'
import * as http from 'node:http'
import { type AddressInfo, createServer, Socket } from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openS3Store, type S3Location } from '../../src/store/s3.ts'
import type { Store, StoreError } from '../../src/store/store.ts'
import { until } from '../support/until.ts'

// What real stores answer too seldom to wait for, told by a server that says what the test wants.

const test = suite('s3 store: failures')
const timeoutMs = 2_000
const body = Buffer.from('x')

let server: http.Server
let store: Store
let requests: http.IncomingMessage[]
let answer: (response: http.ServerResponse) => void

test.before.each(async () => {
  requests = []
  server = http.createServer((request, response) => {
    requests.push(request)
    request.resume().on('end', () => answer(response))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  store = await open({})
})

test.after.each(async () => {
  await store.close()
  server.closeAllConnections()
  server.close()
})

test('an answer that proves that nothing was written is definite, every other is not', async () => {
  const table: [status: number, code: string, definite: boolean][] = [
    [400, 'InvalidRequest', true],
    [400, 'RequestTimeout', false],
    [401, 'Unauthorized', true],
    [403, 'AccessDenied', true],
    [403, 'SignatureDoesNotMatch', true],
    [404, 'NoSuchBucket', true],
    [404, 'NoSuchKey', false],
    [404, '', false],
    [408, 'RequestTimeout', false],
    [409, 'SomethingElse', false],
    [411, 'MissingContentLength', true],
    [413, 'EntityTooLarge', true],
    [429, 'TooManyRequests', false],
    [500, 'InternalError', false],
    [501, 'NotImplemented', false],
    [502, '', false],
    [503, 'SlowDown', false],
    [504, '', false],
    [301, 'PermanentRedirect', true],
  ]
  for (const [status, code, definite] of table) {
    answer = answerWith(status, code)
    for (const call of [
      store.create('a', body, { timeoutMs }),
      store.put('a', body, { timeoutMs }),
    ]) {
      const error = await failure(call)
      assert.equal(
        [error.reason, error.definite],
        [code || `HTTP ${status}`, definite],
        `${status}`,
      )
    }
  }
})

test('a failure is not repeated', async () => {
  for (const status of [408, 429, 500, 503]) {
    requests = []
    answer = answerWith(status, 'Any')
    await failure(store.create('a', body, { timeoutMs }))
    assert.is(requests.length, 1)
  }
})

/** Two connections are kept, and from now on nothing is heard on them. */
async function silenceKept(): Promise<void> {
  answer = answerWith(404, 'NoSuchKey')
  await Promise.all([store.get('a', { timeoutMs }), store.get('b', { timeoutMs })])
  const kept = new Set(requests.map(({ socket }) => socket))
  assert.is(kept.size, 2)
  requests = []
  answer = (response) => {
    if (!kept.has(response.socket as Socket)) answerWith(404, 'NoSuchKey')(response)
  }
}

test('a GET of which nothing is heard is asked again, over a new connection', async () => {
  await silenceKept()
  assert.is(await store.get('a', { timeoutMs }), null)
  assert.is(requests.length, 2)
})

test('a PUT of which nothing is heard is sent once, and what comes after it goes over new connections', async () => {
  await silenceKept()
  assert.is((await failure(store.create('a', body, { timeoutMs: 1_200 }))).reason, 'timeout')
  assert.is(requests.length, 1)
  assert.is((await failure(store.create('a', body, { timeoutMs }))).reason, 'NoSuchKey')
  assert.is(requests.length, 2)
})

test('only NoSuchKey is absence', async () => {
  answer = answerWith(404, 'NoSuchKey')
  assert.is(await store.get('a', { timeoutMs }), null)
  for (const code of ['', 'NotFound', 'NoSuchBucket', 'NoSuchUpload']) {
    answer = answerWith(404, code)
    assert.is((await failure(store.get('a', { timeoutMs }))).reason, code || 'HTTP 404')
    await failure(store.delete('a', { timeoutMs }))
  }
  for (const status of [403, 410, 500]) {
    answer = answerWith(status, 'NoSuchKey')
    await failure(store.get('a', { timeoutMs }))
  }
  answer = (response) => response.writeHead(404).end('<html>NoSuchKey</html>')
  await failure(store.get('a', { timeoutMs }))
})

test('of the conflicts those that left it undecided are told as such', async () => {
  for (const code of ['ConditionalRequestConflict', 'OperationAborted']) {
    answer = answerWith(409, code)
    assert.equal(await store.create('a', body, { timeoutMs }), { result: 'conflict' })
  }
})

test('a list that is cut off or no list is an error', async () => {
  const page = '<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key>'
  for (const text of ['', '<html></html>', page]) {
    answer = (response) => response.end(text)
    await failure(store.list({ prefix: '', timeoutMs }))
  }
})

test('an answer that breaks off is an error, not a short object', async () => {
  answer = (response) => {
    response.writeHead(200, { 'content-length': 10 }).write('half')
    setImmediate(() => response.destroy())
  }
  await failure(store.get('a', { timeoutMs }))
})

test('a clock that is off is told with both ends named', async () => {
  answer = (response) => {
    response.setHeader('date', new Date(Date.now() - 3_600_000).toUTCString())
    answerWith(403, 'RequestTimeTooSkewed')(response)
  }
  const error = await failure(store.get('a', { timeoutMs }))
  assert.match(error.message, /clock of this machine is 3(599|600|601) s ahead of the store's/)
})

test('a wrong region is told with the right one', async () => {
  answer = (response) => {
    response.setHeader('x-amz-bucket-region', 'eu-west-1')
    answerWith(400, 'AuthorizationHeaderMalformed')(response)
  }
  assert.match((await failure(store.get('a', { timeoutMs }))).message, /region eu-west-1/)
})

test('what fails before a byte is sent is definite', async () => {
  const port = await closedPort()
  const refused = await open({ endpoint: `http://127.0.0.1:${port}` })
  const unknown = await open({ endpoint: 'http://no-such-host.invalid' })
  const [first, second] = [await createFails(refused), await createFails(unknown)]
  assert.equal([first.reason, first.definite], ['ECONNREFUSED', true])
  assert.is(second.definite, true)
  assert.match(second.reason, /^(ENOTFOUND|EAI_AGAIN)$/)
  await refused.close()
  await unknown.close()
})

test('credentials that cannot be read fail before anything is sent', async () => {
  const broken = await open({}, () => {
    throw new Error('the file is gone')
  })
  const error = await createFails(broken)
  assert.is(error.definite, true)
  assert.match(error.message, /the file is gone/)
  assert.is(requests.length, 0)
  await broken.close()
})

test('a connection that breaks after the request was sent leaves it open, new or kept', async () => {
  for (const connection of ['new', 'kept']) {
    answer = (response) => response.destroy()
    const error = await createFails(store)
    assert.is(error.definite, false, connection)
    answer = answerWith(404, 'NoSuchKey')
    await store.get('a', { timeoutMs })
  }
})

test('a deadline leaves a sent request open and ends its connection', async () => {
  answer = () => {}
  let isClosed = false
  server.on('connection', (socket) => socket.on('close', () => (isClosed = true)))
  const error = await failure(store.create('a', body, { timeoutMs: 100 }))
  assert.equal([error.reason, error.definite], ['timeout', false])
  await until(() => isClosed)
})

test('an abort leaves a sent request open and ends its connection', async () => {
  const controller = new AbortController()
  answer = () => controller.abort()
  let isClosed = false
  server.on('connection', (socket) => socket.on('close', () => (isClosed = true)))
  const { signal } = controller
  const error = await failure(store.create('a', body, { timeoutMs, signal }))
  assert.equal([error.reason, error.definite], ['aborted', false])
  await until(() => isClosed)
})

test('a create of 64 KiB leaves in one write, on a new connection and on a kept one', async () => {
  answer = (response) => response.writeHead(200, { etag: '"x"' }).end()
  for (const connection of ['new', 'kept']) {
    const writes = await countWrites(async () => {
      await store.create('a', Buffer.alloc(65_536), { timeoutMs })
    })
    assert.is(writes, 1, connection)
  }
})

test('connections are kept', async () => {
  let connections = 0
  server.on('connection', () => connections++)
  answer = answerWith(404, 'NoSuchKey')
  for (let i = 0; i < 5; i++) await store.get('a', { timeoutMs })
  assert.is(connections, 1)
})

test('a path-style request names the bucket in its path, whatever the key holds', async () => {
  answer = answerWith(404, 'NoSuchKey')
  await store.get(`a b/+%/(é)`, { timeoutMs })
  assert.is(requests[0]?.url, '/bucket/pre/fix/a%20b/%2B%25/%28%C3%A9%29')
  await failure(store.list({ prefix: 'a&b', startAfter: 'c d', delimiter: '/', timeoutMs }))
  assert.is(
    requests[1]?.url,
    '/bucket?delimiter=%2F&encoding-type=url&list-type=2&max-keys=1000&prefix=pre%2Ffix%2Fa%26b&start-after=pre%2Ffix%2Fc%20d',
  )
})

test('credentials are asked for each request, and a session token is signed', async () => {
  answer = answerWith(404, 'NoSuchKey')
  let id = 'first'
  const own = await open({}, () => ({
    accessKeyId: id,
    secretAccessKey: 's',
    sessionToken: 'token',
  }))
  await own.get('a', { timeoutMs })
  id = 'second'
  await own.get('a', { timeoutMs })
  const signed = requests.map(({ headers }) => headers.authorization ?? '')
  assert.match(signed[0] ?? '', /Credential=first\/\d{8}\/eu-west-1\/s3\/.*;x-amz-security-token,/)
  assert.match(signed[1] ?? '', /Credential=second\//)
  assert.is(requests[0]?.headers['x-amz-security-token'], 'token')
  await own.close()
})

test.run()

function open(changes: Partial<S3Location>, credentials = anyCredentials): Promise<Store> {
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const location: S3Location = {
    ...{ bucket: 'bucket', prefix: 'pre/fix', endpoint, region: 'eu-west-1', style: 'path' },
    ...changes,
  }
  return openS3Store({ ...location, credentials })
}

function anyCredentials() {
  return { accessKeyId: 'id', secretAccessKey: 'secret' } as {
    accessKeyId: string
    secretAccessKey: string
    sessionToken?: string
  }
}

function answerWith(status: number, code: string): (response: http.ServerResponse) => void {
  const xml = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>why</Message></Error>`
  return (response) => response.writeHead(status).end(code === '' ? '' : xml)
}

function createFails(store: Store): Promise<StoreError> {
  return failure(store.create('a', body, { timeoutMs }))
}

async function failure(call: Promise<unknown>): Promise<StoreError> {
  const error = await call.then(
    () => new Error('did not fail'),
    (error) => error,
  )
  if (error.name === 'StoreError') return error
  throw error
}

async function closedPort(): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  listener.close()
  await once(listener, 'close')
  return port
}

/** Counts what this process writes into sockets as a client, in writes. */
async function countWrites(work: () => Promise<void>): Promise<number> {
  const { _write, _writev } = Socket.prototype
  let writes = 0
  const isClient = (socket: Socket) => (socket as { server?: unknown }).server == null
  Socket.prototype._write = function (...call) {
    if (isClient(this)) writes++
    return _write.apply(this, call)
  }
  Socket.prototype._writev = function (...call) {
    if (isClient(this)) writes++
    return _writev?.apply(this, call)
  }
  try {
    await work()
  } finally {
    Object.assign(Socket.prototype, { _write, _writev })
  }
  return writes
}
