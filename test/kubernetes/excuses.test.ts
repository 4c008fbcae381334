import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { countExcused, judge } from '../gate/excuses.ts'
import type { LedgerLine } from '../gate/ledger.ts'
import { afterwards, excusesOf, type Span, underWay } from './excuses.ts'

const test = suite('what a kill excuses')
const reset = 'ECONNRESET read ECONNRESET'
const startedAtMs = 1_000_000
const killAt = startedAtMs + 10_000

const left = (lines: Partial<LedgerLine>[], kills = [killAt], away: Span[] = []) => {
  const failures = lines.map(
    (line, index): LedgerLine => ({
      ...{ id: `load ${index}`, kind: 'post', project: 'p', file: `${index}.yaml` },
      ...{ blob: '', sentMs: 0, tookMs: 10 },
      ...line,
    }),
  )
  const judged = judge(excusesOf(kills, away), {
    ...{ failures, complaints: [], refused: [], startedAtMs },
  })
  return {
    failures: judged.failures.length,
    underWay: countExcused(judged, underWay),
    afterwards: countExcused(judged, afterwards),
  }
}

test('a connection that was open when the pod died, or led to it afterwards, is counted apart', () => {
  const lines = [
    { sentMs: 9_000, tookMs: 1_100, failure: reset },
    { sentMs: 10_500, tookMs: 3, failure: '502 <html>' },
  ]
  assert.equal(left(lines), { failures: 0, underWay: 1, afterwards: 1 })
})

test('nothing else is', () => {
  const none = { failures: 1, underWay: 0, afterwards: 0 }
  assert.equal(left([{ sentMs: 9_000, tookMs: 1_100, failure: '503 {}' }]), none)
  assert.equal(left([{ sentMs: 9_000, tookMs: 900, failure: reset }]), none)
  assert.equal(left([{ sentMs: 15_100, tookMs: 5, failure: reset }]), none)
  assert.equal(left([{ sentMs: 9_000, tookMs: 1_100, failure: reset }], []), none)
})

test('while the bucket is away an answer may say that it is stale; nothing else may fail then', () => {
  const away = [{ fromMs: startedAtMs + 8_000, untilMs: startedAtMs + 9_000 }]
  const said = { tookMs: 10, failure: 'stale, and says so' }
  assert.is(left([{ ...said, sentMs: 8_500 }], [], away).failures, 0)
  assert.is(left([{ ...said, sentMs: 9_500 }], [], away).failures, 1)
  assert.is(left([{ sentMs: 8_500, tookMs: 10, failure: '503 {}' }], [], away).failures, 1)
})

test.run()
