import { createHash, randomBytes } from 'node:crypto'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { compareUtf8 } from '../../src/store/keys.ts'
import { type ListedObject, type Store, StoreError } from '../../src/store/store.ts'

/** A store that holds nothing yet, and its kin. */
export interface StoreUnderTest {
  store: Store
  /** Another client of the same objects, as another process would have it. */
  openAgain(): Promise<Store>
  /** A client of a bucket (or folder) that is not there. */
  openMissing(): Promise<Store>
  /** A client whose credentials are wrong; null where the store has none. */
  openDenied: (() => Promise<Store>) | null
  close(): Promise<void>
}

export interface StoreAbilities {
  /** What becomes of a key with more than 255 bytes between two slashes. */
  longSegments: 'stored' | 'refused for good' | 'failed'
  /** A key may be the beginning of another up to a slash (`a` beside `a/b`). */
  keysBelowKeys: boolean
}

const timeoutMs = 30_000

/**
 * The one suite of the port: what is promised in `src/store/store.ts`, asked of a real store. Runs itself.
 * @param make opens a store that holds nothing; called once
 */
export function storeContract(
  name: string,
  make: () => Promise<StoreUnderTest>,
  { can }: { can: StoreAbilities },
): void {
  const test = suite(`store contract: ${name}`)
  let under: StoreUnderTest
  let store: Store
  let other: Store

  test.before(async () => {
    under = await make()
    store = under.store
    other = await under.openAgain()
  })

  test.after(async () => {
    await other.close()
    await store.close()
    await under.close()
  })

  const get = (key: string) => read(store, key)
  const create = (key: string, body: string) =>
    store.create(key, Buffer.from(body), { timeoutMs }).then(({ result }) => result)

  test('an absent key is null', async () => {
    assert.is(await store.get('absent', { timeoutMs }), null)
    assert.is(await store.get('absent/below/it', { timeoutMs }), null)
    assert.is(await store.get('absent', { timeoutMs, ifNoneMatch: '"x"' }), null)
  })

  test('what was created is read by every client', async () => {
    assert.is(await create('created/a', 'one'), 'created')
    assert.is((await get('created/a'))?.toString(), 'one')
    assert.is((await read(other, 'created/a'))?.toString(), 'one')
  })

  test('a folder of keys is no key', async () => {
    await create('folder/of/keys', 'x')
    assert.is(await get('folder'), null)
    assert.is(await get('folder/of'), null)
  })

  test('create on a taken key says so and changes nothing', async () => {
    await create('taken', 'first')
    const before = await stored(store, 'taken')
    assert.is(await create('taken', 'second'), 'exists')
    assert.is(await create('taken', 'first'), 'exists')
    const after = await stored(store, 'taken')
    assert.is(after.body.toString(), 'first')
    assert.is(after.etag, before.etag)
    assert.is(after.lastModifiedMs, before.lastModifiedMs)
  })

  test('create tells the ETag that get and list tell', async () => {
    const created = await store.create('etag', Buffer.from('x'), { timeoutMs })
    const { etag } = await stored(store, 'etag')
    assert.equal(created, { result: 'created', etag })
    assert.is((await listed(store, 'etag'))[0]?.etag, etag)
  })

  test('put writes over what is there and tells the new ETag', async () => {
    const first = await store.put('put', Buffer.from('one'), { timeoutMs })
    const second = await store.put('put', Buffer.from('two'), { timeoutMs })
    assert.is.not(first.etag, second.etag)
    const now = await stored(other, 'put')
    assert.is(now.body.toString(), 'two')
    assert.is(now.etag, second.etag)
  })

  test('puts of other bytes and the same length never share an ETag', async () => {
    const etags = new Set<string>()
    for (let i = 0; i < 50; i++) {
      etags.add((await store.put('puts', Buffer.from(`${i + 100}`), { timeoutMs })).etag)
    }
    assert.is(etags.size, 50)
  })

  test('create on a key that was put says that it exists', async () => {
    await store.put('put-first', Buffer.from('x'), { timeoutMs })
    assert.is(await create('put-first', 'y'), 'exists')
  })

  for (const [words, sizeBytes] of [
    ['an empty body', 0],
    ['a body of one byte', 1],
    ['a body of 64 KiB', 65_536],
    ['a body of 64 KiB and a byte', 65_537],
    ['a body of 30 MiB', 30 * 1_048_576],
  ] as const) {
    test(`${words} comes back as it was, created or put`, async () => {
      const body = randomBytes(sizeBytes)
      const key = `size/${sizeBytes}`
      assert.is((await store.create(`${key}-c`, body, { timeoutMs })).result, 'created')
      await store.put(`${key}-p`, body, { timeoutMs })
      assert.is(sha256(await get(`${key}-c`)), sha256(body))
      assert.is(sha256(await get(`${key}-p`)), sha256(body))
      const sizes = (await listed(store, `${key}-`)).map((object) => object.sizeBytes)
      assert.equal(sizes, [sizeBytes, sizeBytes])
      // A store may refuse before it has read a large body and close: then the answer may be lost.
      const again = await store
        .create(`${key}-c`, randomBytes(sizeBytes), { timeoutMs })
        .catch((error) => error)
      if (sizeBytes <= 65_537) assert.is(again.result, 'exists')
      else assert.ok(again.result === 'exists' || again.definite === false)
      assert.is(sha256(await get(`${key}-c`)), sha256(body))
    })
  }

  test('odd keys are kept as they are', async () => {
    for (const key of oddKeys) {
      assert.is(await create(`odd/${key}`, key), 'created', key)
      assert.is(await create(`odd/${key}`, key), 'exists', key)
    }
    for (const key of oddKeys) assert.is((await get(`odd/${key}`))?.toString(), key)
    const keys = (await listed(store, 'odd/')).map((object) => object.key.slice(4))
    assert.equal(keys, [...oddKeys].sort(compareUtf8))
  })

  test('odd prefixes and odd starts are taken as they are', async () => {
    for (const key of oddKeys) {
      const [first] = await listed(store, `odd/${key}`)
      assert.is(first?.key, `odd/${key}`)
    }
    const sorted = [...oddKeys].sort(compareUtf8)
    for (const [i, key] of sorted.entries()) {
      const page = await store.list({ prefix: 'odd/', startAfter: `odd/${key}`, timeoutMs })
      assert.is(page.objects[0]?.key, sorted[i + 1] && `odd/${sorted[i + 1]}`)
    }
  })

  test('what is no key is refused for good', async () => {
    for (const key of ['', '/a', 'a/', 'a//b', '.', '../a', 'a/../b', 'a/./b', 'a\0b', '\ud800']) {
      const error = await failure(store.create(key, Buffer.from('x'), { timeoutMs }))
      assert.is(error.definite, true, key)
      assert.is((await failure(store.get(key, { timeoutMs }))).definite, true, key)
    }
  })

  test('a segment longer than 255 bytes is stored or an error', async () => {
    const key = `long/${'x'.repeat(300)}`
    const attempt = store.create(key, Buffer.from('x'), { timeoutMs })
    if (can.longSegments === 'stored') assert.is((await attempt).result, 'created')
    else assert.is((await failure(attempt)).definite, can.longSegments === 'refused for good')
    assert.is((await listed(store, 'long/x')).length, can.longSegments === 'stored' ? 1 : 0)
  })

  test('a key below another key is stored or refused, never mixed up', async () => {
    await create('key', 'above')
    const attempt = store.create('key/below', Buffer.from('below'), { timeoutMs })
    if (can.keysBelowKeys) {
      assert.is((await attempt).result, 'created')
      assert.is((await get('key/below'))?.toString(), 'below')
    } else assert.instance(await failure(attempt), StoreError)
    assert.is((await get('key'))?.toString(), 'above')
  })

  test('a range gives the bytes asked for, cut short at the end', async () => {
    await create('range', '0123456789')
    const range = async (start: number, end: number) => {
      const object = await store.get('range', { range: { start, end }, timeoutMs })
      if (object === null || object === 'not-modified') throw new Error('no object')
      return object.body.toString()
    }
    assert.is(await range(0, 0), '0')
    assert.is(await range(2, 4), '234')
    assert.is(await range(8, 100), '89')
    assert.is(await range(0, 9), '0123456789')
    assert.is((await failure(range(10, 12))).reason, 'InvalidRange')
    assert.is(await store.get('no-range', { range: { start: 0, end: 1 }, timeoutMs }), null)
  })

  test('ifNoneMatch answers not-modified only while the ETag is the same', async () => {
    const { etag } = await store.put('none-match', Buffer.from('one'), { timeoutMs })
    assert.is(await store.get('none-match', { ifNoneMatch: etag, timeoutMs }), 'not-modified')
    await store.put('none-match', Buffer.from('two'), { timeoutMs })
    const object = await store.get('none-match', { ifNoneMatch: etag, timeoutMs })
    assert.ok(object !== null && object !== 'not-modified')
    assert.is(object.body.toString(), 'two')
  })

  test('times are those of the store and near to now', async () => {
    await create('times', 'x')
    const object = await stored(store, 'times')
    const page = await store.list({ prefix: 'times', timeoutMs })
    assert.ok(Math.abs(object.dateMs - Date.now()) < 60_000)
    assert.ok(Math.abs(page.dateMs - Date.now()) < 60_000)
    assert.ok(Math.abs(object.lastModifiedMs - object.dateMs) < 60_000)
    const shown = page.objects[0]?.lastModifiedMs ?? 0
    assert.is(Math.floor(shown / 1000), Math.floor(object.lastModifiedMs / 1000))
  })

  test('2,500 keys are listed in order, page by page, and from any key on', async () => {
    const keys = Array.from({ length: 2_500 }, (_, i) => `many/log/${sequence(i * 3)}.bundle`)
    await inParallel(50, shuffled(keys), (key) => create(key, 'x'))
    await create('many/log-else', 'x')
    const objects = await listed(store, 'many/log/')
    assert.equal(
      objects.map((object) => object.key),
      keys,
    )
    const small = await store.list({ prefix: 'many/log/', limit: 7, timeoutMs })
    assert.is(small.objects.length, 7)
    assert.is(small.next, keys[6])
    const whole = await store.list({ prefix: 'many/log/', timeoutMs })
    assert.is(whole.objects.length, 1_000)
    for (const at of [0, 1, 999, 1_000, 2_498, 2_499]) {
      for (const startAfter of [keys[at] ?? '', `many/log/${sequence(at * 3 + 1)}.bundle`]) {
        const page = await store.list({ prefix: 'many/log/', startAfter, limit: 3, timeoutMs })
        const next = keys.slice(at + 1, at + 4)
        assert.equal(
          page.objects.map((object) => object.key),
          next,
        )
        assert.is(page.next, at + 4 < keys.length ? (next[2] ?? null) : null)
      }
    }
  })

  test('start-after need not begin with the prefix', async () => {
    await create('start/b', 'x')
    const keys = async (startAfter: string) =>
      (await store.list({ prefix: 'start/', startAfter, timeoutMs })).objects.map(({ key }) => key)
    assert.equal(await keys('a'), ['start/b'])
    assert.equal(await keys('start'), ['start/b'])
    assert.equal(await keys('z'), [])
  })

  test('a delimiter rolls keys up, page by page', async () => {
    const names = ['a', 'a-b', 'a0', 'b', 'ö', '%41', 'z']
    for (const name of names) {
      await create(`roll/${name}/log/1`, 'x')
      await create(`roll/${name}/log/2`, 'x')
    }
    await create('roll/file', 'x')
    const expected = [...names.map((name) => `roll/${name}/`), 'roll/file'].sort(compareUtf8)
    for (const limit of [1, 2, 3, 1_000]) {
      const seen: string[] = []
      for (let startAfter: string | null = ''; startAfter !== null; ) {
        const page = await store.list({
          ...{ prefix: 'roll/', delimiter: '/', limit, timeoutMs },
          ...(startAfter === '' ? {} : { startAfter }),
        })
        const found = [...page.prefixes, ...page.objects.map(({ key }) => key)].sort(compareUtf8)
        assert.ok(found.length <= limit && (page.next === null || page.next === found.at(-1)))
        seen.push(...found)
        startAfter = page.next
      }
      assert.equal(seen, expected)
    }
  })

  test('a delimiter rolls up only after the prefix', async () => {
    await create('rolled/one/two/three', 'x')
    const page = await store.list({ prefix: 'rolled/one', delimiter: '/', timeoutMs })
    assert.equal(page.prefixes, ['rolled/one/'])
    const below = await store.list({ prefix: 'rolled/one/', delimiter: '/', timeoutMs })
    assert.equal(below.prefixes, ['rolled/one/two/'])
    const none = await store.list({ prefix: 'rolled/none/', delimiter: '/', timeoutMs })
    assert.equal([none.prefixes, none.objects, none.next], [[], [], null])
  })

  test('what was deleted is absent, in lists too, and may be created again', async () => {
    await create('deleted/deep/a', 'one')
    await store.delete('deleted/deep/a', { timeoutMs })
    assert.is(await get('deleted/deep/a'), null)
    assert.equal(await listed(store, 'deleted/'), [])
    const page = await store.list({ prefix: '', delimiter: '/', timeoutMs })
    assert.not.ok(page.prefixes.includes('deleted/'))
    assert.is(await create('deleted/deep/a', 'two'), 'created')
  })

  test('to delete what is absent is no error', async () => {
    await store.delete('never/was', { timeoutMs })
    await store.delete('never/was', { timeoutMs })
  })

  test('an aborted call fails at once, and one aborted before it began has no effect', async () => {
    const error = await failure(
      store.create('aborted', Buffer.from('x'), { timeoutMs, signal: AbortSignal.abort() }),
    )
    assert.equal([error.reason, error.definite], ['aborted', true])
    assert.is(await get('aborted'), null)
    for (const call of [
      (signal: AbortSignal) => store.get('aborted', { timeoutMs, signal }),
      (signal: AbortSignal) => store.list({ prefix: '', timeoutMs, signal }),
      (signal: AbortSignal) => store.delete('aborted', { timeoutMs, signal }),
      (signal: AbortSignal) => store.put('aborted', Buffer.from('x'), { timeoutMs, signal }),
    ]) {
      const controller = new AbortController()
      const pending = failure(call(controller.signal))
      controller.abort()
      assert.is((await pending).reason, 'aborted')
    }
  })

  test('one signal ends any number of calls, and nobody takes it for a leak', async () => {
    const warnings: Error[] = []
    const onWarning = (warning: Error) => warnings.push(warning)
    process.on('warning', onWarning)
    const controller = new AbortController()
    const { signal } = controller
    const pending = Array.from({ length: 50 }, (_, i) =>
      failure(store.get(`shared/${i}`, { timeoutMs, signal })),
    )
    controller.abort()
    for (const error of await Promise.all(pending)) assert.is(error.reason, 'aborted')
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', onWarning)
    assert.equal(warnings, [])
  })

  test('a create aborted midway is there whole or not at all, and a second one tells', async () => {
    const body = randomBytes(2_000_000)
    const outcomes = new Set<string>()
    for (let i = 0; i < 40; i++) {
      const controller = new AbortController()
      const pending = store.create(`midway/${i}`, body, { timeoutMs, signal: controller.signal })
      const timer = setTimeout(() => controller.abort(), i / 2)
      const first = await pending.catch((error: StoreError) => error)
      clearTimeout(timer)
      let isOpen = false
      // A server may refuse before it has read the body, and close: what it meant, another attempt tells.
      const ambiguous = (error: StoreError) => {
        if (error.definite !== false) throw error
        isOpen = true
        return { result: 'conflict' as const }
      }
      const again = await repeat(() =>
        store.create(`midway/${i}`, body, { timeoutMs }).catch(ambiguous),
      )
      if (first instanceof StoreError && first.definite && !isOpen) assert.is(again, 'created')
      if (!(first instanceof StoreError)) assert.is(again, 'exists')
      assert.is(sha256(await get(`midway/${i}`)), sha256(body))
      outcomes.add(first instanceof StoreError ? 'aborted' : 'answered')
    }
    assert.ok(outcomes.has('aborted'))
  })

  test('a deadline ends a call', async () => {
    const body = randomBytes(30 * 1_048_576)
    const error = await failure(store.put('deadline', body, { timeoutMs: 1 }))
    assert.is(error.reason, 'timeout')
    assert.is(await create('after-deadline', 'x'), 'created')
  })

  test('a missing bucket is an error, not absence', async () => {
    const missing = await under.openMissing()
    try {
      assert.instance(await failure(missing.get('a', { timeoutMs })), StoreError)
      assert.instance(await failure(missing.list({ prefix: '', timeoutMs })), StoreError)
      const error = await failure(missing.create('a', Buffer.from('x'), { timeoutMs }))
      assert.is(error.definite, true)
      assert.instance(await failure(missing.delete('a', { timeoutMs })), StoreError)
    } finally {
      await missing.close()
    }
  })

  test('refused credentials are an error, not absence', async () => {
    if (under.openDenied === null) return
    const denied = await under.openDenied()
    try {
      assert.instance(await failure(denied.get('created/a', { timeoutMs })), StoreError)
      assert.instance(await failure(denied.get('absent', { timeoutMs })), StoreError)
      assert.instance(await failure(denied.list({ prefix: '', timeoutMs })), StoreError)
      const error = await failure(denied.create('denied', Buffer.from('x'), { timeoutMs }))
      assert.is(error.definite, true)
      assert.is(await get('denied'), null)
    } finally {
      await denied.close()
    }
  })

  test('of 16 creators at once on each of 200 slots exactly one wins', async () => {
    const slots = Array.from({ length: 200 }, (_, i) => `slots/${sequence(i + 1)}.bundle`)
    await inParallel(8, slots, async (slot) => {
      const bodies = Array.from({ length: 16 }, (_, i) =>
        Buffer.from(`${slot} by ${i} `.repeat(40)),
      )
      const results = await Promise.all(
        bodies.map((body, i) =>
          repeat(() => (i % 2 === 0 ? store : other).create(slot, body, { timeoutMs })),
        ),
      )
      assert.is(results.filter((result) => result === 'created').length, 1, slot)
      const winner = bodies[results.indexOf('created')]
      assert.is((await read(other, slot))?.toString(), winner?.toString())
    })
    assert.is((await listed(store, 'slots/')).length, 200)
  })

  test('a closed store ends calls under way and refuses others', async () => {
    const closing = await under.openAgain()
    const pending = failure(closing.list({ prefix: '', timeoutMs }))
    await closing.close()
    assert.is((await pending).reason, 'closed')
    assert.is((await failure(closing.get('a', { timeoutMs }))).reason, 'closed')
  })

  test.run()
}

const oddKeys = [
  ...['a b', 'a+b', 'a%20b', '%', '%2F', '%25', 'a~b', `it's`, '"quoted"', '(round)', '[square]'],
  ...['a&b=c', 'what?', 'no#anchor', 'semi;colon', 'a:b', '@', '$', ',', '!', '*', '{}', '^', '|'],
  ...['<tag>', '`', 'ä', 'a\u0308', '日本語/ファイル', '😀', '\uff5e', '...', '.hidden', '-', '_'],
  ...['a.b/c.d', 'trailing ', 'Case', 'case', 'x'.repeat(255)],
  `${'long/'.repeat(180)}end`,
]

async function read(store: Store, key: string): Promise<Buffer | null> {
  const object = await store.get(key, { timeoutMs })
  if (object === 'not-modified') throw new Error('not-modified without being asked')
  return object?.body ?? null
}

async function stored(store: Store, key: string) {
  const object = await store.get(key, { timeoutMs })
  if (object === null || object === 'not-modified') throw new Error(`${key}: ${object}`)
  return object
}

async function listed(store: Store, prefix: string): Promise<ListedObject[]> {
  const objects: ListedObject[] = []
  for (let startAfter: string | null = ''; startAfter !== null; ) {
    const page = await store.list({ prefix, timeoutMs, ...(startAfter && { startAfter }) })
    objects.push(...page.objects)
    startAfter = page.next
  }
  return objects
}

/** What a call failed with; it must fail, and as the port says. */
async function failure(call: Promise<unknown>): Promise<StoreError> {
  const error = await call.then(
    () => new Error('did not fail'),
    (error) => error,
  )
  if (error instanceof StoreError) return error
  throw error
}

/** Repeats a create until the store has decided. */
async function repeat(create: () => ReturnType<Store['create']>): Promise<'created' | 'exists'> {
  for (;;) {
    const { result } = await create()
    if (result !== 'conflict') return result
  }
}

async function inParallel<T>(width: number, items: T[], work: (item: T) => Promise<unknown>) {
  const queue = [...items]
  const workers = Array.from({ length: width }, async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item)
  })
  await Promise.all(workers)
}

function shuffled<T>(items: T[]): T[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}

function sequence(number: number): string {
  return String(number).padStart(20, '0')
}

function sha256(bytes: Buffer | null): string | null {
  return bytes && createHash('sha256').update(bytes).digest('hex')
}
