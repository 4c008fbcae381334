/** One schedule: a world made from a seed, lived through, healed, and judged. */
import { storeTimeoutMs } from '../../src/repository/environment.ts'
import { projectWeightBytes } from '../../src/repository/repositories.ts'
import { bare, served } from './acting.ts'
import { audit, judgeCreated, landed, readLog } from './audit.ts'
import { createVirtualCaches } from './cache.ts'
import { answerOf, type Change } from './changes.ts'
import {
  type Clients,
  createClients,
  type Journal,
  mayHaveBeenEmpty,
  type WriteRecord,
} from './clients.ts'
import { builds, type Cluster, createCluster, makeMember } from './cluster.ts'
import { addAll, addTo, type Counts } from './counts.ts'
import { createCoverage } from './coverage.ts'
import { createEvolution, type Evolution } from './evolution.ts'
import { disturb } from './harm.ts'
import { checkHistory, type Operation } from './linearizability.ts'
import { createVirtualLock, type LockMode } from './lock.ts'
import { make } from './make.ts'
import { createReplicas, type Replica } from './replicas.ts'
import { createVirtualStore, fairWeather, type VirtualStore } from './store.ts'
import { drawWeather, type Interruption, type Season } from './weather.ts'
import { type Actor, createWorld } from './world.ts'

export interface ScheduleResult {
  /** Sentences; none when all is well. */
  failures: string[]
  story: readonly string[]
  /** What happened that a shorter schedule may do without. */
  facts: readonly string[]
  /** The same for the same seed, whenever it runs. */
  digest: string
  /** How often what was met. */
  counts: Counts
  /** How often which fault met which step of the protocol. */
  met: Counts
}

/** A world with more of them does not end: to open a long log while a third of the calls fail takes more than 60,000. */
const eventsAtMost = 400_000

/** Worlds in which replicas are members of a cluster, and projects have stages. */
const clusterShare = 0.1

/**
 * Lives through one schedule.
 * @param seed 0 to 2^31
 * @param without facts of it that do not happen
 */
export async function runSchedule(
  seed: number,
  without: ReadonlySet<string> = new Set(),
): Promise<ScheduleResult> {
  const world = createWorld(seed, without)
  const chance = world.chance.fork()
  const isCluster = chance.happens(clusterShare)
  const names = ['a', 'b', 'c', 'd', 'e'].slice(0, chance.pick([2, 2, 2, 3, 3, 4, 5]))
  const projects = ['p', 'q'].slice(0, chance.pick(isCluster ? [1, 2, 2] : [1, 1, 1, 2]))
  const files = isCluster
    ? ['f', 'dev/s', 'dev/t']
    : ['f', 'g', 'h'].slice(0, chance.pick([1, 2, 3]))
  const thinkMs = isCluster
    ? [20, 20_000, 60_000]
    : chance.pick([[0.5], [2], [2, 20], [5, 200, 3_000], [20, 15_000]])
  const lastsMs = isCluster ? 400_000 : Math.max(...thinkMs) * 6 + 100
  const actors = new Map<string, Actor>()
  const season: Season = { fromMs: 0, lastsMs }
  const weather = drawWeather(world, names, season, (name, how) => interrupt(name, how))
  const store = createVirtualStore(world, weather, (key, body, bucket) => {
    const wrong = judgeCreated(bucket, key, body)
    if (wrong !== null) journal.violations.push(wrong)
  })
  const coverage = createCoverage()
  const mode = chance.pick<LockMode>(['exclusive', 'exclusive', 'generous', 'down', 'fickle'])
  const lock = createVirtualLock(world, mode)
  const caches = createVirtualCaches(world)
  // Of some nothing stays at hand, and one project at the most.
  const memoryMaxBytes = chance.pick([4 * 1024 * 1024, 4 * 1024 * 1024, 100 * 1024, 1])
  const counts: Counts = new Map()
  const count = (name: string) => addTo(counts, name)
  const remember = (actor: Actor) => void actors.set(actor.name, actor)
  let cluster: Cluster | undefined
  let evolution: Evolution | undefined
  const replicas = createReplicas({
    ...{ world, store, lock, names },
    make: isCluster ? makeMember(world, builds) : make,
    ...(chance.happens(0.5) && { caches }),
    memoryMaxBytes,
    onStarted: ({ actor }) => remember(actor),
    onReady: (replica) => cluster?.judgeReady(replica),
    onInterrupted: coverage.interrupted,
  })
  const acting = isCluster ? served : bare
  const clients = createClients({ world, replicas, acting, projects, files })
  const { journal } = clients
  if (isCluster) {
    const failed = (what: string) => void journal.violations.push(what)
    cluster = createCluster({
      ...{ world, store, replicas, builds, count, failed },
      onActor: remember,
      gone: () => [...actors.values()].filter(({ alive }) => !alive),
    })
    evolution = createEvolution({ world, chance, cluster, replicas, actors, lastsMs, failed })
  }
  world.tell(
    `seed ${seed}: replicas ${names}, projects ${projects}, files ${files}, lock ${mode}${isCluster ? ', a cluster' : ''}`,
  )
  let over = false
  let isHealing = false
  let error: unknown

  function interrupt(name: string, how: Interruption): void {
    const replica = replicas.started.get(name)
    if (isHealing) return
    if (!replica) {
      // A migration's process; nobody starts it again.
      const actor = actors.get(name)
      if (actor) actor.alive = false
      return
    }
    if (how !== 'killed') {
      replicas.hold(replica, chance.pick([20, 500, 8_000]), how === 'suspended')
      return
    }
    replicas.kill(replica)
    world.after(chance.pick([1, 50, 2_000]), () => {
      if (!isHealing) replicas.ensure(replica.name)
    })
  }

  const quiet = disturb({
    ...{ world, store, weather, replicas, caches, clients, projects, lastsMs, count },
    losesTails: !isCluster,
  })

  async function live(): Promise<void> {
    while (replicas.running.length === 0) await world.sleep(500)
    for (const project of projects) {
      const record = clients.newWrite(project, { kind: 'create' }, chance.happens(0.5))
      if (chance.happens(0.7) && replicas.running[0])
        await clients.write(record, replicas.running[0], 5_000)
    }
    if (chance.happens(0.05)) await fill()
    const many = chance.between(2, 6)
    const operations = Math.ceil(chance.between(12, 26) / many) * (isCluster ? 3 : 1)
    const evolving = evolution?.evolve(() => isHealing)
    await Promise.all(Array.from({ length: many }, () => clients.run({ operations, thinkMs })))
    isHealing = true
    await evolving
    await heal()
    await replicas.closeAll()
  }

  /** So many entries that some of them are rolled into a checkpoint. */
  async function fill(): Promise<void> {
    const many = chance.pick([70, 70, 340])
    let unanswered = 0
    for (let i = 0; i < many && unanswered < 10; i++) {
      // What a newer checkpoint took the place of goes an hour later, and the parts of what was joined, and shall meet troubles then.
      if (i === 210 || i === 290) {
        await world.sleep(3_700_000)
        Object.assign(season, { fromMs: world.nowMs(), lastsMs: 60_000 })
      }
      const [replica] = replicas.running
      if (replica === undefined) return
      const change: Change = { kind: 'put', file: 'f', value: `filled ${i}` }
      const action = i === 0 ? ({ kind: 'create' } as const) : change
      const record = clients.newWrite('p', action, i % 10 === 1)
      const { end } = await clients.inTurn(() => clients.write(record, replica, 5_000))
      if (end !== 'answered') unanswered++
    }
  }

  /** After all troubles every replica reads and writes again, and all of them agree. */
  async function heal(): Promise<void> {
    world.tell('the troubles are over')
    await quiet()
    store.setWeather(fairWeather(world))
    for (const name of names) replicas.ensure(name)
    const awakeMs = Math.max(0, ...replicas.processes.map(({ actor }) => actor.heldUntilMs))
    await world.sleep(Math.max(0, awakeMs - world.nowMs()) + chance.pick([0, 1_000, 45_000]))
    await evolution?.renew()
    for (const replica of replicas.running)
      for (const project of projects) {
        const end = await writeAtLast(project, replica)
        if (end !== 'answered')
          journal.violations.push(`${replica.name} cannot write to ${project} in the end: ${end}`)
      }
    for (const replica of replicas.running)
      for (const project of projects)
        for (const file of files)
          if (!(await readAtLast({ project, file, replica, timeoutMs: 30_000 })))
            journal.violations.push(`${replica.name} cannot read ${project}/${file} in the end`)
    for (const replica of replicas.running)
      for (const { project, reason } of replica.repositories.stopped())
        journal.violations.push(`${replica.name} stopped ${project}: ${reason}`)
    // Whose client has left is still in use until the bucket has answered, or will not.
    await world.sleep(2 * storeTimeoutMs)
    for (const replica of replicas.running) judgeMemory(replica)
  }

  /** Nobody asks for anything: only the project that was asked for last may stay in spite of the memory that there is. */
  function judgeMemory(replica: Replica): void {
    const open = replicas.gauge(replica, 'open_projects')
    const bytes = replicas.gauge(replica, 'open_projects_bytes')
    const told = `${replica.name} has ${open} projects open, of ${bytes} bytes`
    if (open > 1 && bytes > memoryMaxBytes)
      journal.violations.push(`${told}, and may have ${memoryMaxBytes}`)
    // More was given back than was taken.
    if (bytes < open * projectWeightBytes) journal.violations.push(told)
  }

  /** The second time nothing is left of what began in the troubles. */
  async function writeAtLast(project: string, replica: Replica) {
    const action: Change = { kind: 'put', file: 'f', value: `last of ${replica.name}` }
    const write = () => clients.write(clients.newWrite(project, action, false), replica, 30_000)
    const first = await write()
    return first.end === 'not_written' ? (await write()).end : first.end
  }

  /** As for writes. */
  async function readAtLast(at: Parameters<Clients['read']>[0]): Promise<boolean> {
    return (await clients.read(at)) || (await clients.read(at))
  }

  live()
    .catch((reason) => {
      error = reason
    })
    .finally(() => {
      over = true
    })
  const isOver = () => over || journal.violations.length > 0
  const end = await world.run(isOver, eventsAtMost)
  const failures = [...journal.violations]
  if (error) failures.push(`it threw ${error instanceof Error ? error.stack : error}`)
  if (end !== 'done') failures.push(`it does not end: ${end}`)
  failures.push(...judge(store, journal), ...audit(store, journal))
  for (const some of [store.counts, replicas.counters, journal.counts]) addAll(counts, some)
  const spilled = store.calls.filter(({ key }) => /^projects\/\w+\/packs\//.test(key))
  counts.set('pack spilled', spilled.length)
  for (const [name, times] of lock.counts) addTo(counts, `lock ${name}`, times)
  for (const size of replicas.histograms.get('batch_requests') ?? []) count(`batch of ${size}`)
  if (isCluster) count('cluster')
  const { story, facts } = world
  return { failures, story, facts, digest: world.digest(), counts, met: coverage.met(store) }
}

/** Every project's history has to be linearizable. */
function judge(store: VirtualStore, journal: Journal): string[] {
  const failures: string[] = []
  const projects = new Set(journal.writes.map(({ project }) => project))
  for (const project of projects) {
    const writes = journal.writes.filter((record) => record.project === project)
    const inLog = landed(readLog(store, project, () => {}))
    const operations = writes.flatMap((write) => operationsOf(write, inLog))
    const history = [...operations, ...(journal.reads.get(project) ?? [])]
    const verdict = checkHistory(history)
    if (verdict.linearizable === false)
      failures.push(`${project} is not linearizable: ${verdict.explanation}`)
    if (verdict.linearizable === null) failures.push(`${project}: its history is too hard to judge`)
  }
  return failures
}

/** Whether a try may have taken effect, or yet take it. */
export function isOpen(end: WriteRecord['tries'][number]['end']): boolean {
  return end === 'gone' || end === 'outcome_unknown' || end === null
}

/** Writes that make a commit if they change anything. */
const committing: readonly Change['kind'][] = ['create', 'put', 'remove']

/** @param inLog the writes that took effect: it tells of what nobody was told, so that the checker need not try both */
function operationsOf(record: WriteRecord, inLog: ReadonlySet<string>): Operation[] {
  const { id, action, tries } = record
  const first = tries[0]
  if (!first) return []
  const common = { id, action, invokedAt: first.invokedAt }
  const answers = tries.filter((one) => one.end === 'answered')
  // A refusal by an empty log binds no key: what the same request was answered otherwise is its answer.
  const binding = answers.find(({ outcome }) => outcome && !mayHaveBeenEmpty(outcome))
  const answered = binding ?? answers[0]
  const operations: Operation[] = []
  if (answered?.outcome) {
    const { answeredAt, outcome } = answered
    operations.push({ ...common, returnedAt: answeredAt, answer: answerOf(outcome) })
  }
  // Nor does it end another attempt with the key, which may take effect on what is there by then.
  if (!binding && tries.some((one) => isOpen(one.end))) {
    const tells = committing.includes(action.kind)
    const answer = tells ? 'done' : null
    const name = answered ? `${id} sent again` : id
    const open = { ...common, id: name, returnedAt: Number.POSITIVE_INFINITY, answer }
    if (!tells || inLog.has(id)) operations.push(open)
  }
  return operations
}
