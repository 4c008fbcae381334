import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  conversionOf,
  type Decision,
  emptyState,
  fold,
  newFormatOf,
} from '../../src/cluster/state.ts'

const test = suite('what the cluster decided')

const at = '2026-01-01T00:00:00.000Z'
const expanded = (format: number, ...formats: number[]): Decision => ({
  kind: 'expanded',
  format,
  formats,
})
const target = (format: number): Decision => ({ kind: 'target', format, acceptIrreversible: false })
const agreed = (format: number): Decision => ({ kind: 'agreed', format })
const reached = (format: number): Decision => ({ kind: 'reached', format })
const withdrawn = (format: number): Decision => ({ kind: 'withdrawn', format, because: 'somebody' })

function after(...decisions: (Decision | null)[]) {
  return decisions.reduce(
    (state, decision, index) => fold(state, { seq: index + 1, at, decision }),
    emptyState,
  )
}

test('what projects have is what the first expansion found, until something is agreed', () => {
  assert.equal(after().formats, [])
  assert.equal(after(expanded(1, 1), expanded(2, 2)).formats, [1])
  assert.is(after(expanded(2, 1), expanded(1, 1)).expanded, 2, 'an older build takes nothing back')
})

test('a target is converted to only once it is agreed, and until it is reached', () => {
  const proposed = after(expanded(2, 1), target(2))
  assert.is(conversionOf(proposed), null)
  assert.equal(proposed.formats, [1])
  const going = after(expanded(2, 1), target(2), agreed(2))
  assert.is(conversionOf(going), 2)
  assert.equal(going.formats, [1, 2])
  assert.is(newFormatOf(going, 9), 2)
  const done = after(expanded(2, 1), target(2), agreed(2), reached(2))
  assert.is(conversionOf(done), null)
  assert.equal(done.formats, [2])
  assert.is(newFormatOf(done, 9), 2)
})

test('while another target is proposed nobody converts; withdrawn, the one before goes on', () => {
  const turned = after(expanded(2, 1), target(2), agreed(2), target(1))
  assert.is(conversionOf(turned), null)
  assert.equal(turned.formats, [1, 2])
  assert.is(conversionOf(fold(turned, { seq: 5, at, decision: withdrawn(1) })), 2)
  assert.is(conversionOf(fold(turned, { seq: 5, at, decision: agreed(1) })), 1)
})

test('what comes too late for its target changes nothing', () => {
  const turned = after(expanded(2, 1), target(2), agreed(2), target(1), agreed(1))
  for (const late of [reached(2), agreed(2), withdrawn(1), withdrawn(2)]) {
    assert.equal(fold(turned, { seq: 6, at, decision: late }), { ...turned, seq: 6 })
  }
  const proposed = after(expanded(2, 1), target(2), agreed(2), target(1))
  assert.equal(fold(proposed, { seq: 5, at, decision: reached(2) }).formats, [1, 2])
})

test('an unknown kind is passed over, and counted', () => {
  const before = after(expanded(1, 1))
  assert.equal(fold(before, { seq: 2, at, decision: null }), { ...before, seq: 2 })
})

test('a single project that may have another format keeps builds out that cannot handle it', () => {
  const state = after(expanded(2, 1), { kind: 'permitted', format: 2 })
  assert.equal(state.formats, [1, 2])
  assert.is(conversionOf(state), null)
  assert.is(newFormatOf(state, 9), 1)
})

test('new projects of an empty store take what its first build says', () => {
  assert.is(newFormatOf(after(), 2), 2)
  assert.is(newFormatOf(after(expanded(3, 2)), 9), 2)
})

test.run()
