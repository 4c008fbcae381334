import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Observer, silent } from '../../src/observe.ts'
import { openFileStore } from '../../src/store/file.ts'
import { observeStore } from '../../src/store/observed.ts'
import { type Store, StoreError } from '../../src/store/store.ts'
import { makeFolder, removeFolder } from '../support/processes.ts'

const test = suite('observed store')
const timeoutMs = 5_000

function told() {
  const counted: string[] = []
  const timed: string[] = []
  const observer: Observer = {
    ...silent,
    count: (_metric, labels) => void counted.push(Object.values(labels ?? {}).join(' ')),
    record: (_metric, value, labels) => {
      assert.ok(value >= 0 && value < 60, `${value} s`)
      timed.push(Object.values(labels ?? {}).join(' '))
    },
  }
  return { observer, counted, timed }
}

test('each call is counted by how it ended, and timed', async () => {
  const folder = makeFolder('observed')
  const { observer, counted, timed } = told()
  const store = observeStore(await openFileStore(folder), observer)
  const body = Buffer.from('body')
  await store.get('a', { timeoutMs })
  await store.create('a', body, { timeoutMs })
  await store.create('a', body, { timeoutMs })
  const found = await store.get('a', { timeoutMs })
  assert.ok(found !== null && found !== 'not-modified')
  await store.get('a', { timeoutMs, ifNoneMatch: found.etag })
  await store.put('b', body, { timeoutMs })
  await store.list({ prefix: '', timeoutMs })
  await store.delete('b', { timeoutMs })
  await store.close()
  removeFolder(folder)
  assert.equal(counted, [
    'get absent',
    'create ok',
    'create exists',
    'get ok',
    'get not_modified',
    'put ok',
    'list ok',
    'delete ok',
  ])
  assert.is(timed.length, counted.length)
})

test('a failure keeps its kind: refused where it is definite, else ambiguous', async () => {
  const { observer, counted } = told()
  const failing = (error: unknown) =>
    observeStore({ put: () => Promise.reject(error) } as unknown as Store, observer)
  const failures = [
    new StoreError('no', { definite: true, reason: 'AccessDenied' }),
    new StoreError('late', { definite: false, reason: 'timeout' }),
    new Error('a bug'),
  ]
  for (const failure of failures) {
    try {
      await failing(failure).put('a', Buffer.alloc(0), { timeoutMs })
      assert.unreachable()
    } catch (error) {
      assert.is(error, failure)
    }
  }
  assert.equal(counted, ['put refused', 'put ambiguous', 'put ambiguous'])
})

test.run()
