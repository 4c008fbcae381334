import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Action, type Answer, checkHistory, type Operation } from './linearizability.ts'

const test = suite('linearizability checker')

let ids = 0
function operation(
  action: Action,
  [invokedAt, returnedAt]: [number, number],
  answer: Answer | null,
): Operation {
  return { id: `o${++ids}`, action, invokedAt, returnedAt, answer }
}

const create = (at: [number, number], answer: Answer = 'done') =>
  operation({ kind: 'create' }, at, answer)
const drop = (at: [number, number]) => operation({ kind: 'delete' }, at, 'done')
const undelete = (at: [number, number], answer: Answer = 'done') =>
  operation({ kind: 'undelete' }, at, answer)
const put = (value: string, at: [number, number], answer: Answer | null = 'done') =>
  operation({ kind: 'put', file: 'f', value }, at, answer)
const swap = (expected: string, value: string, at: [number, number], answer: Answer) =>
  operation({ kind: 'put', file: 'f', value, expected }, at, answer)
const read = (value: string | null, at: [number, number]) =>
  operation({ kind: 'read', file: 'f' }, at, value === null ? 'resource_not_found' : `= ${value}`)

const holds = (...history: Operation[]) =>
  assert.is(checkHistory(history).linearizable, true, JSON.stringify(checkHistory(history)))
const fails = (...history: Operation[]) => assert.is(checkHistory(history).linearizable, false)

test('one client after the other: the last value is read', () => {
  holds(create([1, 2]), put('a', [3, 4]), put('b', [5, 6]), read('b', [7, 8]))
})

test('a read beside a write may see either value', () => {
  holds(create([1, 2]), put('a', [3, 4]), put('b', [5, 9]), read('a', [6, 7]))
  holds(create([1, 2]), put('a', [3, 4]), put('b', [5, 9]), read('b', [6, 7]))
})

test('what was deleted last comes back, and only that', () => {
  const deleted = [create([1, 2]), put('a', [3, 4]), drop([5, 6])]
  holds(...deleted, undelete([7, 8]), read('a', [9, 10]))
  holds(...deleted, create([7, 8]), drop([9, 10]), undelete([11, 12]), read(null, [13, 14]))
  fails(...deleted, create([7, 8]), drop([9, 10]), undelete([11, 12]), read('a', [13, 14]))
  fails(...deleted, create([7, 8]), undelete([9, 10]))
  holds(undelete([1, 2], 'project_not_found'), create([3, 4]), undelete([5, 6], 'project_exists'))
})

test('a stale read is found', () => {
  fails(create([1, 2]), put('a', [3, 4]), put('b', [5, 6]), read('a', [7, 8]))
})

test('two reads that see a write come and go are found', () => {
  fails(create([1, 2]), put('a', [3, 4]), put('b', [5, 20]), read('b', [6, 7]), read('a', [8, 9]))
})

test('a lost write is found', () => {
  fails(create([1, 2]), put('a', [3, 4]), read(null, [5, 6]))
})

test('a write that takes effect twice is found', () => {
  fails(create([1, 2]), put('a', [3, 4]), put('b', [5, 6]), read('b', [7, 8]), read('a', [9, 10]))
})

test('a write of unknown outcome may come late, never, but not twice', () => {
  const late = () => put('a', [3, Number.POSITIVE_INFINITY], null)
  holds(create([1, 2]), late(), put('b', [5, 6]), read('b', [7, 8]), read('a', [9, 10]))
  holds(create([1, 2]), late(), put('b', [5, 6]), read('b', [7, 8]))
  fails(create([1, 2]), late(), read('a', [4, 5]), put('b', [6, 7]), read('a', [8, 9]))
})

test('a write of unknown outcome does not come before its call', () => {
  fails(create([1, 2]), read('a', [3, 4]), put('a', [5, Number.POSITIVE_INFINITY], null))
})

test('of two that compare and set the same value one has to be refused', () => {
  const start = () => [create([1, 2]), put('a', [3, 4])] as const
  holds(...start(), swap('a', 'b', [5, 9], 'done'), swap('a', 'c', [5, 9], 'precondition_failed'))
  fails(...start(), swap('a', 'b', [5, 9], 'done'), swap('a', 'c', [5, 9], 'done'))
})

test('a refusal has to be true at some instant of its call', () => {
  fails(create([1, 2]), create([3, 4]))
  holds(create([1, 2]), create([3, 4], 'project_exists'))
  fails(create([1, 2]), put('a', [3, 4], 'project_not_found'))
  holds(create([1, 2]), drop([3, 8]), put('a', [4, 7], 'project_not_found'))
})

test('a project made again begins empty', () => {
  const before = () => [create([1, 2]), put('a', [3, 4]), drop([5, 6]), create([7, 8])] as const
  holds(...before(), read(null, [9, 10]))
  fails(...before(), read('a', [9, 10]))
})

test('a deletion that found nothing may as well have come later', () => {
  holds(
    create([1, 5]),
    drop([2, 6]),
    operation({ kind: 'read', file: 'f' }, [7, 8], 'project_not_found'),
  )
})

test('fifty operations side by side are decided', () => {
  const writes = Array.from({ length: 25 }, (_, i) => put(`${i}`, [10 + i, 100 + i]))
  const reads = Array.from({ length: 25 }, (_, i) => read(`${i}`, [50 + i, 130 + i]))
  holds(create([1, 2]), ...writes, ...reads)
})

test.run()
