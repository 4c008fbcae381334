import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { kinds } from './kinds.ts'
import { type Plan, planOf } from './plan.ts'

const test = suite('what the faults are asked for')

function planned(...words: string[]): Plan {
  const asked = planOf(words)
  if (!('plan' in asked)) throw new Error(JSON.stringify(asked))
  return asked.plan
}

const roundsOf = ({ kinds, roundsOf }: Plan) => kinds.map(roundsOf)

test('the whole campaign kills a hundred times, and breaks every line in every way', () => {
  const plan = planned()
  const killed = plan.kinds.filter(({ name }) => name.startsWith('kill-'))
  assert.is(
    killed.reduce((sum, kind) => sum + plan.roundsOf(kind), 0),
    100,
  )
  assert.is(new Set(kinds.map(({ name }) => name)).size, kinds.length)
  for (const line of ['gateway-replica', 'replica-bucket', 'replica-redis']) {
    assert.is(kinds.filter(({ name }) => name.startsWith(line)).length, 5)
  }
})

test('the short form has every kind, once', () => {
  const plan = planned('--short')
  assert.is(plan.kinds.length, kinds.length)
  assert.equal(new Set(roundsOf(plan)), new Set([1]))
})

test('kinds, rounds and a seed can be named', () => {
  const plan = planned(
    '--kind',
    'kill-redis',
    '--kind',
    'full-store',
    '--rounds',
    '3',
    '--seed',
    '9',
  )
  assert.equal(
    plan.kinds.map(({ name }) => name),
    ['kill-redis', 'full-store'],
  )
  assert.equal(roundsOf(plan), [3, 3])
  assert.is(plan.seed, 9)
})

test('what does not exist is told', () => {
  assert.match(JSON.stringify(planOf(['--kind', 'rain'])), 'there is no fault rain')
  assert.match(JSON.stringify(planOf(['--rounds', '0'])), '--rounds takes a whole number')
  assert.match(JSON.stringify(planOf(['--wrong'])), 'problem')
  assert.match(JSON.stringify(planOf(['--list'])), 'stop-nginx')
})

test.run()
