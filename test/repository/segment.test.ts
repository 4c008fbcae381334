import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { coverAll, findJoinable, type SegmentInfo } from '../../src/repository/segment.ts'

const test = suite('segments of a log')

/** Segments side by side, each as long as it says. */
function segments(...lengths: { entries: number; mib?: number; incarnation?: number }[]) {
  let seq = 0
  return lengths.map(({ entries, mib = 0, incarnation = 1 }): SegmentInfo => {
    const from = seq + 1
    seq += entries
    const sizeBytes = mib * 2 ** 20
    return { from, to: seq, incarnation, sizeBytes, sha256: `${from}`, indexSha256: `${from}` }
  })
}

const several = (count: number, entries: number) =>
  Array.from({ length: count }, () => ({ entries }))

test('four of about one length are joined, the oldest first', () => {
  assert.is(findJoinable(segments(...several(3, 64))), null)
  assert.equal(findJoinable(segments(...several(4, 64))), { at: 0, count: 4 })
  assert.equal(findJoinable(segments({ entries: 256 }, ...several(5, 64))), { at: 1, count: 4 })
  assert.equal(findJoinable(segments(...several(4, 256), ...several(4, 64))), { at: 0, count: 4 })
  assert.is(findJoinable(segments(...several(3, 256), ...several(3, 64))), null)
})

test('a log of any length ends up with three of each length at the most', () => {
  let list: SegmentInfo[] = []
  for (let count = 1; count <= 1_000; count++) {
    list.push(...segments(...several(count, 64)).slice(-1))
    for (let found = findJoinable(list); found; found = findJoinable(list)) {
      const parts = list.slice(found.at, found.at + found.count)
      const [first] = parts as [SegmentInfo]
      list = list.toSpliced(found.at, found.count, { ...first, to: parts.at(-1)?.to as number })
    }
    assert.ok(coverAll(list, 64 * count))
    assert.ok(list.length <= 15, `${list.length} segments`)
  }
})

test('nothing is joined beyond 4 MiB, and nothing over the end of an incarnation', () => {
  const large = { entries: 64, mib: 1.5 }
  assert.is(findJoinable(segments(large, large, large, large)), null)
  const other = { entries: 64, incarnation: 2 }
  assert.is(findJoinable(segments(...several(3, 64), other, other, other)), null)
  assert.equal(findJoinable(segments({ entries: 3 }, other, other, other, other)), {
    at: 1,
    count: 4,
  })
})

test('a list with a gap does not cover a log', () => {
  const list = segments(...several(3, 64))
  assert.ok(coverAll(list, 192))
  assert.not.ok(coverAll(list, 193))
  assert.not.ok(coverAll(list.toSpliced(1, 1), 192))
  assert.not.ok(coverAll(list.slice(1), 192))
  assert.ok(coverAll([], 0))
})

test.run()
