import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parseRfc3339, toRfc3339 } from '../../src/git/time.ts'

const test = suite('time')

test('a time is read as it was written', () => {
  assert.is(toRfc3339(1_795_300_000_007), '2026-11-21T22:26:40.007Z')
  const years = { min: -62_167_219_200_000, max: Date.UTC(9999, 11, 31) }
  fc.assert(fc.property(fc.integer(years), (ms) => assert.is(parseRfc3339(toRfc3339(ms)), ms)))
})

test('a time beyond the year 9999 is refused', () => {
  assert.throws(() => toRfc3339(Date.UTC(10_000, 0)), /no such year/)
  assert.throws(
    () => toRfc3339(Number.NaN),
    (error: unknown) => error instanceof RangeError,
  )
})

test('other forms and days that do not exist are no times', () => {
  for (const text of [
    '',
    '2026-11-21T22:26:40Z',
    '2026-11-21T22:26:40.007+00:00',
    '2026-11-21t22:26:40.007z',
    '2026-02-30T00:00:00.000Z',
    '2026-11-21T24:00:00.000Z',
    '2026-13-01T00:00:00.000Z',
    ' 2026-11-21T22:26:40.007Z',
    '2026-11-21T22:26:40.007Z\n',
  ]) {
    assert.is(parseRfc3339(text), null, text)
  }
})

test.run()
