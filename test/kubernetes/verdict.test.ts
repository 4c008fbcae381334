import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { sumUp, type Verdict } from './verdict.ts'

const test = suite('verdicts of the gate on Kubernetes')

const verdict = (more: Partial<Verdict> & { requests?: number; red?: string[] }): Verdict => {
  const { requests = 3_000, red = [], ...rest } = more
  return {
    scenario: 'upgrade',
    report: { failures: red, text: '', requests, posts: 0, replacements: 4 },
    excused: { underWay: 0, afterwards: 0, stale: 0 },
    ...{ failed: 0, lost: 0, untilReady: [3, 5], memory: [100], outcomes: [], seconds: 60 },
    ...rest,
  }
}

test('none failed bounds the rate by three in so many, without scenarios whose failures are excused', () => {
  const lines = sumUp([
    verdict({}),
    verdict({
      scenario: 'kill',
      requests: 7_000,
      excused: { underWay: 2, afterwards: 1, stale: 3 },
    }),
  ]).join('\n')
  assert.match(lines, 'GREEN upgrade          3000 requests, 0 failed, 0 lost, 4 pods drained')
  assert.match(lines, '2 + 1 with the pods that were killed')
  assert.match(lines, '3 stale, as they say, while the bucket was away')
  assert.match(lines, '10000 requests, 0 failed, 0 lost, 8 pods drained')
  assert.match(lines, 'none failed of 3000 where no pod was killed: fewer than 0.1000 % do (95 %)')
})

test('one that failed proves no bound', () => {
  const lines = sumUp([verdict({ failed: 1, red: ['failed: one'] })]).join('\n')
  assert.match(lines, 'RED   upgrade')
  assert.not.match(lines, '95 %')
})

test.run()
