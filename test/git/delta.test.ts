import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { applyDelta } from '../../src/git/delta.ts'

const test = suite('delta')
const base = Buffer.alloc(0x20000, 'ab')

/** Sizes of base and result, then instructions. */
function delta(resultSize: number, ...instructions: number[]): Buffer {
  return Buffer.from([...sizeOf(base.length), ...sizeOf(resultSize), ...instructions])
}

function sizeOf(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...sizeOf(Math.floor(value / 128))]
}

test('new bytes and copies are put together in their order', () => {
  const made = applyDelta(base, delta(6, 2, 0x78, 0x79, 0x91, 1, 3, 1, 0x7a))
  assert.is(made.toString(), 'xybabz')
})

test('a copy that names no size takes 64 KiB', () => {
  assert.is(applyDelta(base, delta(0x10000, 0x80)).length, 0x10000)
})

test('a copy takes its offset and size from the bytes that its command names', () => {
  const made = applyDelta(base, delta(0x101, 0x80 | 4 | 1 | 0x20 | 0x10, 0xff, 1, 1, 1))
  assert.ok(made.equals(base.subarray(0x100ff, 0x10200)))
})

test('a delta that is broken, or of another base, is refused', () => {
  const wrong: [Buffer, RegExp][] = [
    [delta(1, 0), /unknown kind/],
    [delta(3, 2, 0x78), /cut off/],
    [delta(1, 0x91), /cut off/],
    [delta(1, 0x97, 0xff, 0xff, 0xff, 1), /beyond its base/],
    [delta(2, 1, 0x78), /another size/],
    [delta(0, 1, 0x78), /another size/],
    [Buffer.from([1, 1, 1, 0x78]), /another base/],
    [Buffer.from([0xff]), /cut off/],
    [Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), /4 GiB/],
  ]
  for (const [bytes, sentence] of wrong) assert.throws(() => applyDelta(base, bytes), sentence)
})

test('a delta that copies without end is stopped at the size that it says', () => {
  const bomb = Buffer.concat([delta(0x10000), Buffer.alloc(1_000_000, 0x80)])
  assert.throws(() => applyDelta(base, bomb), /another size/)
})

test.run()
