/**
 * What N-1 was started with starts this build unchanged, and the reverse: settings, values of the chart, and the store that the
 * other wrote. By rule, from the tables of both builds.
 */
import { copyFileSync, cpSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parse } from 'yaml'
import { type Environment, readConfig, settings } from '../../src/config.ts'
import {
  chartFolder,
  environmentOf,
  helm,
  podOf,
  type RenderOptions,
  render,
  valueSets,
} from '../chart/helm.ts'
import { type PreviousBuild, previousBuild } from '../support/previous-build.ts'
import { makeFolder, removeFolder, startProcess } from '../support/processes.ts'
import { requireServers } from '../support/programs.ts'
import { mainFile, type Service, startService } from '../support/service.ts'

const test = suite('what started N-1 starts this build')

interface Row {
  variable: string
  formerly?: string
  default?: string
  secret?: unknown
}

/** Values that N-1 takes, of each of its variables. */
const taken: Record<string, string[]> = {
  PORT: ['0', '8080', '65535'],
  HOST: ['0.0.0.0', '::', 'localhost'],
  STORE_URL: [
    'file:./data/store',
    'file:///data/store',
    's3://bucket',
    's3://bucket/some/prefix?endpoint=http://minio:9000&region=eu-west-1&style=virtual',
  ],
  AWS_ACCESS_KEY_ID: ['AKIA'],
  AWS_SECRET_ACCESS_KEY: ['secret/+='],
  AWS_SESSION_TOKEN: ['token'],
  REDIS_URL: ['redis://redis:6379', 'rediss://:word@a:6379, redis://b:6379,redis://c'],
  CACHE_DIR: ['/cache', './data/cache'],
  CACHE_MAX_BYTES: ['0', '1048576', '512MiB', '1GiB', '1TiB'],
  TOKENS_FILE: ['/run/secrets/tokens/tokens.json'],
  MAX_BODY_BYTES: ['1024', '5MiB', '64MiB'],
  READ_MAX_STALE_SECONDS: ['0', '60', '86400'],
  STALE_READS: ['serve', 'refuse'],
  STALE_READS_MAX_SECONDS: ['1', '86400'],
  GIT_KEPTN_USER: ['keptn', 'Ann Example'],
  GIT_KEPTN_EMAIL: ['ann@example.org'],
  DEFAULT_REMOTE_GIT_BRANCH: ['main', 'release/1.0'],
  PREFIX_PATH: ['/', '/keptn', '/a/b/'],
  LOG_LEVEL: ['debug', 'info', 'warn', 'error', 'TRACE', 'warning', 'fatal', 'panic'],
  REQUEST_TIMEOUT_SECONDS: ['0.1', '25', '600'],
  DRAIN_WINDOW_SECONDS: ['0.1', '10', '600'],
  HEARTBEAT_SECONDS: ['0.5', '5', '60'],
  DIRECTORY_STAGE_STRUCTURE: ['true', 'false'],
}

const keys = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' }

let previous: PreviousBuild
let before: { settings: Record<string, Row>; readConfig(environment: Environment): unknown }
let setsBefore: typeof valueSets
const rows: Record<string, Row> = settings
const opened: Service[] = []

test.before(async () => {
  previous = await previousBuild()
  const module = (path: string) => import(pathToFileURL(join(previous.folder, 'dist', path)).href)
  before = await module('src/config.js')
  setsBefore = (await module('test/chart/helm.js')).valueSets
})
test.after(async () => {
  for (const service of opened) await service.dispose()
})

test('each variable of N-1 is one of this build, or the former name of one', () => {
  const known = Object.values(rows).flatMap(({ variable, formerly }) => [variable, formerly])
  for (const { variable } of Object.values(before.settings)) assert.ok(known.includes(variable))
})

test('each value that N-1 takes is taken, its defaults too', () => {
  for (const { variable, default: standard } of Object.values(before.settings)) {
    assert.ok(taken[variable] !== undefined, `${variable} has values here`)
    for (const value of [...(taken[variable] ?? []), standard ?? '']) {
      const environment = { ...keys, [variable]: value }
      before.readConfig(environment)
      assert.not.throws(() => readConfig(environment), undefined, `${variable}=${value}`)
    }
  }
})

test('what N-1 does not know need not be set', () => {
  const needed = Object.values(before.settings).map(({ variable }) => variable)
  const environment = Object.fromEntries(needed.map((name) => [name, taken[name]?.[0] ?? '']))
  readConfig(environment)
  readConfig({})
})

test('N-1 starts with the environment of this build, and passes over what it does not know', () => {
  const defaults = Object.values(rows).map(({ variable, default: is }) => [variable, is ?? ''])
  before.readConfig({ ...Object.fromEntries(defaults), SOMETHING_NEW: 'value' })
})

/** The environments of what a chart renders. */
function environments(values: object, options: RenderOptions): Record<string, string>[] {
  return render(values, options).flatMap((object) => {
    const [container] = podOf(object)?.spec.containers ?? []
    if (container === undefined || !['server', 'migrate'].includes(container.name)) return []
    const environment = environmentOf(container)
    if (environment.REDIS_URL_FILE) environment.REDIS_URL = 'redis://redis:6379'
    if (environment.AWS_ACCESS_KEY_ID_FILE) Object.assign(environment, keys)
    for (const name of Object.keys(environment)) {
      if (name.endsWith('_FILE') && name !== 'TOKENS_FILE') delete environment[name]
    }
    return [environment]
  })
}

const chartOf = ({ folder }: PreviousBuild) => join(folder, 'charts', 'configuration-service')
const valuesOf = (chart: string) => parse(readFileSync(join(chart, 'values.yaml'), 'utf8'))

if (requireServers('what started N-1 starts this build: the chart', 'helm')) {
  test('values of N-1 are taken by the chart as they are, written out in full too', () => {
    assert.ok(Object.keys(setsBefore).length > 3)
    const sets: typeof valueSets = { ...setsBefore, full: { values: valuesOf(chartOf(previous)) } }
    for (const [set, { values, kubernetes }] of Object.entries(sets)) {
      const { status, stderr } = helm('template', values, kubernetes ? { kubernetes } : {})
      assert.is(status, 0, `${set}: ${stderr}`)
    }
  })

  test('`helm upgrade --reuse-values` works: the templates bear the absence of what N-1 did not have', () => {
    const chart = makeFolder('chart')
    try {
      cpSync(chartFolder, chart, { recursive: true })
      copyFileSync(join(chartOf(previous), 'values.yaml'), join(chart, 'values.yaml'))
      for (const [set, { values, kubernetes }] of Object.entries(setsBefore)) {
        const options = { chart, ...(kubernetes && { kubernetes }) }
        const { status, stderr } = helm('template', values, options)
        assert.is(status, 0, `${set}: ${stderr}`)
      }
    } finally {
      removeFolder(chart)
    }
  })

  test("this build takes what N-1's chart renders, and N-1 what this chart renders", () => {
    for (const { values, kubernetes } of Object.values(setsBefore)) {
      const options = { chart: chartOf(previous), ...(kubernetes && { kubernetes }) }
      const given = environments(values, options)
      assert.ok(given.length > 0)
      for (const environment of given) readConfig(environment)
    }
    for (const { values, kubernetes } of Object.values(valueSets)) {
      const given = environments(values, kubernetes ? { kubernetes } : {})
      assert.ok(given.length > 0)
      for (const environment of given) before.readConfig(environment)
    }
  })
}

const project = '/v1/project/sockshop'

async function send(service: Service, method: string, path: string, body: unknown) {
  const answer = await fetch(service.url + path, { method, body: JSON.stringify(body) })
  const text = await answer.text()
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`)
  return text
}

const put = (service: Service, file: string) =>
  send(service, 'PUT', `${project}/stage/dev/resource/${file}`, {
    resourceContent: Buffer.from(`content of ${file}`).toString('base64'),
  })

async function get(service: Service, file: string): Promise<string> {
  const answer = await fetch(`${service.url}${project}/stage/dev/resource/${file}`)
  const { resourceContent = '' } = (await answer.json()) as { resourceContent?: string }
  return Buffer.from(resourceContent, 'base64').toString()
}

/** An environment that sets every variable of a table which does not say where the program works. */
function environmentFor(table: Record<string, Row>): Record<string, string> {
  const place = ['PORT', 'HOST', 'STORE_URL', 'REDIS_URL', 'TOKENS_FILE', 'CACHE_DIR']
  const set = Object.values(table).filter(({ variable }) => !place.includes(variable))
  return {
    ...Object.fromEntries(set.map(({ variable, default: is }) => [variable, is ?? ''])),
    HEARTBEAT_SECONDS: '0.5',
    DRAIN_WINDOW_SECONDS: '0.2',
  }
}

async function start(options: Parameters<typeof startService>[0]): Promise<Service> {
  const service = await startService({ timeoutMs: 60_000, ...options })
  opened.push(service)
  return service
}

test('N-1 reads a log that was accepted without entries that it lost, and writes behind', async () => {
  const first = await start({})
  const { folder } = first
  await send(first, 'POST', '/v1/project', { projectName: 'sockshop' })
  await send(first, 'POST', `${project}/stage`, { stageName: 'dev' })
  for (const file of ['a.yaml', 'b.yaml', 'c.yaml']) await put(first, file)
  assert.is(await first.stop(), 0)
  rmSync(join(folder, `data/store/projects/sockshop/log/${'4'.padStart(20, '0')}.bundle`))
  const verb = [mainFile, 'accept-restore', '--project', 'sockshop']
  assert.is(await startProcess(process.execPath, verb, { cwd: folder }).ended(), 0)
  removeFolder(join(folder, 'data', 'cache'))
  const older = await start({ folder, program: previous.program })
  assert.is(await get(older, 'a.yaml'), 'content of a.yaml')
  assert.is(await get(older, 'c.yaml'), '')
  await put(older, 'd.yaml')
  const newer = await start({ folder })
  assert.is(await get(newer, 'd.yaml'), 'content of d.yaml')
  for (const service of [older, newer]) assert.is(await service.stop(), 0)
})

test("on one store, each with the other's environment, each answers what the other wrote", async () => {
  const older = await start({ program: previous.program, env: environmentFor(before.settings) })
  await send(older, 'POST', '/v1/project', { projectName: 'sockshop' })
  await send(older, 'POST', `${project}/stage`, { stageName: 'dev' })
  await put(older, 'a.yaml')
  const { folder } = older
  assert.is(await older.stop(), 0)

  const newer = await start({ folder, env: environmentFor(before.settings) })
  assert.is(await get(newer, 'a.yaml'), 'content of a.yaml')
  await put(newer, 'b.yaml')
  const beside = await start({ folder, program: previous.program, env: environmentFor(rows) })
  for (const file of ['a.yaml', 'b.yaml']) assert.is(await get(beside, file), `content of ${file}`)
  await put(beside, 'c.yaml')
  assert.is(await get(newer, 'c.yaml'), 'content of c.yaml')
  assert.is(await newer.stop(), 0)
  assert.is(await beside.stop(), 0)

  const again = await start({ folder, program: previous.program, env: environmentFor(rows) })
  assert.is(await get(again, 'c.yaml'), 'content of c.yaml')
  assert.is(await again.stop(), 0)
})

test.run()
