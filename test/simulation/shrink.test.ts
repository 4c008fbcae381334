import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { runSchedule } from './schedule.ts'
import { describeSchedule, shrink } from './shrink.ts'

const test = suite('a failing schedule made short')

const hour = 3_600_000

/** A world of 200 facts that fails where all of some happen. */
const worldThatFailsOf = (guilty: readonly string[]) => {
  const all = Array.from({ length: 200 }, (_, at) => `fact ${at}`)
  return async (_: number, without: ReadonlySet<string>) => {
    const facts = all.filter((fact) => !without.has(fact))
    const isGuilty = guilty.every((fact) => facts.includes(fact))
    return { facts, story: ['it happened'], failures: isGuilty ? ['it is wrong'] : [] }
  }
}

test('nothing is left but what it fails of', async () => {
  for (const guilty of [['fact 0'], ['fact 7', 'fact 150'], ['fact 3', 'fact 99', 'fact 199']]) {
    const shrunk = await shrink(1, hour, worldThatFailsOf(guilty))
    assert.equal(shrunk?.result.facts, guilty)
    assert.ok((shrunk?.runs ?? 0) < 200, `${shrunk?.runs} runs`)
  }
})

test('one that does not fail is not made short', async () => {
  assert.is(await shrink(1, hour, worldThatFailsOf(['another'])), null)
})

test('the story tells the seed, what is left, and what is wrong', async () => {
  const shrunk = await shrink(5, hour, worldThatFailsOf(['fact 7']))
  const told = shrunk ? describeSchedule(5, shrunk) : ''
  for (const part of ['seed 5', '  fact 7\n', 'it happened', 'it is wrong'])
    assert.ok(told.includes(part), part)
})

test('a real schedule goes another way without some of its facts, and the same way each time', async () => {
  const whole = await runSchedule(7)
  const without = new Set(whole.facts.slice(0, 3))
  const [one, again] = [await runSchedule(7, without), await runSchedule(7, without)]
  assert.is(one.digest, again.digest)
  assert.is.not(one.digest, whole.digest)
  for (const fact of without) assert.not.ok(one.facts.includes(fact))
  assert.equal(one.failures, [])
})

test.run()
