import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openS3Store } from '../../src/store/s3.ts'
import { type Store, StoreError } from '../../src/store/store.ts'
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts'
import {
  requireServers,
  type S3Server,
  startMinio,
  startVersityGateway,
} from '../support/servers.ts'
import { until } from '../support/until.ts'

const timeoutMs = 10_000
const body = Buffer.from('mine')

if (requireServers('ambiguous creates on MinIO', 'minio')) ambiguity('MinIO', startMinio)
if (requireServers('ambiguous creates on Versity Gateway', 'versitygw')) {
  ambiguity('Versity Gateway', startVersityGateway)
}

function ambiguity(name: string, start: () => Promise<S3Server>): void {
  const test = suite(`ambiguous creates on ${name}`)
  let server: S3Server
  let proxy: FaultProxy
  let store: Store
  let direct: Store

  test.before(async () => {
    server = await start()
    const bucket = await server.createBucket()
    proxy = await startFaultProxy(server.endpoint)
    const open = (endpoint: string) =>
      openS3Store({
        ...{ bucket, prefix: '', endpoint, region: server.region, style: 'path' },
        credentials: () => server,
      })
    store = await open(proxy.endpoint)
    direct = await open(server.endpoint)
  })

  test.before.each(() => {
    proxy.decide = () => 'pass'
  })

  test.after(async () => {
    await store.close()
    await direct.close()
    await proxy.stop()
    await server.stop()
  })

  test('a create whose answer is lost has landed, and the second one says so', async () => {
    proxy.decide = ({ method }) => (method === 'PUT' ? 'lose-answer' : 'pass')
    assert.is((await failure(store.create('answer', body, { timeoutMs }))).definite, false)
    proxy.decide = () => 'pass'
    assert.equal(await store.create('answer', body, { timeoutMs }), { result: 'exists' })
    assert.is(await read('answer'), 'mine')
  })

  test('a create that is lost has not landed, and the second one wins', async () => {
    proxy.decide = () => 'lose-request'
    assert.is((await failure(store.create('request', body, { timeoutMs }))).definite, false)
    proxy.decide = () => 'pass'
    assert.is(await read('request'), null)
    assert.is((await store.create('request', body, { timeoutMs })).result, 'created')
  })

  test('a create that is late lands after its deadline', async () => {
    proxy.decide = () => ({ delayMs: 300 })
    const error = await failure(store.create('late', body, { timeoutMs: 50 }))
    assert.equal([error.reason, error.definite], ['timeout', false])
    assert.is(await read('late'), null)
    await until(() => !proxy.isBusy())
    assert.is(await read('late'), 'mine')
  })

  test('a create that is late changes nothing where another was faster', async () => {
    proxy.decide = () => ({ delayMs: 300 })
    await failure(store.create('raced', body, { timeoutMs: 50 }))
    const rival = await direct.create('raced', Buffer.from('theirs'), { timeoutMs })
    assert.is(rival.result, 'created')
    await until(() => !proxy.isBusy())
    assert.is(await read('raced'), 'theirs')
  })

  test('a store that stands still is a deadline, and is itself again afterwards', async () => {
    server.pause()
    // A stopped process may still answer what it was about to.
    const reason = () => direct.get('paused', { timeoutMs: 200 }).catch((error) => error.reason)
    await until(async () => (await reason()) === 'timeout')
    const error = await failure(direct.create('paused', body, { timeoutMs: 200 }))
    server.resume()
    assert.equal([error.reason, error.definite], ['timeout', false])
    await direct.create('paused', body, { timeoutMs })
    assert.is(await read('paused'), 'mine')
  })

  test('a store that was killed and is back is reached again', async () => {
    await direct.create('before', body, { timeoutMs })
    await server.kill()
    await failure(direct.get('before', { timeoutMs: 1_000 }))
    await server.restart()
    assert.is(await read('before'), 'mine')
  })

  test.run()

  async function read(key: string): Promise<string | null> {
    const found = await direct.get(key, { timeoutMs })
    if (found === 'not-modified') throw new Error('not-modified without being asked')
    return found?.body.toString() ?? null
  }
}

async function failure(call: Promise<unknown>): Promise<StoreError> {
  const error = await call.then(
    () => new Error('did not fail'),
    (error) => error,
  )
  if (error instanceof StoreError) return error
  throw error
}
