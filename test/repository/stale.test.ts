import { suite } from 'uvu'
import * as assert from 'uvu/assert'

import { ServiceError } from '../../src/errors.ts'
import type { Oid } from '../../src/git/objects.ts'
import type { ReadOptions, View } from '../../src/repository/repository.ts'
import { away, createFaultyStore, type FaultyStore } from '../support/faulty-store.ts'
import { type Bench, openBench, projectName } from '../support/repositories.ts'
import { createProject, fileOf, putFile } from '../support/requests.ts'
import { createTestClock, type TestClock } from '../support/test-clock.ts'

const test = suite<{ bench: Bench; clock: TestClock; store: FaultyStore; tip: Oid }>('stale reads')
const project = projectName('sockshop')

test.before.each(async (context) => {
  context.clock = createTestClock()
  context.bench = await openBench({ clock: context.clock })
  context.store = createFaultyStore(context.bench.store)
  context.bench.repositories = context.bench.another({ store: context.store })
  await context.bench.repositories.write(project, createProject())
  const { commit } = await context.bench.repositories.write(project, putFile('a.yaml', 'one'))
  context.tip = commit as Oid
})
test.after.each(async ({ bench }) => {
  await bench.close()
})

const read = ({ bench }: { bench: Bench }, options: Partial<ReadOptions>) =>
  bench.repositories
    .read(project, (view: View) => fileOf(view, 'a.yaml'), { timeoutMs: 10_000, ...options })
    .catch((error) => error.code)

test('while the store is away a file is answered from the state at hand, and says so', async (context) => {
  context.store.before = away
  context.clock.advance(60_000)
  assert.equal(await read(context, { mayBeStale: true }), {
    value: 'one',
    proof: { ageSeconds: 60, stale: true, immutable: false },
  })
})

test('what may not be stale is not answered while the store is away', async (context) => {
  context.store.before = away
  assert.is(await read(context, {}), 'store_unavailable')
})

test('an old proof serves nobody', async (context) => {
  context.store.before = away
  context.clock.advance(301_000)
  assert.is(await read(context, { mayBeStale: true }), 'store_unavailable')
})

test('a store that is away proves no absence', async ({ bench, store }) => {
  store.before = away
  const refuse = async (): Promise<never> => {
    throw new Error('not found')
  }
  const options = { timeoutMs: 10_000, mayBeStale: true }
  await bench.repositories.read(project, refuse, options).then(
    () => assert.unreachable(),
    (error) => assert.is(error.code, 'store_unavailable'),
  )
})

test('max-stale answers without asking the store, within its seconds', async (context) => {
  const asked = context.store.calls.length
  context.clock.advance(4_000)
  const answer = await read(context, { maxStaleSeconds: 5 })
  assert.equal(answer.proof, { ageSeconds: 4, stale: false, immutable: false })
  assert.is(context.store.calls.length, asked)
  context.clock.advance(2_000)
  assert.is((await read(context, { maxStaleSeconds: 5 })).proof.ageSeconds, 0)
  assert.ok(context.store.calls.length > asked)
})

test('max-stale finds out about what the state at hand lacks', async (context) => {
  const { bench } = context
  const other = bench.another()
  await other.write(project, putFile('b.yaml', 'two'))
  const work = async (view: View) => {
    const found = await fileOf(view, 'b.yaml')
    if (found === null) throw new ServiceError('resource_not_found', 'Resource not found')
    return found
  }
  const options = { timeoutMs: 10_000, maxStaleSeconds: 300 }
  assert.is((await bench.repositories.read(project, work, options)).value, 'two')
})

test('a read at a commit asks nobody, until it must learn whether the project is still there', async (context) => {
  const asked = context.store.calls.length
  const answer = await read(context, { at: context.tip })
  assert.equal(answer, { value: 'one', proof: { ageSeconds: 0, stale: false, immutable: true } })
  assert.is(context.store.calls.length, asked)
  context.clock.advance(11_000)
  await read(context, { at: context.tip })
  assert.ok(context.store.calls.length > asked)
})

test('an unknown commit is refused only after a fresh look', async (context) => {
  const { commit } = await context.bench.another().write(project, putFile('a.yaml', 'two'))
  const options = { timeoutMs: 10_000, at: commit as Oid }
  const { value } = await context.bench.repositories.read(
    project,
    (view: View) => fileOf(view, 'a.yaml', commit as Oid),
    options,
  )
  assert.is(value, 'two')
  assert.is(await read(context, { at: 'f'.repeat(40) as Oid }), 'commit_not_found')
})

test.run()
