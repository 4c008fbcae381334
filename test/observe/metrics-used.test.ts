import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { counters, gauges, histograms } from '../../src/observe.ts'
import { repositoryRoot } from '../support/programs.ts'

const test = suite('every name is used')

const folder = join(repositoryRoot, 'src')
const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && path !== 'observe.ts')
  .map((path) => readFileSync(join(folder, path), 'utf8'))
  .join('\n')

function unfed(names: string[], feed: (name: string) => RegExp): string[] {
  return names.filter((name) => !feed(name).test(sources))
}

test('every counter is counted somewhere', () => {
  assert.equal(
    unfed(Object.keys(counters), (name) => new RegExp(`count\\(\\s*'${name}'`)),
    [],
  )
})

test('every histogram is recorded somewhere', () => {
  assert.equal(
    unfed(Object.keys(histograms), (name) => new RegExp(`record\\(\\s*'${name}'`)),
    [],
  )
})

test('every gauge is set somewhere', () => {
  const feed = (name: string) => new RegExp(`set\\(\\s*'${name}'|gauge\\.${name}\\.set\\(`)
  assert.equal(unfed(Object.keys(gauges), feed), [])
})

test('every event is logged somewhere', () => {
  const table = readFileSync(join(folder, 'observe.ts'), 'utf8')
  const [, union] = /export type LogEvent =([\s\S]*?)\n\n/.exec(table) ?? []
  const events = [...(union ?? '').matchAll(/'(\w+)'/g)].map(([, event]) => String(event))
  assert.ok(events.length > 10)
  assert.equal(
    events.filter((event) => !sources.includes(`'${event}'`)),
    [],
  )
})

test.run()
