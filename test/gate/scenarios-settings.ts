/** S16: other settings, other keys, another Redis. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { AssumeRoleProvider } from 'minio/dist/esm/AssumeRoleProvider.mjs'
import { waitFor } from '../support/processes.ts'
import { send } from '../support/send.ts'
import type { Scenario, Stage } from './scenario.ts'
import { rollTo } from './scenarios-upgrades.ts'
import { createSecretFiles, type SecretFiles } from './secrets.ts'

/** A replica looks at its files once a second. */
const noticedMs = 3_000

type Keys = Record<'accessKeyId' | 'secretAccessKey' | 'sessionToken', string>

/**
 * That an equal `helm upgrade` renders the same pods is for the chart's tests to show; here equal files are written again, which a
 * kubelet does, and nothing may come of it.
 */
export const changedSettings: Scenario = {
  name: 'S16',
  title: "N-1's environment for N, changed values, rotated keys, Redis removed and added",
  replicas: 2,
  async play(stage) {
    const { folder, redis, fleet, say } = stage
    const faults: string[] = []
    say("N with N-1's environment")
    await rollTo(stage, stage.build('this'))

    say('changed values, and secrets from files')
    const administrator = new Redis(redis.url)
    try {
      await administrator.call('ACL', 'SETUSER', 'default', '>first')
      const keys = createSecretFiles(join(folder, 'keys'), await newKeys(stage))
      const address = createSecretFiles(join(folder, 'redis'), { url: urlWith(stage, 'first') })
      const build = stage.build('this', {
        ...settingsFor(keys, address),
        GIT_KEPTN_USER: 'another',
        MAX_BODY_BYTES: '5MiB',
      })
      await rollTo(stage, build)
      // Those that go still use the keys of before.
      await fleet.settled()
      const before = [...fleet.replicas]
      faults.push(...(await rotateKeys(stage, keys)))
      faults.push(...(await rotatePassword(stage, address, administrator)))
      for (const { service } of before) {
        const { process: running } = service
        if (running.exited() !== undefined)
          faults.push('a replica ended when a secret was replaced')
        const failed = service.events().filter(({ event }) => event === 'secret_failed')
        faults.push(...failed.map((line) => `a secret could not be used: ${JSON.stringify(line)}`))
      }

      say('Redis removed')
      await rollTo(stage, { ...build, env: { ...build.env, REDIS_URL_FILE: '' } })
      say('Redis added')
      await rollTo(stage, build)
      faults.push(...(await haveTheLock(stage)))
      return { faults }
    } finally {
      administrator.disconnect()
    }
  },
}

function settingsFor(keys: SecretFiles, address: SecretFiles): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: '',
    AWS_ACCESS_KEY_ID_FILE: keys.path('accessKeyId'),
    AWS_SECRET_ACCESS_KEY: '',
    AWS_SECRET_ACCESS_KEY_FILE: keys.path('secretAccessKey'),
    AWS_SESSION_TOKEN_FILE: keys.path('sessionToken'),
    REDIS_URL: '',
    REDIS_URL_FILE: address.path('url'),
  }
}

/** Keys that MinIO did not know before. */
async function newKeys({ minio }: Stage): Promise<Keys> {
  const provider = new AssumeRoleProvider({
    stsEndpoint: minio.endpoint,
    accessKey: minio.accessKeyId,
    secretKey: minio.secretAccessKey,
    region: minio.region,
  })
  const { accessKey, secretKey, sessionToken } = await provider.getCredentials()
  return { accessKeyId: accessKey, secretAccessKey: secretKey, sessionToken: sessionToken ?? '' }
}

function urlWith({ redis }: Stage, password: string): string {
  return redis.url.replace('//', `//:${password}@`)
}

/** Writes equal files, then new keys. @returns a sentence where a replica goes on with those of before */
async function rotateKeys(stage: Stage, files: SecretFiles): Promise<string[]> {
  const { proxy, say } = stage
  const { decide } = proxy
  const used = new Set<string>()
  proxy.decide = (request) => {
    const [, key = 'none'] = request.headers.authorization?.match(/Credential=([^/]+)/) ?? []
    used.add(key)
    return decide(request)
  }
  const usedFrom = async () => {
    await sleep(noticedMs)
    used.clear()
    await sleep(noticedMs)
    return [...used]
  }
  const faults: string[] = []
  const first = await newKeys(stage)
  for (const [what, keys] of [
    ['other keys', first],
    ['the same again', first],
    ['other keys', await newKeys(stage)],
  ] as const) {
    say(`keys of the store: ${what}`)
    files.write(keys)
    const now = await usedFrom()
    if (`${now}` !== keys.accessKeyId) faults.push(`${what}: keys in use are ${now}`)
  }
  proxy.decide = decide
  return faults
}

/** Both passwords are good for a while; then the old one is not, and whoever still had it is sent away. */
async function rotatePassword(
  stage: Stage,
  file: SecretFiles,
  administrator: Redis,
): Promise<string[]> {
  stage.say('password of Redis')
  await administrator.call('ACL', 'SETUSER', 'default', '>second')
  file.write({ url: urlWith(stage, 'second') })
  await sleep(noticedMs)
  await administrator.call('ACL', 'SETUSER', 'default', '<first')
  await administrator.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  return haveTheLock(stage)
}

/** @returns a sentence for each replica that has no lock server */
async function haveTheLock({ fleet }: Stage): Promise<string[]> {
  const faults: string[] = []
  for (const { service } of fleet.replicas) {
    const isUp = async () => {
      const { body } = await send(service.url, { method: 'GET', path: '/metrics' })
      return /^configuration_service_lock_up 1$/m.test(body.toString('utf8'))
    }
    await waitFor(isUp).catch(() => faults.push(`replica ${service.port} has no lock server`))
  }
  return faults
}
