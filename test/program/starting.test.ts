import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { objectMemory } from '../../src/adapters.ts'
import { readConfig } from '../../src/config.ts'
import { tellStart } from '../../src/greeting.ts'
import { createLater, untilItWorks } from '../../src/later.ts'
import type { Lock } from '../../src/lock/lock.ts'
import { createRotatingLock } from '../../src/lock/rotating.ts'
import { createObserver } from '../../src/observer.ts'
import { createReadiness } from '../../src/readiness.ts'

const test = suite('starting')

test('ready comes with the last check, and a later outage does not take it back', () => {
  const turns: boolean[] = []
  const readiness = createReadiness({
    waitsFor: ['store', 'probe'],
    draining: () => false,
    onChange: (ready) => turns.push(ready),
  })
  assert.is(readiness.report().ready, false)
  readiness.tell('store', false, 'no answer')
  assert.is(readiness.report().checks.find(({ name }) => name === 'store')?.detail, 'no answer')
  readiness.tell('store', true, 'reached')
  assert.is(readiness.report().started, false)
  readiness.tell('probe', true, 'passed')
  assert.equal(turns, [true])
  readiness.tell('store', false, 'no answer')
  assert.is(readiness.report().ready, true)
})

test('what has to be changed about the settings is told once, as a warning', () => {
  const told: unknown[] = []
  const observer = createObserver({ level: 'error' })
  tellStart({
    config: readConfig({ TOKENS_FILE: '/tokens.json' }),
    observer: { ...observer, log: (...line) => void told.push(line) },
    tokens: undefined,
    warnings: ['OLD is called NEW now'],
  })
  observer.close()
  assert.equal(told.slice(1), [['warn', 'config_warning', { message: 'OLD is called NEW now' }]])
})

test('objects in memory take an eighth of what the process may use, and 128 MiB at the most', () => {
  assert.is(objectMemory(384 * 2 ** 20), 32 * 2 ** 20)
  assert.is(objectMemory(64 * 2 ** 30), 128 * 2 ** 20)
})

test('a drain ends readiness and not the start', () => {
  let draining = false
  const readiness = createReadiness({
    waitsFor: [],
    draining: () => draining,
    onChange: () => {},
  })
  assert.is(readiness.report().ready, true)
  draining = true
  const report = readiness.report()
  assert.is(report.ready, false)
  assert.is(report.started, true)
  assert.equal(
    report.checks.filter(({ ok }) => !ok).map(({ name }) => name),
    ['drain'],
  )
})

test('what is not there yet fails each call, and works once it is', async () => {
  interface Thing {
    value(): Promise<number>
  }
  const later = createLater<Thing>(() => new Error('not yet'))
  const failed = await later.standIn.value().catch((error: Error) => error.message)
  assert.is(failed, 'not yet')
  later.arrived({ value: () => Promise.resolve(7) })
  assert.is(await later.standIn.value(), 7)
})

test('a try is repeated until it works', async () => {
  const failures: number[] = []
  let left = 3
  const value = await untilItWorks({
    attempt: async () => {
      if (left-- > 0) throw new Error('no')
      return 'yes'
    },
    onFailure: (_error, attempt) => failures.push(attempt),
    firstDelayMs: 1,
    maxDelayMs: 2,
    signal: new AbortController().signal,
  })
  assert.is(value, 'yes')
  assert.equal(failures, [1, 2, 3])
})

test('tries end with their signal, amid a wait too', async () => {
  const controller = new AbortController()
  const value = await untilItWorks({
    attempt: () => Promise.reject(new Error('no')),
    onFailure: () => controller.abort(),
    firstDelayMs: 60_000,
    maxDelayMs: 60_000,
    signal: controller.signal,
  })
  assert.is(value, undefined)
})

test('a lock whose address changed is opened anew, and the old one is closed', async () => {
  let address = 'redis://one'
  const told: string[] = []
  const open = (at: string): Lock => ({
    async acquire(name) {
      told.push(`acquire ${name} at ${at}`)
      return { result: 'busy' }
    },
    async close() {
      told.push(`close ${at}`)
      throw new Error('gone already')
    },
  })
  const lock = createRotatingLock({ address: () => address, open })
  await lock.acquire('a', { waitMs: 0 })
  address = 'redis://two'
  await lock.acquire('b', { waitMs: 0 })
  assert.equal(told, ['acquire a at redis://one', 'close redis://one', 'acquire b at redis://two'])
})

test.run()
