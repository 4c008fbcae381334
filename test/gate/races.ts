/**
 * An old replica that starts against a job that changes the format, again and again, each time in a bucket of their own: one of
 * the two is held at one of its calls to the store until the other has gone as far as it gets. Whichever wins, no replica may
 * be ready on a format that it cannot read.
 */
import type { Client } from 'minio'
import { clientOf, readBucketLog } from '../support/bucket-log.ts'
import { type Fault, startFaultProxy } from '../support/fault-proxy.ts'
import { waitFor } from '../support/processes.ts'
import { send } from '../support/send.ts'
import type { Service } from '../support/service.ts'
import type { Build } from './fleet.ts'
import type { Stage } from './scenario.ts'

export interface Races {
  /** One race. @returns a sentence for whatever must not be */
  run(number: number): Promise<string[]>
  /** How often who won. */
  told(): string
  stop(): Promise<void>
}

interface Held {
  /** Resolves once it has come to the call. */
  reached: Promise<void>
  /** Resolves once it may go on. */
  released: Promise<void>
  release(): void
  /** Asked for each call. */
  onCall(): Promise<void>
}

const projects = ['one', 'two', 'three']
const heartbeat = { HEARTBEAT_SECONDS: '0.5', REDIS_URL: '' }
/** Shorter than a call to the store may take: it is held back, not failed. */
const heldMostMs = 4_000
const verdictMs = 30_000

/** Makes what every race begins with. */
export async function startRaces(stage: Stage): Promise<Races> {
  const { minio, chance, fleet } = stage
  const client = clientOf(minio)
  const { bucket } = stage.place
  const jobProxy = await startFaultProxy(minio.endpoint)
  const replicaProxy = await startFaultProxy(minio.endpoint)
  const storeAt = (proxy: { endpoint: string }, prefix: string) =>
    `s3://${bucket}/${prefix}?endpoint=${proxy.endpoint}`
  const begin = 'race-0'
  const won = { job: 0, replica: 0, nobody: 0 }

  await makeBeginning(
    stage,
    stage.build('this', { STORE_URL: storeAt(minio, begin), ...heartbeat }),
  )
  const calls = await countCalls()

  /** How many such calls each of the two makes while nobody holds it. */
  async function countCalls(): Promise<{ job: number; replica: number }> {
    const prefix = 'race-count'
    await copyAll(client, { bucket, from: `${begin}/`, to: `${prefix}/` })
    const counts = { job: 0, replica: 0 }
    const replica = await startOld(prefix, () => void counts.replica++)
    await waitFor(() => verdictOf(replica) !== undefined, { timeoutMs: verdictMs })
    const { replica: ofReplica } = counts
    await replica.stop()
    const job = startJob(prefix, () => void counts.job++)
    await job.ended()
    return { job: counts.job, replica: ofReplica }
  }

  function startJob(prefix: string, onCall: () => Promise<void> | void) {
    jobProxy.decide = afterwards(onCall)
    const STORE_URL = storeAt(jobProxy, prefix)
    return stage.migrate(stage.build('this', { STORE_URL, ...heartbeat }), 'to 2 --rate 1000')
  }

  function startOld(prefix: string, onCall: () => Promise<void> | void): Promise<Service> {
    replicaProxy.decide = afterwards(onCall)
    const STORE_URL = storeAt(replicaProxy, prefix)
    return fleet.start(stage.build('previous', { STORE_URL, ...heartbeat }))
  }

  async function run(number: number): Promise<string[]> {
    const prefix = `race-${number}`
    await copyAll(client, { bucket, from: `${begin}/`, to: `${prefix}/` })
    const isJobHeld = chance.happens(0.5)
    const call = chance.between(1, isJobHeld ? calls.job : calls.replica)
    const held = holdAt(call)
    const onCall = (isHeld: boolean) => (isHeld ? held.onCall : () => {})
    const where = `race ${number}, the ${isJobHeld ? 'job' : 'replica'} held at call ${call}`

    let job: ReturnType<typeof startJob>
    let replica: Service
    if (isJobHeld) {
      job = startJob(prefix, onCall(true))
      await Promise.race([held.reached, job.ended()])
      replica = await startOld(prefix, onCall(false))
      await Promise.race([held.released, verdict(replica)])
    } else {
      replica = await startOld(prefix, onCall(true))
      await Promise.race([held.reached, verdict(replica)])
      job = startJob(prefix, onCall(false))
      await Promise.race([held.released, job.ended()])
    }
    held.release()
    const exit = await job.ended()
    const became = await verdict(replica)
    const formats = await formatsIn(prefix)
    const faults = judge({ exit, became, formats })
    if (became === 'ready') faults.push(...(await serves(replica)))
    await replica.stop()
    await replica.dispose()
    won[exit === 0 ? 'job' : became === 'ready' ? 'replica' : 'nobody']++
    stage.say(`${where}: the job ended with ${exit}, the replica is ${became}`)
    return faults.map((fault) => `${where}: ${fault}`)
  }

  async function formatsIn(prefix: string): Promise<number[]> {
    const formats = projects.map(async (project) => {
      const { entries } = await readBucketLog(client, { bucket, prefix: `${prefix}/`, project })
      return entries.at(-1)?.transaction.format ?? 0
    })
    return Promise.all(formats)
  }

  return {
    run,
    told: () =>
      `races: the job won ${won.job} times, the old replica ${won.replica} times, neither ${won.nobody} times`,
    async stop() {
      await jobProxy.stop()
      await replicaProxy.stop()
    },
  }
}

type Verdict = 'ready' | 'out of range' | 'gone'

/** What became of an old replica, or undefined as long as that is open. */
function verdictOf(service: Service): Verdict | undefined {
  const events = service.events()
  if (events.some(({ event }) => event === 'ready')) return 'ready'
  const isOutOfRange = ({ event, waitsFor }: Record<string, unknown>) =>
    event === 'cluster_failed' && /this build reads/.test(String(waitsFor))
  if (events.some(isOutOfRange)) return 'out of range'
  return service.process.exited() === undefined ? undefined : 'gone'
}

async function verdict(service: Service): Promise<Verdict> {
  await waitFor(() => verdictOf(service) !== undefined, {
    timeoutMs: verdictMs,
    what: 'an old replica to be ready or out of range',
  })
  return verdictOf(service) as Verdict
}

function judge(ended: { exit: number | string; became: Verdict; formats: number[] }): string[] {
  const { exit, became, formats } = ended
  const isConverted = formats.some((format) => format === 2)
  const faults: string[] = []
  if (exit !== 0 && exit !== 3) faults.push(`the job ended with ${exit}`)
  if (exit === 0 && formats.some((format) => format !== 2)) faults.push(`formats ${formats}`)
  if (exit !== 0 && isConverted) faults.push(`refused, it left formats ${formats}`)
  if (became === 'ready' && isConverted) faults.push('ready on a format that it cannot read')
  if (became === 'gone') faults.push('the replica ended')
  return faults
}

async function serves({ url }: Service): Promise<string[]> {
  const faults: string[] = []
  for (const project of projects) {
    const path = `/v1/project/${project}/resource/a.yaml`
    const body = JSON.stringify({ resourceContent: 'YQ==' })
    const { status } = await send(url, { method: 'PUT', path, body })
    if (status !== 200) faults.push(`the replica is ready, and answers ${status}`)
  }
  return faults
}

/** Only what the two have to say to each other counts: most calls of a start are the probe of the store. */
function afterwards(onCall: () => Promise<void> | void) {
  return async ({ path }: { path: string }): Promise<Fault> => {
    if (/cluster|projects/.test(path)) await onCall()
    return 'pass'
  }
}

/** Holds the n-th call, and those that come meanwhile, for a while at most. */
function holdAt(call: number): Held {
  let calls = 0
  let release = () => {}
  let reach = () => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const reached = new Promise<void>((resolve) => {
    reach = resolve
  })
  return {
    reached,
    released,
    release: () => release(),
    async onCall() {
      if (++calls < call) return
      if (calls === call) setTimeout(release, heldMostMs)
      reach()
      await released
    },
  }
}

async function makeBeginning({ fleet }: Stage, build: Build): Promise<void> {
  const service = await fleet.start(build, 'ready')
  for (const projectName of projects) {
    const body = JSON.stringify({ projectName })
    const { status } = await send(service.url, { method: 'POST', path: '/v1/project', body })
    if (status !== 204) throw new Error(`a project was answered ${status}`)
  }
  await service.stop()
}

async function copyAll(
  client: Client,
  { bucket, from, to }: { bucket: string; from: string; to: string },
): Promise<void> {
  const names: string[] = []
  for await (const { name } of client.listObjectsV2(bucket, from, true)) names.push(name)
  for (const name of names) {
    await client.copyObject(bucket, to + name.slice(from.length), `/${bucket}/${name}`)
  }
}
