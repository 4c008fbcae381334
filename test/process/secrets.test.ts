/** Secrets that the service was given, or is shown, and everything that it says and keeps: none of them may be in there. */
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openS3Store } from '../../src/store/s3.ts'
import { makeFolder, removeFolder, waitFor } from '../support/processes.ts'
import { requireServers, type S3Server, startMinio, startRedis } from '../support/servers.ts'
import { type Service, startService } from '../support/service.ts'

const test = suite('secrets')

/** None of them is a word that anybody else would say. */
const planted = {
  wrongBucket: 'planted-wrong-bucket-secret-77ad',
  redis: 'planted-redis-password-4be2',
  token: 'planted-token-19d3',
  wrongToken: 'planted-wrong-token-5e90',
}
const digest = createHash('sha256').update(planted.token).digest('hex')

interface Said {
  where: string
  text: string
}

function leaksIn(said: readonly Said[], secrets: readonly string[]): string[] {
  const forms = secrets.flatMap((secret) => [secret, Buffer.from(secret).toString('base64')])
  return said.flatMap(({ where, text }) =>
    forms.filter((form) => text.includes(form)).map((form) => `${form} in ${where}`),
  )
}

if (requireServers('secrets', 'minio', 'redis-server')) {
  const opened: (() => unknown)[] = []
  test.after.each(async () => {
    for (const close of opened.splice(0).reverse()) await close()
  })

  test('are in no log line, answer, metric or object, whatever goes wrong', async () => {
    const minio = await startMinio()
    opened.push(minio.stop)
    // It asks for another password than the service has.
    const redis = await startRedis({ password: 'another' })
    opened.push(redis.stop)
    const folder = makeFolder('secrets')
    opened.push(() => removeFolder(folder))
    const tokens = join(folder, 'tokens.json')
    const bucket = await minio.createBucket()
    const entry = { name: 'ci', sha256: digest, role: 'admin', projects: ['*'] }
    const known = JSON.stringify([entry])
    writeFileSync(tokens, known)
    const env = {
      LOG_LEVEL: 'debug',
      REQUEST_TIMEOUT_SECONDS: '2',
      STORE_URL: `s3://${bucket}?endpoint=${minio.endpoint}`,
      AWS_ACCESS_KEY_ID: minio.accessKeyId,
      AWS_SECRET_ACCESS_KEY: minio.secretAccessKey,
      REDIS_URL: redis.url.replace('another', planted.redis),
      TOKENS_FILE: tokens,
    }
    const service = await startService({ env })
    opened.push(service.dispose)
    const said = await sayAll(service)
    // Keys that no longer open the bucket, and a file of tokens that is broken.
    await minio.kill()
    writeFileSync(tokens, `[{"name": "${planted.token}"`)
    said.push(...(await sayAll(service)))
    await minio.restart()
    writeFileSync(tokens, known)

    const shut = await startService({
      env: { ...env, AWS_SECRET_ACCESS_KEY: planted.wrongBucket },
      until: 'listening',
    })
    opened.push(shut.dispose)
    const refusal = async () =>
      (await answerOf(shut, 'GET', '/readyz?verbose')).includes('store not')
    await waitFor(refusal, { what: 'the bucket to refuse the key' })
    said.push(...(await sayAll(shut)))
    const refused = await startService({ env: { ...env, STORE_URL: `${env.STORE_URL}&x=1` } }).then(
      () => 'it started',
      (error) => String(error),
    )
    assert.match(refused, 'STORE_URL')
    await service.stop()
    await shut.stop()

    const kept = await everyObject(minio, bucket)
    assert.ok(
      kept.some(({ where }) => where.startsWith('cluster/')),
      'the bucket holds what replicas announce',
    )
    said.push(
      ...kept,
      { where: 'the log', text: service.process.output() },
      { where: 'the log of the one that was shut out', text: shut.process.output() },
      { where: 'the refusal to start', text: refused },
    )
    assert.equal(leaksIn(said, [minio.secretAccessKey, ...Object.values(planted)]), [])
    assert.match(service.process.output(), /lock_down/, 'Redis refused the password')
  })

  /** Asks for whatever has an answer, as somebody and as nobody. */
  async function sayAll(service: Service): Promise<Said[]> {
    const said: Said[] = []
    for (const token of [planted.token, planted.wrongToken]) {
      const project = JSON.stringify({ projectName: 'sockshop', gitToken: planted.token })
      const asked: [method: string, path: string, body?: string][] = [
        ['POST', '/v1/project', project],
        ['PUT', '/v1/project/sockshop/resource/a', '{"resourceContent":"YQ=="}'],
        ['GET', '/v1/project/sockshop/resource/a'],
        ['GET', '/v1/project/nowhere/resource/a'],
        ['GET', `/v1/project/%ff?token=${planted.token}`],
        ['PUT', '/v1/project/sockshop/resource/a', `{"${planted.token}`],
        ['GET', '/metrics'],
        ['GET', '/readyz?verbose'],
        ['GET', '/startupz?verbose'],
        ['GET', '/openapi.json'],
      ]
      for (const [method, path, body] of asked) {
        const text = await answerOf(service, method, path, { token, ...(body && { body }) })
        said.push({ where: `the answer to ${method} ${path}`, text })
      }
    }
    return said
  }

  async function answerOf(
    { url }: Service,
    method: string,
    path: string,
    { token, body }: { token?: string; body?: string } = {},
  ): Promise<string> {
    const headers: Record<string, string> = token
      ? { 'x-token': token, authorization: `Bearer ${token}`, cookie: `session=${token}` }
      : {}
    const answer = await fetch(url + path, { method, headers, ...(body && { body }) })
    return `${[...answer.headers].join('\n')}\n${await answer.text()}`
  }

  async function everyObject(minio: S3Server, bucket: string): Promise<Said[]> {
    const { endpoint, region, accessKeyId, secretAccessKey } = minio
    const store = await openS3Store({
      ...{ bucket, endpoint, region, prefix: '', style: 'path' as const },
      credentials: () => ({ accessKeyId, secretAccessKey }),
    })
    const { objects } = await store.list({ prefix: '', timeoutMs: 10_000 })
    const found: Said[] = []
    for (const { key } of objects) {
      const object = await store.get(key, { timeoutMs: 10_000 })
      if (object !== null && object !== 'not-modified')
        found.push({ where: key, text: object.body.toString('latin1') })
    }
    await store.close()
    return found
  }
}

test.run()
