import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openFileStore } from '../../src/store/file.ts'
import { openStoreIdentity } from '../../src/store/identity.ts'
import { type Store, StoreError } from '../../src/store/store.ts'

const test = suite('store identity')
const options = { timeoutMs: 10_000 }
let folder: string
let store: Store

test.before.each(async () => {
  folder = await mkdtemp(join(tmpdir(), 'identity-'))
  store = await openFileStore(folder)
})

test.after.each(async () => {
  await store.close()
  await rm(folder, { recursive: true })
})

test('whoever asks, and however many at once, is told the same', async () => {
  const asked = Array.from({ length: 8 }, () => openStoreIdentity(store, options))
  const [first, ...others] = await Promise.all(asked)
  assert.match(first?.storeId ?? '', /^[0-9a-f-]{36}$/)
  assert.ok(Math.abs(Date.parse(first?.createdAt ?? '') - Date.now()) < 60_000)
  for (const other of others) assert.equal(other, first)
  assert.equal(await openStoreIdentity(store, options), first)
})

test('an identity that cannot be read is never replaced', async () => {
  for (const body of ['', '{}', 'null', '{"storeId":7}', '{"storeId":"../../etc"}']) {
    await store.put('store.json', Buffer.from(body), options)
    const error = await openStoreIdentity(store, options).catch((error) => error)
    assert.is(error.reason, 'IdentityUnreadable', body)
    const found = await store.get('store.json', options)
    assert.ok(found !== null && found !== 'not-modified' && found.body.toString() === body)
  }
})

test('a store that does not answer is an error, and gets no identity', async () => {
  const away = new StoreError('away', { definite: false, reason: 'ECONNRESET' })
  const broken = { ...store, get: () => Promise.reject(away) }
  assert.is(await openStoreIdentity(broken, options).catch((error) => error), away)
  assert.is(await store.get('store.json', options), null)
})

test('a creator whose answer was lost finds its identity when it asks again', async () => {
  const lost = new StoreError('lost', { definite: false, reason: 'ECONNRESET' })
  const losing: Store = {
    ...store,
    create: async (...call) => {
      await store.create(...call)
      throw lost
    },
  }
  assert.is(await openStoreIdentity(losing, options).catch((error) => error), lost)
  const identity = await openStoreIdentity(losing, options)
  assert.equal(await openStoreIdentity(store, options), identity)
})

test.run()
