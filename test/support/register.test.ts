import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { checkRegister, type RegisterOperation } from '../long/register.ts'
import { type Answer, checkHistory, type Operation } from '../simulation/linearizability.ts'
import { type Chance, chanceOf } from './chance.ts'

const test = suite('the checker of one file')

const born: Operation = {
  id: 'create',
  action: { kind: 'create' },
  invokedAt: -2,
  returnedAt: -1,
  answer: 'done',
}

/** The same history for the checker that tries every order. */
function searched({ id, kind, value, invokedAt, returnedAt }: RegisterOperation): Operation {
  const times = { id, invokedAt, returnedAt }
  if (kind === 'write') {
    const answer: Answer | null = returnedAt === Number.POSITIVE_INFINITY ? null : 'done'
    return { ...times, action: { kind: 'put', file: 'f', value: value ?? '' }, answer }
  }
  const answer = value === null ? 'resource_not_found' : `= ${value}`
  return { ...times, action: { kind: 'read', file: 'f' }, answer }
}

/** A few operations at once; reads see some value that was written somewhere, rightly or not. */
function randomHistory(chance: Chance): RegisterOperation[] {
  const writes = chance.between(1, 4)
  const values = [null, ...Array.from({ length: writes }, (_, index) => `v${index}`)]
  const operations: Pick<RegisterOperation, 'kind' | 'value'>[] = [
    ...values.slice(1).map((value) => ({ kind: 'write' as const, value })),
    ...Array.from({ length: chance.between(1, 5) }, () => ({
      kind: 'read' as const,
      value: chance.pick(values),
    })),
  ]
  return operations.map(({ kind, value }, index) => {
    const invokedAt = chance.between(0, 30) + index / 100
    const isUnknown = kind === 'write' && chance.happens(0.2)
    const returnedAt = isUnknown
      ? Number.POSITIVE_INFINITY
      : invokedAt + chance.between(1, 12) + 0.001
    return { id: `o${index}`, kind, value, invokedAt, returnedAt }
  })
}

test('it says what the search of all orders says, of 5,000 random histories', () => {
  const chance = chanceOf(20_261_122)
  const verdicts = { right: 0, wrong: 0 }
  for (let round = 0; round < 5_000; round++) {
    const history = randomHistory(chance)
    const said = checkRegister(history) === null
    const right = checkHistory([born, ...history.map(searched)]).linearizable
    assert.is(said, right, JSON.stringify(history))
    verdicts[said ? 'right' : 'wrong']++
  }
  assert.ok(Math.min(verdicts.right, verdicts.wrong) > 500, JSON.stringify(verdicts))
})

test('a value that nobody wrote is found', () => {
  const read = { id: 'r', kind: 'read', value: 'x', invokedAt: 1, returnedAt: 2 } as const
  assert.match(checkRegister([read]) ?? '', /saw what nobody wrote/)
})

test.run()
