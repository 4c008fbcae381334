import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ConfigError, type Environment, readConfig, readTable, settings } from '../../src/config.ts'
import { wholeNumber } from '../../src/config-values.ts'

const test = suite('config')

function problemsOf(environment: Environment): readonly string[] {
  try {
    readConfig(environment)
  } catch (error) {
    assert.instance(error, ConfigError)
    return (error as ConfigError).problems
  }
  return []
}

function inFolder(work: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'config-'))
  try {
    work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

test('an empty environment gives the defaults that the table names', () => {
  const config = readConfig({})
  assert.is(config.port, 8080)
  assert.is(config.host, '127.0.0.1')
  assert.equal(config.store, { kind: 'file', directory: './data/store' })
  assert.is(config.redisUrls, undefined)
  assert.is(config.cacheMaxBytes, 2 ** 30)
  assert.is(config.maxBodyBytes, 10 * 2 ** 20)
  assert.is(config.staleReads, 'serve')
  assert.is(config.requestSeconds, 25)
  assert.is(config.drainWindowSeconds, 10)
  assert.is(config.defaultBranch, 'main')
  assert.is(config.publicPathPrefix, '')
})

test('the configuration is frozen', () => {
  const config = readConfig({}) as { port: number }
  assert.throws(() => {
    config.port = 1
  })
})

test('every default passes its own parser', () => {
  assert.equal(problemsOf({}), [])
})

test('an empty variable counts as unset', () => {
  assert.is(readConfig({ PORT: '', REDIS_URL: '', STALE_READS: '' }).port, 8080)
})

test('all problems are reported together, each with its variable', () => {
  const problems = problemsOf({
    PORT: 'eighty',
    LOG_LEVEL: 'loud',
    CACHE_MAX_BYTES: '1GB',
    REDIS_URL: 'http://redis',
    STORE_URL: 'ftp://bucket',
    TOKENS_FILE: '',
  })
  assert.is(problems.length, 5)
  for (const variable of ['PORT', 'LOG_LEVEL', 'CACHE_MAX_BYTES', 'REDIS_URL', 'STORE_URL']) {
    assert.ok(
      problems.some((problem) => problem.startsWith(`${variable} `)),
      variable,
    )
  }
})

const bad: Record<string, string[]> = {
  PORT: ['-1', '65536', '80.5', ' 80', '0x50', '1e3', 'NaN', '٣'],
  HOST: ['a b', 'http://host', 'host/path'],
  STORE_URL: [
    'data',
    'file:',
    'file://host/path',
    's3://',
    's3:bucket',
    's3://Bucket_',
    's3://bucket?endpoint=minio:9000',
    's3://bucket?endpoint=ftp://minio',
    's3://bucket?endpoint=http://minio/path',
    's3://bucket?style=other',
    's3://bucket?regoin=eu',
    's3://bucket/a%zz',
    's3://key:secret@bucket',
  ],
  CACHE_MAX_BYTES: ['-1', '1 GiB', '1gib', '9999999999999999999', 'KiB'],
  MAX_BODY_BYTES: ['0', '1023', '1GiB'],
  READ_MAX_STALE_SECONDS: ['-1', '1.5', '86401'],
  STALE_READS: ['yes', 'SERVE', 'true'],
  STALE_READS_MAX_SECONDS: ['0', 'forever'],
  GIT_KEPTN_USER: ['a<b', 'a\nb', ' a'],
  GIT_KEPTN_EMAIL: ['<a@b>', 'a@b\r'],
  DEFAULT_REMOTE_GIT_BRANCH: ['a..b', '-a', 'a/', 'a.lock', 'HEAD', 'a b', '.a', 'a//b', 'a/.b'],
  PREFIX_PATH: ['keptn', '/a b', '//', '/a//b'],
  LOG_LEVEL: ['verbose', '1', 'toString', '__proto__'],
  REQUEST_TIMEOUT_SECONDS: ['0', '-5', '601', '1e2', 'soon'],
  DRAIN_WINDOW_SECONDS: ['0', 'ten'],
  HEARTBEAT_SECONDS: ['0', '0.4', '61', 'often'],
  REDIS_URL: ['redis', 'redis://', 'redis://a:6379,', 'http://a'],
}

for (const [variable, values] of Object.entries(bad)) {
  test(`bad values of ${variable} are refused, and named`, () => {
    const keys = { AWS_ACCESS_KEY_ID: 'k', AWS_SECRET_ACCESS_KEY: 's' }
    for (const value of values) {
      const problems = problemsOf({ ...keys, [variable]: value })
      assert.is(problems.length, 1, `${variable}=${JSON.stringify(value)} passed`)
      assert.ok(problems[0]?.startsWith(`${variable} `), problems[0])
    }
  })
}

test('the table of bad values covers every variable whose parser can refuse', () => {
  const anyText = [
    'AWS_ACCESS_KEY_ID',
    'AWS_SECRET_ACCESS_KEY',
    'AWS_SESSION_TOKEN',
    'TOKENS_FILE',
    'CACHE_DIR',
    'DIRECTORY_STAGE_STRUCTURE',
  ]
  const all = Object.values(settings).map(({ variable }) => variable)
  assert.equal(all.sort(), [...anyText, ...Object.keys(bad)].sort())
})

test('a bucket is read with its prefix, endpoint, region and style', () => {
  const keys = { AWS_ACCESS_KEY_ID: 'k', AWS_SECRET_ACCESS_KEY: 's' }
  const store = (url: string) => readConfig({ ...keys, STORE_URL: url }).store
  assert.equal(store('s3://bucket/a/b/?endpoint=http://minio:9000/&region=eu-west-1'), {
    kind: 's3',
    bucket: 'bucket',
    prefix: 'a/b',
    endpoint: 'http://minio:9000',
    region: 'eu-west-1',
    style: 'path',
  })
  assert.equal(store('s3://my.bucket'), {
    kind: 's3',
    bucket: 'my.bucket',
    prefix: '',
    region: 'us-east-1',
    style: 'virtual',
  })
  assert.equal(store('file:///var/lib/store'), { kind: 'file', directory: '/var/lib/store' })
})

test('a bucket without keys is a problem of both variables', () => {
  const problems = problemsOf({ STORE_URL: 's3://bucket' })
  assert.is(problems.length, 2)
  assert.match(problems.join(), 'AWS_ACCESS_KEY_ID')
  assert.match(problems.join(), 'AWS_SECRET_ACCESS_KEY')
})

test("Keptn's level names are taken, in any case", () => {
  assert.is(readConfig({ LOG_LEVEL: 'WARNING' }).logLevel, 'warn')
  assert.is(readConfig({ LOG_LEVEL: 'trace' }).logLevel, 'debug')
})

test('a secret shows itself only to who asks for it', () => {
  const config = readConfig({
    STORE_URL: 's3://bucket',
    AWS_ACCESS_KEY_ID: 'AKIA-visible',
    AWS_SECRET_ACCESS_KEY: 'hidden-value',
    REDIS_URL: 'redis://:hidden-password@redis:6379',
  })
  const printed = [inspect(config), JSON.stringify(config), `${config.redisUrls}`].join()
  assert.not.match(printed, 'hidden')
  assert.match(printed, '[SECRET]')
  assert.is(config.secretAccessKey?.reveal(), 'hidden-value')
})

test('no problem repeats a secret', () => {
  const problems = [
    ...problemsOf({ REDIS_URL: 'http://:hidden@redis' }),
    ...problemsOf({ STORE_URL: 's3://key:hidden@bucket' }),
  ].join()
  assert.not.match(problems, 'hidden')
})

test('a secret comes from its file, and the file is read again when it changed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'config-'))
  try {
    const path = join(folder, 'secret')
    writeFileSync(path, 'first\n')
    const failures: string[] = []
    const config = readConfig(
      { AWS_SECRET_ACCESS_KEY_FILE: path },
      { onSecretFailure: (name) => failures.push(name) },
    )
    assert.is(config.secretAccessKey?.reveal(), 'first')
    writeFileSync(`${path}.new`, 'second\n')
    renameSync(`${path}.new`, path)
    await until(() => config.secretAccessKey?.reveal() === 'second')
    rmSync(path)
    await until(() => {
      assert.is(config.secretAccessKey?.reveal(), 'second', 'the last good value stays')
      return failures.length === 1
    })
    assert.equal(failures, ['AWS_SECRET_ACCESS_KEY_FILE'])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('a secret that is given twice, missing, empty or wrong names its variable', () =>
  inFolder((folder) => {
    const path = join(folder, 'secret')
    writeFileSync(path, '')
    const of = (environment: Environment) => problemsOf(environment).join()
    assert.match(of({ REDIS_URL: 'redis://a', REDIS_URL_FILE: path }), 'both set')
    assert.match(of({ REDIS_URL_FILE: path }), `REDIS_URL_FILE: ${path} is empty`)
    assert.match(of({ REDIS_URL_FILE: `${path}.none` }), 'REDIS_URL_FILE cannot be read')
    writeFileSync(path, 'hidden')
    assert.match(of({ REDIS_URL_FILE: path }), 'must be one or more URLs')
    assert.not.match(of({ REDIS_URL_FILE: path }), 'hidden')
  }))

/** Settings that no release has, as if they had been called otherwise in the release before. */
const renamedSettings = {
  port: {
    variable: 'LISTEN_PORT',
    formerly: 'PORT',
    parse: wholeNumber(0, 65_535),
    default: '8080',
    unit: 'port',
    help: '',
  },
  key: {
    variable: 'BUCKET_KEY',
    formerly: 'KEY',
    parse: (given: string) => given,
    unit: 'text',
    help: '',
    secret: 'lock',
  },
} as const

function readRenamed(environment: Environment) {
  const told: string[] = []
  try {
    const values = readTable(renamedSettings, environment, {
      onFormerName: (warning) => told.push(warning),
    })
    return { port: values.port, key: values.key?.reveal(), told, problems: [] }
  } catch (error) {
    return { told, problems: (error as ConfigError).problems }
  }
}

test('a renamed setting is read by its former name for one release, with a warning that names both', () => {
  const told = ['PORT is called LISTEN_PORT now: rename it before the next release']
  assert.equal(readRenamed({ PORT: '81' }), { port: 81, key: undefined, told, problems: [] })
  assert.equal(readRenamed({ LISTEN_PORT: '81' }).told, [])
  assert.is(readRenamed({ LISTEN_PORT: '81', PORT: '' }).port, 81)
  assert.equal(readRenamed({ LISTEN_PORT: '81', PORT: '81' }).told, told)
  const [problem] = readRenamed({ PORT: 'eighty' }).problems
  assert.match(problem ?? '', /^PORT is "eighty"/)
})

test('a renamed secret is read from its former file too', () =>
  inFolder((folder) => {
    const path = join(folder, 'key')
    writeFileSync(path, 'hidden')
    const { key, told } = readRenamed({ KEY_FILE: path })
    assert.is(key, 'hidden')
    assert.is(told.length, 1)
  }))

test('a renamed setting that is set twice and differs is a problem, and no secret is repeated', () => {
  const { problems } = readRenamed({ LISTEN_PORT: '81', PORT: '82', BUCKET_KEY: 'hid', KEY: 'den' })
  assert.equal(problems, [
    'LISTEN_PORT and PORT, its former name, are both set: unset PORT',
    'BUCKET_KEY and KEY, its former name, are both set: unset KEY',
  ])
})

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('nothing changed in 10 s')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

test.run()
