import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Excuse, judge } from './excuses.ts'
import type { LedgerLine } from './ledger.ts'

const test = suite('failures that a scenario brings about itself')

const startedAtMs = 1_000_000
const excuse: Excuse = {
  why: 'it was killed',
  fromMs: startedAtMs + 500,
  untilMs: startedAtMs + 600,
  failure: /^502 /,
}

function lineOf(id: string, part: Partial<LedgerLine> = {}): LedgerLine {
  const line = {
    id,
    kind: 'post',
    project: 'short-0',
    file: 'a',
    sentMs: 400,
    tookMs: 150,
  } as const
  return { ...line, failure: '502 Bad Gateway', ...part }
}

function judged(excuses: Excuse[], failures: LedgerLine[], complaints: string[] = []) {
  const seen = { failures, complaints, refused: [], startedAtMs }
  const { excused, ...rest } = judge(excuses, seen)
  const idsOf = (lines: LedgerLine[]) => lines.map(({ id }) => id)
  return {
    left: idsOf(rest.failures),
    excused: excused.map(({ lines }) => idsOf(lines)),
    complaints: rest.complaints,
  }
}

test('only those are excused that were under way then and failed in that way', () => {
  const { left, excused } = judged(
    [excuse],
    [
      lineOf('under way'),
      lineOf('later', { sentMs: 601 }),
      lineOf('before', { tookMs: 99 }),
      lineOf('otherwise', { failure: '500 Internal' }),
      lineOf('within', { sentMs: 520, tookMs: 10 }),
    ],
  )
  assert.equal(excused, [['under way', 'within']])
  assert.equal(left, ['later', 'before', 'otherwise'])
})

test('and no more than the scenario can explain', () => {
  const { left, excused } = judged([{ ...excuse, most: 1 }], [lineOf('one'), lineOf('two')])
  assert.equal([excused, left], [[['one']], ['two']])
})

test('with each goes what nginx says of it, and nothing else of what it says', () => {
  const uri = '/api/resource-service/v1/project/short-0/stage/production/resource'
  const access = `502 502 127.0.0.1:1 POST ${uri} 1 0.1`
  const error = `recv() failed (104: Connection reset by peer), request: "POST ${uri} HTTP/1.1"`
  const read = access.replace('POST', 'GET')
  const other = access.replace('short-0', 'short-1')
  const seen = [access, access, error, error, read, other]
  assert.equal(judged([excuse], [lineOf('one')], seen).complaints, [access, error, read, other])
  const slow = lineOf('one', { kind: 'slow' })
  assert.equal(judged([excuse], [slow], seen).complaints, seen, 'it does not pass through nginx')
})

test('connections are excused only where a replica that was killed refused them', () => {
  const refused = ['connect ECONNREFUSED 127.0.0.1:4001', 'connect ECONNREFUSED 127.0.0.1:4002']
  const seen = { failures: [], complaints: [], refused, startedAtMs }
  assert.equal(judge([excuse], seen).refused, refused)
  assert.equal(judge([{ ...excuse, port: 4_001 }], seen).refused, [refused[1]])
})

test.run()
