import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Ledger, LedgerLine } from '../gate/ledger.ts'
import { excuse } from './excuses.ts'

const test = suite('what a kill excuses')
const reset = 'ECONNRESET read ECONNRESET'
const startedAt = 1_000_000
const killAt = startedAt + 10_000

function ledgerOf(lines: Partial<LedgerLine>[]): Ledger {
  const whole = lines.map(
    (line, index): LedgerLine => ({
      ...{ id: `load ${index}`, kind: 'post', project: 'p', file: `${index}.yaml` },
      ...{ content: '', sentMs: 0, tookMs: 10 },
      ...line,
    }),
  )
  const files = new Map([['p', new Map<string, string | null>()]])
  for (const { file, content = null } of whole) files.get('p')?.set(file, content)
  const failures = whole.filter(({ failure }) => failure !== undefined)
  return { lines: whole, failures, acknowledged: new Map(), files }
}

const left = (lines: Partial<LedgerLine>[], kills = [killAt]) => {
  const { ledger, underWay, afterwards } = excuse(ledgerOf(lines), startedAt, kills)
  return { failures: ledger.failures.length, underWay, afterwards }
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

test('what a file holds after such a write is known again with the next that was acknowledged', () => {
  const failed = { sentMs: 9_000, tookMs: 1_100, failure: reset, file: 'a' }
  const files = (lines: Partial<LedgerLine>[]) =>
    excuse(ledgerOf(lines), startedAt, [killAt]).ledger.files.get('p')
  assert.is(files([{ file: 'a' }, failed])?.has('a'), false)
  assert.is(files([failed, { file: 'a', sentMs: 12_000, content: 'x' }])?.get('a'), 'x')
})

test.run()
