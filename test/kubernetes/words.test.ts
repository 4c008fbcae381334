import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { controlNames, controls } from './controls.ts'
import { scenarioNames, scenarios } from './scenarios.ts'
import { help, listing, readWords } from './words.ts'

const test = suite('words of the gate on Kubernetes')

test('no words are all scenarios, with nothing but POST', () => {
  assert.equal(readWords([]), { scenarios: scenarioNames, postsOnly: true })
})

test('scenarios are played in their own order, however they are named', () => {
  const words = readWords(['--scenario', 'kill', '--scenario', 'upgrade', '--load', 'mixed'])
  assert.equal(words, { scenarios: ['upgrade', 'kill'], postsOnly: false })
})

test('what there is not is told in words', () => {
  assert.match(String(readWords(['--scenario', 'rolls'])), /no scenario 'rolls'/)
  assert.match(String(readWords(['--control', 'nothing'])), /grace, unavailable/)
  assert.match(String(readWords(['--control', 'grace', '--scenario', 'one'])), /its own scenario/)
  assert.match(String(readWords(['--load', 'heavy'])), /posts or mixed/)
  assert.match(String(readWords(['--rounds'])), /--rounds/)
})

test('the scenario after which nobody can go on is the last', () => {
  const last = scenarioNames.filter((name) => 'isLast' in scenarios[name])
  assert.equal(last, scenarioNames.slice(-1))
})

test('help and listing name all that there is', () => {
  for (const name of scenarioNames) assert.match(listing(), name)
  for (const name of controlNames) {
    assert.match(help, name)
    assert.ok(scenarioNames.includes(controls[name].scenario))
  }
})

test.run()
