/** What is done to a release under load: by name, what it does, how it begins, and what of it is nobody's fault. */
import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from '../support/processes.ts'
import type { S3Server, Server } from '../support/servers.ts'
import { absent, type Build } from './builds.ts'
import type { Cluster } from './cluster.ts'
import { rotateKeys } from './keys.ts'
import type { Operator } from './operator.ts'
import { areSame, isReady, type Pod, podsOf, settled } from './pods.ts'

/** How a release is before a scenario, and again after it. */
export interface Beginning {
  build: Build
  replicas: number
}

/** Where a scenario is played. */
export interface Scene {
  cluster: Cluster
  operator: Operator
  minio: S3Server
  redis: Server & { url: string }
  /** Where pods reach those two. */
  hostAddress: string
  /** Notes that a pod is about to be killed: what fails with it is counted apart. */
  kills(pod: Pod): void
  /** Notes that the bucket is away during some work: what reads say of themselves then is counted apart. */
  away(work: () => Promise<void>): Promise<void>
  /** kill -9 of what runs in a pod; absent where the cluster's nodes are out of reach. */
  killProcesses?: (pod: string) => void
}

export interface Scenario {
  does: string
  begins: Beginning
  play(scene: Scene): Promise<void>
  /** How often it is played, each time from its beginning; 2 unless told, since the first roll away from a spec shows nothing. */
  passes?: number
  /** The fewest replicas that may be ready; as many as in the beginning unless told. */
  fewest?: number
  /** Whether Keptn's clients run beside the load. */
  keptn?: boolean
  /** Builds whose pods need not become ready, and may then end as they like. */
  unfit?: readonly string[]
  /** Whether it leaves what no build but its own can read. */
  isLast?: boolean
}

const before: Beginning = { build: 'before', replicas: 2 }
const now: Beginning = { build: 'now', replicas: 2 }
/** An upgrade that cannot succeed is given up after so long; a build that is fit is ready by then. */
const givenUp = '--timeout 25s'
const migrate = 'kubectl exec deployment/configuration-service -- node dist/src/main.js migrate'

async function upgradeTo(build: string, { operator }: Scene, also = ''): Promise<void> {
  await operator.takes(build)
  await operator.does('upgrade', also)
}

/** Upgrades to what must fail, and goes back to the release that serves. */
async function failTo(
  build: string,
  { operator }: Scene,
  { also = '', more = {} } = {},
): Promise<void> {
  await operator.takes(build, more)
  const said = await operator.fails('upgrade', also)
  if (!said.includes('UPGRADE FAILED')) throw new Error(`upgrade failed otherwise: ${said}`)
  if (!also.includes('--atomic')) await operator.does('rollback after failures')
}

/** Helm takes such a release for one that is being rolled back still, until it is rolled back to what serves. */
async function failToRollBack({ operator }: Scene): Promise<void> {
  const said = await operator.fails('rollback')
  if (!said.includes('configuration-service-expand failed'))
    throw new Error(`rollback failed otherwise: ${said}`)
  await operator.does('rollback after failures')
}

/** @throws where pods are others than before */
async function keepsPods({ cluster }: Scene, work: () => Promise<void>): Promise<void> {
  // Helm is content before the last of the old pods is told to go.
  await cluster.kubectl('rollout', 'status', 'deployment/configuration-service')
  await settled(cluster)
  const pods = await podsOf(cluster)
  await work()
  if (!areSame(await podsOf(cluster), pods)) throw new Error('pods were replaced')
}

/** @throws unless a verb of `migrate` ends with a code */
async function refused({ operator }: Scene, words: string): Promise<void> {
  await operator.runs(`${migrate} ${words} && exit 1 || test $? = 3`)
}

export const scenarios = {
  upgrade: {
    does: 'N-1 to N, and rolled back',
    begins: before,
    keptn: true,
    async play(scene) {
      await upgradeTo('now', scene)
      await scene.operator.does('rollback')
    },
  },
  migrate: {
    does: 'N-1 to N, rolled back, to N again, format 2, a rollback that is refused, format 1, rolled back',
    begins: before,
    keptn: true,
    async play(scene) {
      const { cluster, operator } = scene
      await upgradeTo('now', scene)
      await operator.does('rollback')
      await upgradeTo('now', scene)
      await settled(cluster)
      await operator.does('status')
      await operator.does('migrate')
      await keepsPods(scene, () => failToRollBack(scene))
      await operator.does('migrate back')
      await upgradeTo('before', scene)
    },
  },
  'migrate-by-helm': {
    does: 'N-1 to N and format 2 by one command of Helm, format 1, rolled back',
    begins: before,
    passes: 1,
    async play({ operator }) {
      await operator.takes('now')
      await operator.does('migrate by Helm')
      await operator.does('migrate back')
      await operator.does('rollback')
    },
  },
  'no-hooks': {
    does: 'N-1 to N, and rolled back, both without hooks',
    begins: before,
    async play(scene) {
      await upgradeTo('now', scene, '--no-hooks')
      await scene.operator.does('rollback', '--no-hooks')
    },
  },
  one: {
    does: 'N-1 to N, and rolled back, with one replica only',
    begins: { build: 'before', replicas: 1 },
    async play({ operator }) {
      await operator.takes('now', { replicaCount: 1 })
      await operator.does('upgrade')
      await operator.does('rollback')
    },
  },
  'hook-fails': {
    does: 'an upgrade whose hook fails, rolled back by hand and by --atomic',
    begins: now,
    async play(scene) {
      const endpoint = `http://${scene.hostAddress}:${scene.minio.port}`
      const more = {
        store: { url: `s3://there-is-no-such-bucket?endpoint=${endpoint}` },
        migrations: { expandTimeoutSeconds: 10 },
      }
      await keepsPods(scene, async () => {
        await failTo('now', scene, { more })
        await failTo('now', scene, { more, also: '--atomic' })
      })
    },
  },
  'no-image': {
    does: 'an image that does not exist, with hooks and without',
    begins: now,
    unfit: [absent],
    async play(scene) {
      await failTo(absent, scene, { also: givenUp })
      await failTo(absent, scene, { also: `${givenUp} --no-hooks` })
    },
  },
  'out-of-range': {
    does: 'format 2, then N-1, with hooks and without, which is never ready; format 1',
    begins: now,
    unfit: ['before'],
    async play(scene) {
      const { operator } = scene
      await operator.does('migrate')
      await failTo('before', scene)
      await failTo('before', scene, { also: `${givenUp} --no-hooks` })
      await operator.does('migrate back')
    },
  },
  newer: {
    does: 'N+1, refused before format 2; its own format, which N cannot write; a format beyond; back to N and format 1',
    begins: now,
    passes: 1,
    unfit: ['now'],
    async play(scene) {
      const { cluster, operator } = scene
      await failTo('next', scene)
      await operator.does('migrate')
      await upgradeTo('next', scene)
      await settled(cluster)
      await operator.runs(`${migrate} to 3`)
      await operator.runs(`! ${migrate} to 4`)
      await failToRollBack(scene)
      await failTo('now', scene, { also: `${givenUp} --no-hooks` })
      await operator.runs(`${migrate} to 2`)
      await upgradeTo('now', scene)
      await settled(cluster)
      await operator.does('migrate back')
    },
  },
  scale: {
    does: 'two replicas, five, one, three, two',
    begins: now,
    fewest: 1,
    async play({ operator }) {
      await operator.takes('now')
      for (const count of [5, 1]) await operator.does('scale', `--set replicaCount=${count}`)
      await operator.does('scale')
      await operator.does('upgrade')
    },
  },
  evict: {
    does: 'each pod evicted; a second eviction meanwhile is refused',
    begins: now,
    fewest: 1,
    play: evictAll,
  },
  values: {
    does: 'changed values, and back; an upgrade that changes nothing replaces no pod',
    begins: now,
    async play(scene) {
      const { operator } = scene
      await operator.takes('now', { cacheMiB: 512, settings: { LOG_LEVEL: 'warn' } })
      await operator.does('upgrade')
      await operator.does('rollback')
      await operator.takes('now')
      await keepsPods(scene, () => operator.does('upgrade'))
    },
  },
  redis: {
    does: 'Redis added, restarted, and taken away',
    begins: now,
    async play({ operator, redis, hostAddress }) {
      await operator.takes('now')
      operator.write('url', `redis://${hostAddress}:${redis.port}`)
      await operator.does('redis')
      await redis.restart()
      await operator.does('upgrade')
      await operator.runs('kubectl delete secret configuration-service-redis')
    },
  },
  keys: {
    does: 'the keys of the store and of Redis replaced twice, the first ones removed',
    begins: now,
    passes: 1,
    play: rotateKeys,
  },
  store: {
    does: 'MinIO killed and started again',
    begins: now,
    async play({ minio, away }) {
      await away(() => minio.restart())
      await sleep(5_000)
    },
  },
  kill: {
    does: 'each pod deleted with --force, and killed with kill -9',
    begins: now,
    fewest: 0,
    play: killAll,
  },
  last: {
    does: 'N+2 and its format, from which there is no way back; N+1 is refused',
    begins: now,
    passes: 1,
    unfit: ['next'],
    isLast: true,
    async play(scene) {
      const { cluster, operator } = scene
      await operator.does('migrate')
      await upgradeTo('next', scene)
      await settled(cluster)
      await operator.runs(`${migrate} to 3`)
      await upgradeTo('last', scene)
      await settled(cluster)
      await refused(scene, 'to 4')
      await operator.runs(`${migrate} to 4 --accept-irreversible`)
      await refused(scene, 'to 3')
      await failToRollBack(scene)
      await failTo('next', scene, { also: `${givenUp} --no-hooks` })
    },
  },
} satisfies Record<string, Scenario>

export type ScenarioName = keyof typeof scenarios

export const scenarioNames = Object.keys(scenarios) as ScenarioName[]

export function isScenario(name: string): name is ScenarioName {
  return Object.hasOwn(scenarios, name)
}

async function evictAll({ cluster, operator }: Scene): Promise<void> {
  const evict = ({ metadata: { name, namespace } }: Pod) => {
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name } }
    operator.write('eviction.json', JSON.stringify(eviction))
    const path = `/api/v1/namespaces/${namespace}/pods/${name}/eviction`
    return `kubectl create --filename eviction.json --raw ${path}`
  }
  const pods = await serving(cluster)
  for (const pod of pods) {
    await operator.runs(evict(pod))
    const [other] = await serving(cluster)
    if (other === undefined) throw new Error('evict: there is no other pod')
    await operator.runs(`! ${evict(other)}`)
    await serves(cluster, pods.length)
  }
}

async function killAll({ cluster, operator, kills, killProcesses }: Scene): Promise<void> {
  const pods = await serving(cluster)
  for (const pod of pods) {
    kills(pod)
    await operator.runs(`kubectl delete pod ${pod.metadata.name} --grace-period 0 --force`)
    await serves(cluster, pods.length)
  }
  if (killProcesses === undefined) return
  for (const pod of await serving(cluster)) {
    kills(pod)
    killProcesses(pod.metadata.name)
    await sleep(3_000)
    await serves(cluster, pods.length)
  }
}

/** The pods that are ready and not about to go. */
async function serving(cluster: Cluster): Promise<Pod[]> {
  const pods = [...(await podsOf(cluster)).values()]
  return pods.filter((pod) => pod.metadata.deletionTimestamp === undefined && isReady(pod))
}

/** Waits until so many serve. */
async function serves(cluster: Cluster, count: number): Promise<void> {
  const areThere = async () => {
    await sleep(1_000)
    return (await serving(cluster)).length >= count
  }
  await waitFor(areThere, { what: `${count} pods to serve`, timeoutMs: 60_000 })
}
