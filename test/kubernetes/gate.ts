/**
 * The gate on Kubernetes: the chart, with its defaults, is installed, upgraded, rolled back and removed by Helm as
 * docs/operations.md says, under load through Keptn's gateway, and not one request may fail, nor one acknowledged write be lost.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeProject, scope } from '../gate/gate.ts'
import { startGateway } from '../gate/gateway.ts'
import { compareBucket, readBack, readLedger } from '../gate/ledger.ts'
import type { LoadSettings } from '../gate/load.ts'
import { startLoad } from '../gate/loading.ts'
import { buildReport, type Report } from '../gate/report.ts'
import { clientOf, readBucketLog } from '../support/bucket-log.ts'
import { makeFolder, removeFolder } from '../support/processes.ts'
import { repositoryRoot } from '../support/programs.ts'
import { send } from '../support/send.ts'
import { type Server, startMinio, startRedis } from '../support/servers.ts'
import type { Control } from './controls.ts'
import { makeImage } from './image.ts'
import { hostAddress, type Lab, startLab } from './lab.ts'
import { leftovers, makeOperator, type Operator } from './operator.ts'
import { followPods, isReady, podsOf, settled } from './pods.ts'

export interface GateOptions {
  /** How many times it is upgraded and rolled back. */
  rounds: number
  perSecond: number
  postsOnly: boolean
  seed: number
  /** A mistake in the chart, which has to make it red. */
  control?: Control
  say: (line: string) => void
}

const service = 'configuration-service'
const repository = `registry.test/${service}`
const prefix = 'gate/'
/** The chart's own. */
const replicas = 2
const steadyMs = 5_000
/** Longer than preStop, so that every pod that goes has one of them under way when it is told. */
const slowMs = 20_000

const named = (kind: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${kind}-${index}`)

/** Runs the gate in the network namespace that this process is in. @returns what was seen; nothing is thrown for a red one */
export async function runKubernetesGate(options: GateOptions): Promise<Report> {
  const { rounds, perSecond, postsOnly, seed, control, say } = options
  const opened: (() => Promise<unknown> | unknown)[] = []
  const open = <T>(thing: T, close: (thing: T) => Promise<unknown> | unknown): T => {
    opened.push(() => close(thing))
    return thing
  }
  const startedMs = performance.now()
  const tell = (line: string) =>
    say(`${((performance.now() - startedMs) / 1_000).toFixed(0).padStart(4)} s  ${line}`)
  try {
    const folder = open(makeFolder('gate'), removeFolder)
    const lab = open(await startLab(), (it) => it.stop())
    tell(`Kubernetes is ready: KUBECONFIG=${lab.env.KUBECONFIG}`)
    const minio = open(await startMinio({ bind: '0.0.0.0' }), (server) => server.stop())
    const bucket = await minio.createBucket()
    const redis = open(await startRedis({ bind: '0.0.0.0' }), (server) => server.stop())
    for (const tag of ['1', '2']) {
      const ref = `${repository}:${tag}`
      await makeImage({ ref, checkout: repositoryRoot, images: lab.images })
    }
    const operator = makeOperator({ lab, folder, tell, ...(control && { control }) })
    operator.write('accessKeyId', minio.accessKeyId)
    operator.write('secretAccessKey', minio.secretAccessKey)
    const endpoint = `http://${hostAddress}:${minio.port}`
    const values = (tag: string) => ({
      image: { repository, tag },
      store: { url: `s3://${bucket}/${prefix.slice(0, -1)}?endpoint=${endpoint}` },
      service: { aliases: ['resource-service'] },
    })
    const use = (tag: string) => operator.write('values.yaml', JSON.stringify(values(tag)))
    const faults: string[] = []

    use('1')
    await operator.does('secret')
    await operator.does('install')
    const installed = await podsOf(lab)
    await operator.does('upgrade')
    if (!isSame(await podsOf(lab), installed))
      faults.push('upgrade: one that changed nothing restarted replicas')
    const followed = open(followPods(lab), (watch) => watch.stop())

    const address = async (name: string) => {
      const { spec } = await lab.get<{ spec: { clusterIP: string } }>('service', name)
      return `${spec.clusterIP}:8080`
    }
    const gateway = open(
      await startGateway({ mode: 'A', service: await address('resource-service') }),
      (it) => it.stop(),
    )
    const serviceUrl = `http://${await address(service)}`
    const projects = named('short', 3)
    const slowProjects = named('slow', 6)
    const load: LoadSettings = {
      gatewayUrl: gateway.url,
      serviceUrl,
      scope,
      projects,
      longProjects: [],
      slowProjects,
      slowMs,
      perSecond,
      postsOnly,
      ledgerPath: join(folder, 'ledger'),
      seed,
    }
    for (const project of [...projects, ...slowProjects]) await makeProject(serviceUrl, project)
    const loading = open(startLoad(load), (it) => it.kill())
    tell('the load begins')
    await sleep(steadyMs)
    for (let round = 1; round <= rounds; round++) {
      use('2')
      await operator.does('upgrade')
      await settled(lab)
      await operator.does('rollback')
      await settled(lab)
    }
    if (control === undefined) faults.push(...(await operate({ lab, operator, redis })))
    await sleep(steadyMs)
    const summary = await loading.stop()

    tell('reading everything back')
    const ledger = readLedger(load.ledgerPath)
    const lost: string[] = []
    const memory: string[] = []
    for (const pod of (await podsOf(lab)).values()) {
      if (!isReady(pod)) faults.push(`pod: ${pod.metadata.name} is not ready in the end`)
      const url = `http://${pod.status.podIP}:8080`
      lost.push(...(await readBack(ledger, url, scope)))
      memory.push(`${await residentMiB(url)} MiB`)
    }
    const inBucket = await compareBucket(ledger, (project) =>
      readBucketLog(clientOf(minio), { bucket, prefix, project }),
    )
    const fewest = followed.fewestReady(replicas)
    if (fewest < replicas) faults.push(`roll: only ${fewest} of ${replicas} replicas were ready`)
    await operator.does('uninstall')
    await settled(lab)
    faults.push(...(await leftovers(lab)))
    const { endings, faults: ofPods } = followed.judge()
    return buildReport({
      title: 'upgrades and rollbacks on Kubernetes',
      ledger,
      summary,
      witness: gateway.witness(),
      endings,
      replacements: endings.length,
      wrong: [...lost, ...inBucket],
      faults: [...faults, ...ofPods],
      notes: [
        `operator: ${operator.told().join(', ')}`,
        `replicas took ${memory.join(' and ')} of memory in the end`,
      ],
    })
  } finally {
    for (const close of opened.reverse()) await close()
  }
}

/** Everything else that docs/operations.md has an operator do to a running release. @returns what went wrong, in sentences */
async function operate(parts: { lab: Lab; operator: Operator; redis: Server }): Promise<string[]> {
  const { lab, operator, redis } = parts
  const faults: string[] = []
  await operator.does('scale')
  await settled(lab)
  const before = await podsOf(lab)
  await operator.does('rotate')
  await operator.does('log of the job')
  await operator.does('status')
  if (!isSame(await podsOf(lab), before)) faults.push('rotate: replicas were restarted')
  operator.write('url', `redis://${hostAddress}:${redis.port}`)
  // As many as before `scale`, so one goes as well.
  await operator.does('redis')
  await settled(lab)
  if ([...(await podsOf(lab)).keys()].some((uid) => before.has(uid)))
    faults.push('redis: a replica that was there before was not replaced')
  return faults
}

async function residentMiB(url: string): Promise<number> {
  const { body } = await send(url, { method: 'GET', path: '/metrics' })
  const [, bytes] = /^process_resident_memory_bytes (\S+)$/m.exec(body.toString()) ?? []
  return Math.round(Number(bytes) / 2 ** 20)
}

/** Whether the very same pods are there. */
function isSame(one: ReadonlyMap<string, unknown>, other: ReadonlyMap<string, unknown>): boolean {
  return one.size === other.size && [...one.keys()].every((uid) => other.has(uid))
}
