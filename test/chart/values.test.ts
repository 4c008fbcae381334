/** What is written down twice is the same: values, their schema, the README of the chart, and the settings of the program. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parse } from 'yaml'
import { podEnd, readConfig, settings } from '../../src/config.ts'
import { narrowTable } from '../support/markdown.ts'
import { makeFolder, removeFolder } from '../support/processes.ts'
import { repositoryRoot, requireServers } from '../support/programs.ts'
import { chartFolder, environmentOf, podOf, podsOf, render, valueSets } from './helm.ts'
import { leavesOf, type Schema, valuesTable } from './values-table.ts'

const test = suite('values of the chart')

const read = (...path: string[]) => readFileSync(join(...path), 'utf8')
const values = parse(read(chartFolder, 'values.yaml'))
const schema: Schema = JSON.parse(read(chartFolder, 'values.schema.json'))

test('each value has a meaning and the default that it says', () => {
  for (const { path, schema: leaf } of leavesOf(schema)) {
    assert.match(leaf.description ?? '', /\.$/, path)
    const standard = path.split('.').reduce((at, key) => at?.[key], values)
    assert.equal(standard, leaf.default, path)
  }
  const known = new Set(leavesOf(schema).map(({ path }) => path))
  const walk = (value: unknown, path: string): void => {
    if (known.has(path)) return
    assert.ok(typeof value === 'object' && value !== null, `${path} is not in the schema`)
    for (const [key, inner] of Object.entries(value)) walk(inner, path ? `${path}.${key}` : key)
  }
  walk(values, '')
})

test("the chart's README lists the values of the schema", () => {
  const readme = read(chartFolder, 'README.md')
  const shown = /<!-- values: begin .*-->\n([\s\S]*?)\n<!-- values: end -->/.exec(readme)?.[1]
  assert.is(narrowTable(shown ?? ''), narrowTable(valuesTable(schema)))
})

test('the chart has the version of the program', () => {
  const { version, description } = JSON.parse(read(repositoryRoot, 'package.json'))
  const chart = parse(read(chartFolder, 'Chart.yaml'))
  assert.is(chart.version, version)
  assert.is(String(chart.appVersion), version)
  assert.is(chart.description, description)
})

/** Those that the chart makes from other values. */
const ownSettings = new Set([
  'PORT',
  'HOST',
  'STORE_URL',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'REDIS_URL',
  'CACHE_DIR',
  'CACHE_MAX_BYTES',
  'TOKENS_FILE',
  'REQUEST_TIMEOUT_SECONDS',
  'DRAIN_WINDOW_SECONDS',
])

test('it takes every setting of the program that it does not make itself', () => {
  const variables = Object.values(settings).map(({ variable }) => variable)
  for (const variable of ownSettings) assert.ok(variables.includes(variable as never), variable)
  assert.equal(
    Object.keys(schema.properties?.settings?.properties ?? {}).sort(),
    variables.filter((variable) => !ownSettings.has(variable)).sort(),
  )
})

test("the end of a pod has the program's numbers, in values and in what is rendered", () => {
  const windowSeconds = Number(settings.drainWindowSeconds.default)
  const requestSeconds = Number(settings.requestSeconds.default)
  const { preStopSeconds, marginSeconds } = podEnd
  assert.equal(values.drain, {
    preStopSeconds,
    acceptWindowSeconds: windowSeconds,
    requestSeconds,
    marginSeconds,
    graceSeconds: 0,
  })
  const { spec } = podsOf(render())
  const [server] = spec.containers
  assert.equal(server.lifecycle?.preStop, { sleep: { seconds: preStopSeconds } })
  const environment = environmentOf(server)
  assert.is(environment.DRAIN_WINDOW_SECONDS, String(windowSeconds))
  assert.is(environment.REQUEST_TIMEOUT_SECONDS, String(requestSeconds))
  const grace = preStopSeconds + windowSeconds + requestSeconds + marginSeconds
  assert.is(spec.terminationGracePeriodSeconds, grace)
  const said = /preStop` of (\d+) s and `terminationGracePeriodSeconds: (\d+)`/.exec(
    read(repositoryRoot, 'README.md'),
  )
  assert.equal(said?.slice(1).map(Number), [preStopSeconds, grace])
})

test('a pod is killed after what its own values add up to', () => {
  const graceOf = (drain: object) => podsOf(render({ drain })).spec.terminationGracePeriodSeconds
  assert.is(graceOf({ requestSeconds: 40 }), 75)
  assert.is(graceOf({ preStopSeconds: 20, acceptWindowSeconds: 20, marginSeconds: 15 }), 80)
  assert.is(graceOf({ graceSeconds: 120 }), 120)
})

test('three eighths of the memory are for the old space of Node', () => {
  for (const memoryMiB of [256, 768]) {
    const [server] = podsOf(render({ memoryMiB })).spec.containers
    assert.is(server.resources.limits.memory, `${memoryMiB}Mi`)
    assert.is(server.resources.requests.memory, `${memoryMiB}Mi`)
    const heap = environmentOf(server).NODE_OPTIONS
    assert.is(heap, `--max-old-space-size=${(memoryMiB * 3) / 8} --max-semi-space-size=8`)
  }
})

const secrets: Record<string, string> = {
  accessKeyId: 'key',
  secretAccessKey: 'secret',
  sessionToken: 'token',
  url: 'redis://redis:6379',
}

for (const [set, { values: chosen }] of Object.entries(valueSets)) {
  test(`the program takes what its pods are given (${set})`, () => {
    const folder = makeFolder('chart')
    try {
      for (const object of render(chosen)) {
        const [container] = podOf(object)?.spec.containers ?? []
        if (container === undefined || !['server', 'migrate'].includes(container.name)) continue
        const environment = environmentOf(container)
        for (const [name, value] of Object.entries(environment)) {
          if (!value.startsWith('/run/secrets/')) continue
          const mount = container.volumeMounts?.find(
            ({ mountPath }) => mountPath === dirname(value),
          )
          assert.ok(mount, `${name} is mounted`)
          const path = join(folder, value)
          mkdirSync(dirname(path), { recursive: true })
          writeFileSync(path, secrets[value.split('/').at(-1) as string] ?? '[]')
          environment[name] = path
        }
        const known = new Set<string>(Object.values(settings).map(({ variable }) => variable))
        for (const name of Object.keys(environment))
          assert.ok(
            known.has(name.replace(/_FILE$/, '')) || known.has(name) || name === 'NODE_OPTIONS',
            name,
          )
        const { store, cacheDirectory, accessKeyId } = readConfig(environment)
        assert.ok(container.volumeMounts?.some(({ mountPath }) => mountPath === cacheDirectory))
        if (store.kind === 's3') assert.ok(accessKeyId?.reveal())
        else
          assert.ok(
            container.volumeMounts?.some(({ mountPath }) =>
              store.directory.startsWith(`${mountPath}/`),
            ),
          )
      }
    } finally {
      removeFolder(folder)
    }
  })
}

if (requireServers('values of the chart', 'helm')) test.run()
