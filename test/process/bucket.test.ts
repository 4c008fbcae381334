import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { AssumeRoleProvider } from 'minio/dist/esm/AssumeRoleProvider.mjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { startStrippingProxy } from '../store/stripping-proxy.ts'
import { makeFolder, removeFolder, waitFor } from '../support/processes.ts'
import { requireServers, type S3Server, startMinio } from '../support/servers.ts'
import { startService } from '../support/service.ts'

const test = suite('a bucket that is late, or unfit')

if (requireServers('a bucket that is late, or unfit', 'minio')) {
  let minio: S3Server
  test.before(async () => {
    minio = await startMinio()
  })
  test.after(() => minio?.stop())
  // Also after a test that failed: what stays open would keep the run from ending.
  const opened: (() => Promise<void>)[] = []
  test.after.each(async () => {
    for (const close of opened.splice(0)) await close()
  })

  const envOf = (server: S3Server, endpoint: string, bucket: string) => ({
    STORE_URL: `s3://${bucket}/some/prefix?endpoint=${endpoint}`,
    AWS_ACCESS_KEY_ID: server.accessKeyId,
    AWS_SECRET_ACCESS_KEY: server.secretAccessKey,
  })
  const create = { method: 'POST', body: JSON.stringify({ projectName: 'sockshop' }) }

  test('until the bucket is there it is alive, not ready, and says why; then it serves', async () => {
    await minio.kill()
    const service = await startService({
      env: envOf(minio, minio.endpoint, 'late-bucket'),
      until: 'listening',
    })
    const at = async (path: string) => {
      const answer = await fetch(service.url + path)
      return { status: answer.status, headers: answer.headers, text: await answer.text() }
    }
    const says = (sentence: RegExp) => async () => sentence.test((await at('/readyz?verbose')).text)

    await waitFor(says(/store not ok: .*ECONNREFUSED/), { what: 'the reason in /readyz' })
    assert.is((await at('/readyz')).status, 503)
    assert.is((await at('/startupz')).status, 503)
    assert.is((await at('/livez')).status, 200)
    assert.is((await at('/health')).status, 200)
    const early = await at('/v1/project/sockshop/resource')
    assert.is(early.status, 503)
    assert.ok(Number(early.headers.get('retry-after')) > 0)

    await minio.restart()
    await waitFor(says(/NoSuchBucket/), { what: 'the missing bucket in /readyz' })
    await minio.createBucket('late-bucket')
    await waitFor(async () => (await at('/readyz')).status === 200, { what: 'it to be ready' })
    assert.is((await at('/startupz')).status, 200)
    assert.is((await fetch(`${service.url}/v1/project`, create)).status, 204)

    const events = service.events().filter(({ event }) => event === 'store_failed')
    assert.ok(events.length >= 2 && events.length < 10, `${events.length} lines of the same`)
    await minio.kill()
    assert.is((await at('/readyz')).status, 200, 'an outage later on does not change readiness')
    assert.is(await service.stop(), 0, 'nor does it make the end fail')
    await service.dispose()
    await minio.restart()
  })

  test('a store that ignores If-None-Match is read and not written, and named', async () => {
    const proxy = await startStrippingProxy(minio)
    opened.push(() => proxy.stop())
    const bucket = await minio.createBucket()
    const good = await startService({ env: envOf(minio, minio.endpoint, bucket) })
    assert.is((await fetch(`${good.url}/v1/project`, create)).status, 204)

    const service = await startService({ env: envOf(minio, proxy.endpoint, bucket) })
    const read = await fetch(`${service.url}/v1/project/sockshop/resource`)
    assert.is(read.status, 200)
    const write = await fetch(`${service.url}/v1/project/sockshop/resource/a.yaml`, {
      method: 'PUT',
      body: '{"resourceContent":"aGVsbG8="}',
    })
    assert.is(write.status, 503)
    assert.match(await write.text(), /create-only does not refuse/)
    const ready = await (await fetch(`${service.url}/readyz?verbose`)).text()
    assert.match(ready, /create-only does not refuse/)
    await Promise.all([service.dispose(), good.dispose()])
  })

  test('a key that is rotated in its file is used without a restart, and never printed', async () => {
    const bucket = await minio.createBucket()
    const folder = makeFolder('keys')
    const path = `${folder}/secret`
    writeFileSync(path, 'wrong-at-first')
    const { AWS_SECRET_ACCESS_KEY: key, ...env } = envOf(minio, minio.endpoint, bucket)
    const service = await startService({
      env: { ...env, AWS_SECRET_ACCESS_KEY_FILE: path, LOG_LEVEL: 'debug' },
      until: 'listening',
    })
    const ready = async () => (await fetch(`${service.url}/readyz?verbose`)).text()
    await waitFor(async () => /SignatureDoesNotMatch/.test(await ready()), {
      what: 'the refused signature in /readyz',
    })
    writeFileSync(path, key)
    await waitFor(async () => (await fetch(`${service.url}/readyz`)).status === 200, {
      what: 'it to be ready with the new key',
    })
    const told = service.process.output()
    assert.not.match(told, key)
    assert.not.match(told, 'wrong-at-first')
    await service.dispose()
    removeFolder(folder)
  })

  test('keys that are swapped as the kubelet does it fail no request', async () => {
    const bucket = await minio.createBucket()
    const folder = makeFolder('keys')
    const names = ['accessKeyId', 'secretAccessKey', 'sessionToken'] as const
    let generation = 0
    const swap = async () => {
      const place = String(++generation)
      mkdirSync(join(folder, place))
      const key = await newKey()
      for (const name of names) writeFileSync(join(folder, place, name), key[name])
      symlinkSync(place, join(folder, 'next'))
      renameSync(join(folder, 'next'), join(folder, '..data'))
    }
    const newKey = async () => {
      const provider = new AssumeRoleProvider({
        stsEndpoint: minio.endpoint,
        accessKey: minio.accessKeyId,
        secretKey: minio.secretAccessKey,
        durationSeconds: 900,
        action: 'AssumeRole',
      })
      const key = await provider.getCredentials()
      return {
        accessKeyId: key.accessKey,
        secretAccessKey: key.secretKey,
        sessionToken: key.sessionToken ?? '',
      }
    }
    await swap()
    for (const name of names) symlinkSync(join('..data', name), join(folder, name))
    const service = await startService({
      env: {
        STORE_URL: `s3://${bucket}?endpoint=${minio.endpoint}`,
        AWS_ACCESS_KEY_ID_FILE: join(folder, 'accessKeyId'),
        AWS_SECRET_ACCESS_KEY_FILE: join(folder, 'secretAccessKey'),
        AWS_SESSION_TOKEN_FILE: join(folder, 'sessionToken'),
      },
    })
    const counts = new Map<number, number>()
    const send = async (path: string, method: string, body?: string) => {
      const { status } = await fetch(service.url + path, { method, ...(body && { body }) })
      counts.set(status, (counts.get(status) ?? 0) + 1)
    }
    await send('/v1/project', 'POST', '{"projectName":"p"}')
    let isOver = false
    const client = async (name: string) => {
      const path = `/v1/project/p/resource/${name}.yaml`
      for (let n = 0; !isOver; n++) {
        const resourceContent = Buffer.from(`${n}`).toString('base64')
        await send(path, 'PUT', JSON.stringify({ resourceContent }))
        await send(path, 'GET')
      }
    }
    const clients = ['a', 'b', 'c', 'd'].map(client)
    for (let swaps = 0; swaps < 4; swaps++) {
      await sleep(700)
      await swap()
    }
    isOver = true
    await Promise.all(clients)
    assert.ok((counts.get(200) ?? 0) > 20, `${[...counts]}`)
    assert.equal([...counts.keys()].sort(), [200, 204])
    const told = service.process.output()
    assert.not.match(told, /secret_failed|AccessDenied|SignatureDoesNotMatch/)
    await service.dispose()
    removeFolder(folder)
  })
}

test.run()
