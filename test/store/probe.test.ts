import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'minio'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openFileStore } from '../../src/store/file.ts'
import { probeStore, type RuledStore } from '../../src/store/probe.ts'
import { openS3Store } from '../../src/store/s3.ts'
import { lifecycleRules, replicationRules } from '../../src/store/s3-rules.ts'
import { type Store, StoreError } from '../../src/store/store.ts'
import {
  requireServers,
  type S3Server,
  startMinio,
  startVersityGateway,
} from '../support/servers.ts'
import { startStrippingProxy } from './stripping-proxy.ts'

const options = { timeoutMs: 10_000 }
const fit = { fit: true }

const test = suite('start-up probe')
let folder: string
let store: Store

test.before.each(async () => {
  folder = await mkdtemp(join(tmpdir(), 'probe-'))
  store = await openFileStore(folder)
})

test.after.each(async () => {
  await store.close()
  await rm(folder, { recursive: true })
})

test('the file store is fit, in under a second, and nothing is left of the probe', async () => {
  const startedMs = performance.now()
  assert.equal(await probeStore(store, options), fit)
  assert.ok(performance.now() - startedMs < 1_000)
  assert.equal((await store.list({ ...options, prefix: '' })).objects, [])
})

test('a store whose creators all win is unfit', async () => {
  await refuses(
    {
      create: async (key, body) => ({
        result: 'created',
        ...(await store.put(key, body, options)),
      }),
    },
    /^create-only does not refuse a key that is taken: created$/,
    /^create-only changes an object that exists$/,
    /^of creators at once more than one is told that it won$/,
  )
})

test('a store that keeps the bytes of one and tells another that it won is unfit', async () => {
  const told = new Set<string>()
  await refuses(
    {
      create: async (key, body) => {
        await store.create(key, Buffer.from(`not ${body}`), options)
        if (told.has(key)) return { result: 'exists' }
        told.add(key)
        return { result: 'created', etag: '"x"' }
      },
    },
    /^what was created is not read back at once$/,
    /^of creators at once the bytes of one are kept and another is told that it won$/,
  )
})

test('a store where nobody wins a race is unfit', async () => {
  await refuses({ create: async () => ({ result: 'exists' }) }, /of creators at once none wins/)
})

test('a store that does not know the condition is unfit', async () => {
  const reason = 'NotImplemented'
  await refuses(
    {
      create: async () => {
        throw new StoreError('no', { definite: false, reason })
      },
    },
    /cannot be created: not supported/,
  )
})

test('a store that never says absent is unfit', async () => {
  const something = { body: Buffer.from('page'), etag: '"x"', lastModifiedMs: 0, dateMs: 0 }
  await refuses(
    { get: async (key, more) => (await store.get(key, more)) ?? something },
    /^a key that was never written is not absent$/,
  )
})

test('a store that reads what was there before is unfit', async () => {
  await refuses(
    {
      put: async (key, body) => {
        if ((await store.get(key, options)) !== null) return { etag: '"x"' }
        return store.put(key, body, options)
      },
    },
    /^what was written over is not read back at once$/,
  )
})

test('a store whose lists lag or do not begin where they are told is unfit', async () => {
  const empty = { objects: [], prefixes: [], next: null, dateMs: 0 }
  await refuses({ list: async () => empty }, /^a list does not show what was written$/)
  await refuses(
    { list: ({ startAfter: _, ...more }) => store.list(more) },
    /^a list does not begin after the key that it was given$/,
  )
})

test('a rule of the bucket makes it unfit', async () => {
  await refuses({ bucketRules: async () => ['the bucket is replicated'] }, /replicated/)
})

test('a store that cannot be asked is no unfit store', async () => {
  const away = new StoreError('away', { definite: false, reason: 'ECONNRESET' })
  const broken = { ...store, get: () => Promise.reject(away) }
  assert.is(await probeStore(broken, options).catch((error) => error), away)
})

test('a store that does not answer a create in time is no unfit store', async () => {
  const late = new StoreError('late', { definite: false, reason: 'timeout' })
  const isRace = (key: string) => key.includes('-race')
  for (const isLate of [isRace, (key: string) => !isRace(key)]) {
    const create: Store['create'] = (key, body, more) =>
      isLate(key) ? Promise.reject(late) : store.create(key, body, more)
    const found = probeStore({ ...store, create }, options)
    assert.is(await found.catch((error) => error), late)
  }
})

test('of creators at once the one that won may be one that was not told', async () => {
  const won = new Set<string>()
  const create: Store['create'] = async (key, body, more) => {
    const isFirst = !won.has(key)
    won.add(key)
    const answer = await store.create(key, body, more)
    if (!isFirst || !key.includes('-race')) return answer
    throw new StoreError('the answer was lost', { definite: false, reason: 'ECONNRESET' })
  }
  assert.equal(await probeStore({ ...store, create }, options), fit)
})

test('of lifecycle rules those count that are enabled and reach our keys', () => {
  const rules = (inner: string) => lifecycleRules('a/b/', `<X><Rule>${inner}</Rule></X>`).length
  const enabled = '<Status>Enabled</Status>'
  const expire = '<Expiration><Days>1</Days></Expiration>'
  assert.is(rules(`${enabled}${expire}`), 1)
  assert.is(rules(`${enabled}<Filter><Prefix>a/</Prefix></Filter>${expire}`), 1)
  assert.is(rules(`${enabled}<Filter><Prefix>a/b/projects/</Prefix></Filter>${expire}`), 1)
  assert.is(rules(`${enabled}<Transition><Days>1</Days></Transition>`), 1)
  assert.is(rules(`<Status>Disabled</Status>${expire}`), 0)
  assert.is(rules(`${enabled}<Filter><Prefix>logs/</Prefix></Filter>${expire}`), 0)
  assert.is(rules(`${enabled}<Filter><Tag><Key>k</Key></Tag></Filter>${expire}`), 0)
  assert.is(rules(`${enabled}<AbortIncompleteMultipartUpload/>`), 0)
  const replication = `<X><Rule><ID>all</ID>${enabled}<Filter><Prefix></Prefix></Filter></Rule></X>`
  assert.equal(replicationRules('a/b/', replication), ['the bucket is replicated (rule "all")'])
})

test.run()

/** Each sentence must be there for a store in which these calls are another's. */
async function refuses(changes: Partial<RuledStore>, ...sentences: RegExp[]): Promise<void> {
  const found = await probeStore({ ...store, ...changes }, options)
  if (found.fit) throw new Error('was found fit')
  for (const sentence of sentences) {
    const names = found.failures.some((failure) => sentence.test(failure))
    assert.ok(names, `${sentence} in ${JSON.stringify(found.failures)}`)
  }
}

if (requireServers('start-up probe on Versity Gateway', 'versitygw')) {
  const versity = suite('start-up probe on Versity Gateway')
  versity('it is fit', async () => {
    const server = await startVersityGateway()
    const store = await open(server, await server.createBucket())
    assert.equal(await probeStore(store, options), fit)
    await store.close()
    await server.stop()
  })
  versity.run()
}

if (requireServers('start-up probe on MinIO', 'minio')) {
  const minio = suite('start-up probe on MinIO')
  let server: S3Server

  minio.before(async () => {
    server = await startMinio()
  })

  minio.after(() => server.stop())

  minio('it is fit, and nothing is left of the probe', async () => {
    const store = await open(server, await server.createBucket())
    assert.equal(await probeStore(store, options), fit)
    assert.equal((await store.list({ ...options, prefix: '' })).objects, [])
    await store.close()
  })

  minio('behind a proxy that strips If-None-Match it is refused, naming what failed', async () => {
    const proxy = await startStrippingProxy(server)
    const store = await open({ ...server, endpoint: proxy.endpoint }, await server.createBucket())
    const found = await probeStore(store, options)
    await store.close()
    await proxy.stop()
    assert.equal(found, {
      fit: false,
      failures: [
        'create-only does not refuse a key that is taken: created',
        'create-only changes an object that exists',
        'of creators at once more than one is told that it won',
      ],
    })
  })

  minio('a bucket whose objects expire is refused, naming the rule', async () => {
    const bucket = await server.createBucket()
    const store = await open(server, bucket)
    await setLifecycle(server, bucket)
    assert.equal(await probeStore(store, options), {
      fit: false,
      failures: ['the bucket has a lifecycle rule that removes or moves objects (rule "tidy")'],
    })
    await store.close()
  })

  minio('a missing bucket is an error, not unfitness', async () => {
    const store = await open(server, 'missing-bucket')
    const error = await probeStore(store, options).catch((error) => error)
    assert.is(error.reason, 'NoSuchBucket')
    await store.close()
  })

  minio.run()
}

function open(server: S3Server, bucket: string): Promise<RuledStore> {
  const { endpoint, region } = server
  return openS3Store({
    bucket,
    prefix: '',
    endpoint,
    region,
    style: 'path',
    credentials: () => server,
  })
}

async function setLifecycle(server: S3Server, bucket: string): Promise<void> {
  const client = new Client({
    ...{ endPoint: '127.0.0.1', port: server.port, useSSL: false, region: server.region },
    ...{ accessKey: server.accessKeyId, secretKey: server.secretAccessKey },
  })
  const rule = { ID: 'tidy', Status: 'Enabled', Filter: { Prefix: '' }, Expiration: { Days: 30 } }
  await client.setBucketLifecycle(bucket, { Rule: [rule] } as never)
}
