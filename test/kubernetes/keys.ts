/** Keys that are replaced while they are in use, as docs/operations.md has it, and removed once nobody needs them. */
import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from '../support/processes.ts'
import { run } from '../support/run.ts'
import { areSame, podsOf } from './pods.ts'
import type { Scene } from './scenarios.ts'
import { makeKey, type StoreKey } from './store-keys.ts'

/** The kubelet looks after Secrets every minute and a half at the latest. */
const noticedMs = 150_000
/** Replicas look at their files once a second, when they need them. */
const readAgainMs = 5_000

/** Adds Redis, replaces the keys of both twice, and takes Redis away again. */
export async function rotateKeys(scene: Scene): Promise<void> {
  const { cluster, operator, minio, redis, hostAddress } = scene
  const urlFor = (user: string) => `redis://${user}:${user}@${hostAddress}:${redis.port}`
  const redisCli = (...words: string[]) => run(['redis-cli', '-p', `${redis.port}`, ...words])
  const addUser = (user: string) =>
    redisCli('ACL', 'SETUSER', user, 'on', `>${user}`, '~*', '&*', '+@all')
  const removeUser = (user: string) => redisCli('ACL', 'DELUSER', user)
  const use = async (user: string): Promise<StoreKey> => {
    const key = await makeKey(minio)
    operator.write('accessKeyId', key.accessKeyId)
    operator.write('secretAccessKey', key.secretAccessKey)
    await addUser(user)
    operator.write('url', urlFor(user))
    return key
  }

  const first = await use('first')
  await operator.takes('now')
  await operator.does('redis')
  const pods = await podsOf(cluster)
  const replace = async (key: StoreKey) => {
    await operator.does('rotate')
    await operator.runs(
      'kubectl create secret generic configuration-service-redis --from-file=url --dry-run=client --output=yaml | kubectl apply --filename=-',
    )
    const reads = async () => {
      await sleep(1_000)
      const held = await Promise.all(
        [...(await podsOf(cluster)).values()]
          .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
          .map(({ metadata }) =>
            cluster.kubectl('exec', metadata.name, '--', 'cat', '/run/secrets/store/accessKeyId'),
          ),
      )
      return held.every((text) => text.trim() === key.accessKeyId)
    }
    await waitFor(reads, { what: 'replicas to have the new key', timeoutMs: noticedMs })
    await sleep(readAgainMs)
  }
  const uses = async (user: string) => {
    await sleep(1_000)
    const users = [...(await redisCli('CLIENT', 'LIST')).matchAll(/ user=(\S+)/g)]
    // Our own question comes as `default`.
    return users.every(([, name]) => name === user || name === 'default')
  }
  await replace(first)
  const second = await use('second')
  await replace(second)
  await waitFor(() => uses('second'), { what: 'the lock to move', timeoutMs: noticedMs })
  await first.remove()
  await removeUser('first')
  await sleep(readAgainMs)
  const left = await podsOf(cluster)
  if (![...left.keys()].every((uid) => pods.has(uid)) || areSame(left, new Map()))
    throw new Error('keys: a replica was replaced')
  await operator.does('upgrade')
  await operator.runs('kubectl delete secret configuration-service-redis')
}
