/** One schedule: a world made from a seed, lived through, healed, and judged. */
import { answerOf, type Change } from './changes.ts'
import { type Clients, createClients, type Journal, type WriteRecord } from './clients.ts'
import { checkHistory, type Operation } from './linearizability.ts'
import { createVirtualLock, type LockMode } from './lock.ts'
import { createReplicas, type MakeRepositories, type Replica, type Replicas } from './replicas.ts'
import { createVirtualStore, fairWeather, type VirtualStore } from './store.ts'
import { drawWeather } from './weather.ts'
import { createWorld, type World } from './world.ts'

export interface ScheduleResult {
  /** Sentences; none when all is well. */
  failures: string[]
  story: readonly string[]
  /** The same for the same seed, whenever it runs. */
  digest: string
  /** How often what was met. */
  counts: Map<string, number>
}

/** Looks at what is on the bucket in the end. */
export type Audit = (store: VirtualStore, journal: Journal) => string[]

const maxEvents = 60_000

/**
 * @param seed 0 to 2^31
 * @param make builds a replica
 */
export async function runSchedule(
  seed: number,
  { make, audit }: { make: MakeRepositories; audit: Audit },
): Promise<ScheduleResult> {
  const world = createWorld(seed)
  const chance = world.chance.fork()
  const names = ['a', 'b', 'c'].slice(0, chance.pick([2, 2, 3]))
  const projects = ['p', 'q'].slice(0, chance.pick([1, 1, 1, 2]))
  const files = ['f', 'g', 'h'].slice(0, chance.pick([1, 2, 3]))
  const thinkMs = chance.pick([[0.5], [2], [2, 20], [5, 200, 3_000], [20, 15_000]])
  const lastsMs = Math.max(...thinkMs) * 6 + 100
  const store = createVirtualStore(world, drawWeather(world, names, lastsMs))
  const mode = chance.pick<LockMode>(['exclusive', 'exclusive', 'generous', 'down', 'fickle'])
  const lock = createVirtualLock(world, mode)
  const replicas = createReplicas({ world, store, lock, make, names })
  const clients = createClients({ world, replicas, projects, files })
  const { journal } = clients
  world.tell(`seed ${seed}: replicas ${names}, projects ${projects}, files ${files}, lock ${mode}`)

  const quiet = disturb(world, replicas, lastsMs)
  let over = false
  let error: unknown
  async function live(): Promise<void> {
    for (const project of projects) {
      const record = clients.newWrite(project, { kind: 'create' }, chance.happens(0.5))
      if (chance.happens(0.7) && replicas.running[0])
        await clients.write(record, replicas.running[0], 5_000)
    }
    if (chance.happens(0.03) && replicas.running[0]) await fill(replicas.running[0])
    const many = chance.between(2, 6)
    const operations = Math.ceil(chance.between(12, 26) / many)
    await Promise.all(Array.from({ length: many }, () => clients.run({ operations, thinkMs })))
    await heal()
    await replicas.closeAll()
  }

  /** So many entries that some of them are rolled into a checkpoint. */
  async function fill(replica: Replica): Promise<void> {
    for (let i = 0; i < 70 && replica.actor.alive; i++) {
      const action: Change = { kind: 'put', file: 'f', value: `filled ${i}` }
      const one = await clients.write(clients.newWrite('p', action, i % 10 === 0), replica, 5_000)
      if (one.end !== 'answered') return
    }
  }

  /** After all troubles every replica reads and writes again, and all of them agree. */
  async function heal(): Promise<void> {
    world.tell('the troubles are over')
    quiet()
    store.setWeather(fairWeather(world))
    for (const name of names)
      if (!replicas.running.some((replica) => replica.name === name)) replicas.restart(name)
    const awakeMs = Math.max(0, ...replicas.running.map(({ actor }) => actor.heldUntilMs))
    await world.sleep(Math.max(0, awakeMs - world.nowMs()) + chance.pick([0, 1_000, 45_000]))
    for (const replica of replicas.running)
      for (const project of projects) {
        const action: Change = { kind: 'put', file: 'f', value: `last of ${replica.name}` }
        const last = await clients.write(clients.newWrite(project, action, false), replica, 30_000)
        if (last.end !== 'answered')
          journal.violations.push(
            `${last.replica} cannot write to ${project} in the end: ${last.end}`,
          )
      }
    for (const replica of replicas.running)
      for (const project of projects)
        for (const file of files)
          if (!(await readAtLast({ project, file, replica, timeoutMs: 30_000 })))
            journal.violations.push(`${replica.name} cannot read ${project}/${file} in the end`)
    for (const replica of replicas.running)
      for (const { project, reason } of replica.repositories.stopped())
        journal.violations.push(`${replica.name} stopped ${project}: ${reason}`)
  }

  /** The second time nothing is left of what began in the troubles. */
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
  const end = await world.run(() => over, maxEvents)
  const failures = [...journal.violations]
  if (error) failures.push(`it threw ${error instanceof Error ? error.stack : error}`)
  if (end !== 'done') failures.push(`it does not end: ${end}`)
  failures.push(...judge(journal), ...audit(store, journal))
  const counts = new Map([...store.counts, ...replicas.counters, ...journal.counts])
  const spilled = store.calls.filter(({ key }) => /^projects\/\w+\/packs\//.test(key))
  counts.set('pack spilled', spilled.length)
  for (const [name, count] of lock.counts) counts.set(`lock ${name}`, count)
  for (const size of replicas.histograms.get('batch_requests') ?? [])
    counts.set(`batch of ${size}`, (counts.get(`batch of ${size}`) ?? 0) + 1)
  return { failures, story: world.story, digest: world.digest(), counts }
}

/**
 * Replicas die, are started again, are held, and their wall clocks jump.
 * @returns what ends it
 */
function disturb(world: World, replicas: Replicas, lastsMs: number): () => void {
  const chance = world.chance.fork()
  let over = false
  const oneOfThem = (work: (replica: Replica) => void) =>
    world.after(chance.fraction() * lastsMs, () => {
      if (!over && replicas.running.length > 0) work(chance.pick(replicas.running))
    })

  for (let i = chance.pick([0, 0, 1, 2]); i > 0; i--)
    oneOfThem((replica) => {
      replicas.kill(replica)
      const again = () => {
        if (!over) replicas.restart(replica.name)
      }
      world.after(chance.pick([1, 50, 2_000]), again)
    })
  for (let i = chance.pick([0, 0, 1, 2]); i > 0; i--)
    oneOfThem((replica) =>
      replicas.hold(replica, chance.pick([20, 500, 8_000]), chance.happens(0.5)),
    )
  if (chance.happens(0.2))
    oneOfThem(({ actor }) => {
      actor.wallErrorMs += chance.pick([3_000, 3_600_000])
    })
  return () => {
    over = true
  }
}

/** Every project's history has to be linearizable. */
function judge(journal: Journal): string[] {
  const failures: string[] = []
  const projects = new Set(journal.writes.map(({ project }) => project))
  for (const project of projects) {
    const writes = journal.writes.filter((record) => record.project === project)
    const history = [...writes.flatMap(operationOf), ...(journal.reads.get(project) ?? [])]
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

function operationOf(record: WriteRecord): Operation[] {
  const { id, action, tries } = record
  const first = tries[0]
  if (!first) return []
  const answered = tries.find((one) => one.end === 'answered')
  if (!answered && !tries.some((one) => isOpen(one.end))) return []
  return [
    {
      id,
      action,
      invokedAt: first.invokedAt,
      returnedAt: answered?.answeredAt ?? Number.POSITIVE_INFINITY,
      answer: answered?.outcome ? answerOf(answered.outcome) : null,
    },
  ]
}
