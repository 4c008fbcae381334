/**
 * Clients that write and read through the replicas as Keptn's do: one request at a time each, retried with its key where it has
 * one and the answer left it open. What they did and were told is kept for the checks.
 */
import type { ErrorCode } from '../../src/errors.ts'
import { isServiceError, ServiceError } from '../../src/errors.ts'
import type { Oid } from '../../src/git/objects.ts'
import type { Outcome } from '../../src/repository/repository.ts'
import type { Acting, ReadAnswer } from './acting.ts'
import type { Change } from './changes.ts'
import { addTo } from './counts.ts'
import type { Answer, Operation } from './linearizability.ts'
import type { Replica, Replicas } from './replicas.ts'
import type { Chance, World } from './world.ts'

/** One try of a write at one replica. */
export interface Try {
  replica: string
  invokedAt: number
  /** `Infinity` until it is answered; also where the replica was killed. */
  answeredAt: number
  /** `gone`: the connection broke. */
  end: 'answered' | 'gone' | ErrorCode | null
  outcome?: Outcome
}

/** A write as its client means it: one effect at most, however often it is tried. */
export interface WriteRecord {
  id: string
  project: string
  action: Change
  keyed: boolean
  tries: Try[]
}

/** A read as of a commit. */
export interface CommitRead {
  project: string
  commit: Oid
  file: string
  invokedAt: number
  answeredAt: number
  answer: Answer
}

/** Everything that clients saw. */
export interface Journal {
  writes: WriteRecord[]
  /** By project; reads only, writes are added when all is told. */
  reads: Map<string, Operation[]>
  commitReads: CommitRead[]
  /** While a log has lost entries its project is stopped. */
  mayStop: boolean
  /** What must never happen and did. */
  violations: string[]
  /** How often what was met. */
  counts: Map<string, number>
}

export interface Clients {
  journal: Journal
  /** Runs one client to its end. */
  run(options: { operations: number; thinkMs: readonly number[] }): Promise<void>
  write(record: WriteRecord, replica: Replica, timeoutMs: number): Promise<Try>
  read(options: {
    project: string
    file: string
    replica: Replica
    timeoutMs: number
  }): Promise<boolean>
  newWrite(project: string, action: Change, keyed: boolean): WriteRecord
  /** Does something once nobody pauses, and lets whoever wants a pause wait for its end. */
  inTurn<T>(work: () => Promise<T>): Promise<T>
  /** Lets nobody begin anything, and waits until nobody waits for an answer. @returns what lets them go on */
  pause(): Promise<() => void>
}

/** Answers may be this late, apart from the time their replica was held. */
const graceMs = 500

export function createClients(options: {
  world: World
  replicas: Replicas
  acting: Acting
  projects: string[]
  /** Those of a stage begin with its name and a slash. */
  files: string[]
}): Clients {
  const { world, replicas, acting, projects, files } = options
  const stages = [...new Set(files.flatMap((file) => file.split('/').slice(0, -1)))]
  const kinds = stages.length === 0 ? kindsOfBare : [...kindsOfBare, ...kindsOfStages]
  const journal: Journal = {
    writes: [],
    reads: new Map(),
    commitReads: [],
    mayStop: false,
    violations: [],
    counts: new Map(),
  }
  /** Worlds with large files have many of them. */
  const largeShare = world.chance.pick([0, 0, 0, 0, 0, 0, 0, 0, 0, 0.25])
  let ids = 0
  let runs = 0
  let pauses = 0
  let busy = 0

  const count = (name: string) => addTo(journal.counts, name)

  function newWrite(project: string, action: Change, keyed: boolean): WriteRecord {
    const record = { id: `w${++ids}`, project, action, keyed, tries: [] }
    journal.writes.push(record)
    return record
  }

  async function write(record: WriteRecord, replica: Replica, timeoutMs: number): Promise<Try> {
    const { id, project, action } = record
    const one: Try = {
      replica: replica.actor.name,
      invokedAt: world.stamp(),
      answeredAt: Number.POSITIVE_INFINITY,
      end: null,
    }
    record.tries.push(one)
    const label = `${id} ${action.kind} ${project} at ${one.replica}`
    world.tell(`${label}${record.keyed ? ' keyed' : ''} ${JSON.stringify(action)}`)
    const onEvaluate = () => {
      if (one.end)
        journal.violations.push(`${label} was evaluated after it was answered ${one.end}`)
    }
    const answer = deliver({ label, replica, timeoutMs }, () =>
      acting.write(replica, { id, project, action, keyed: record.keyed, timeoutMs, onEvaluate }),
    )
    await Promise.race([
      replica.killed.then(() => ({ end: 'gone' as const })),
      answer.then(
        (outcome) => ({ end: 'answered' as const, outcome }),
        (error) => ({ end: codeOf(error, label) }),
      ),
    ]).then((end) => Object.assign(one, end))
    if (one.end !== 'gone') one.answeredAt = world.stamp()
    count(`write ${one.end}${one.outcome ? ` ${one.outcome.status}` : ''}`)
    if (action.kind !== 'put' && (one.outcome?.status ?? 500) < 300) count(`${action.kind} done`)
    world.tell(`${label} -> ${one.end} ${one.outcome ? JSON.stringify(one.outcome) : ''}`)
    return one
  }

  /** Brings a request to a replica once that is awake, and sees that it is answered in time. */
  async function deliver<T>(
    { label, replica, timeoutMs }: { label: string; replica: Replica; timeoutMs: number },
    call: () => Promise<T>,
  ): Promise<T> {
    await world.sleep(0, replica.actor)
    return call().finally(watchDeadline(label, replica, timeoutMs))
  }

  /** Notes it as a failure when nobody says in time that the answer came. */
  function watchDeadline(label: string, replica: Replica, timeoutMs: number): () => void {
    const clock = world.clockOf(replica.actor)
    let answered = false
    const look = () => {
      if (answered) return
      const awakeMs = world.nowMs() - replica.actor.heldUntilMs
      if (awakeMs < graceMs) return void clock.schedule(graceMs - awakeMs + 1, look)
      const why = `${label} was not answered within ${timeoutMs} ms`
      world.tell(why)
      journal.violations.push(why)
    }
    clock.schedule(timeoutMs + graceMs, look)
    return () => {
      answered = true
    }
  }

  function codeOf(error: unknown, label: string): ErrorCode {
    if (isServiceError(error, 'project_stopped') && !journal.mayStop)
      journal.violations.push(`${label}: ${error.message}, though nothing was lost`)
    if (error instanceof ServiceError && error.status >= 500 && error.code !== 'internal')
      return error.code
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    journal.violations.push(`${label} threw ${text}`)
    return 'internal'
  }

  /** What a reader is told; null where it is told nothing, or that nobody can tell. */
  async function reach(
    to: { label: string; replica: Replica; timeoutMs: number },
    call: () => Promise<ReadAnswer>,
  ): Promise<ReadAnswer | null> {
    return Promise.race([
      to.replica.killed.then(() => null),
      deliver(to, call).catch((error) => {
        world.tell(`${to.label} -> ${codeOf(error, to.label)}`)
        return null
      }),
    ])
  }

  async function readFile(at: {
    project: string
    file: string
    replica: Replica
    timeoutMs: number
    maxStaleSeconds?: number
  }): Promise<boolean> {
    const { project, file, replica, ...rest } = at
    const invokedMs = world.nowMs()
    const invokedAt = world.stamp()
    const id = `r${++ids}`
    const label = `${id} read ${project}/${file} at ${replica.actor.name}`
    world.tell(label)
    const result = await reach({ label, replica, timeoutMs: at.timeoutMs }, () =>
      acting.read(replica, project, file, rest),
    )
    if (!result) return false
    const { value: answer, proof } = result
    world.tell(`${label} -> ${answer.slice(0, 40)} ${JSON.stringify(proof)}`)
    if (proof.ageSeconds > 0 && !proof.stale && at.maxStaleSeconds === undefined)
      journal.violations.push(`${label} is ${proof.ageSeconds} s old and does not say so`)
    if (at.maxStaleSeconds !== undefined && !proof.stale && proof.ageSeconds > at.maxStaleSeconds)
      journal.violations.push(`${label} is ${proof.ageSeconds} s old, more than it asked for`)
    count(proof.stale ? 'read stale' : proof.ageSeconds > 0 ? 'read old' : 'read')
    const old = proof.stale || at.maxStaleSeconds !== undefined
    const history = journal.reads.get(project) ?? []
    journal.reads.set(project, history)
    history.push({
      id,
      action: { kind: 'read', file },
      invokedAt: old ? world.stampAt(invokedMs - (proof.ageSeconds + 1) * 1000) : invokedAt,
      returnedAt: world.stamp(),
      answer,
    })
    return true
  }

  async function readCommit(project: string, commit: Oid, replica: Replica, chance: Chance) {
    const file = chance.pick(files)
    const invokedAt = world.stamp()
    const label = `read ${project}/${file} as of ${commit.slice(0, 8)} at ${replica.actor.name}`
    const timeoutMs = 5_000
    const found = await reach({ label, replica, timeoutMs }, () =>
      acting.read(replica, project, file, { timeoutMs, at: commit }),
    )
    const answer = found?.value ?? null
    world.tell(`${label} -> ${answer}`)
    if (answer?.startsWith('= ')) count('read as of a commit')
    if (answer !== null)
      journal.commitReads.push({
        project,
        commit,
        file,
        invokedAt,
        answeredAt: world.stamp(),
        answer,
      })
  }

  /** Where nobody runs, a client waits until somebody does. */
  async function someReplica(chance: Chance): Promise<Replica> {
    for (let waitMs = 20; replicas.running.length === 0; waitMs = Math.min(2 * waitMs, 2_000))
      await world.sleep(waitMs)
    return chance.pick(replicas.running)
  }

  async function tryUntilKnown(record: WriteRecord, chance: Chance): Promise<Try> {
    for (let tries = 1; ; tries++) {
      const one = await write(record, await someReplica(chance), drawTimeout(chance))
      if (one.end === 'answered' || !record.keyed || tries === 4) return one
      await world.sleep(chance.pick([1, 50, 1_000]) * chance.fraction())
    }
  }

  /** Several writes at once at one replica, for them to share an entry. */
  async function burst(project: string, chance: Chance): Promise<void> {
    const replica = await someReplica(chance)
    const writes = Array.from({ length: chance.between(2, 6) }, async () => {
      const change = drawChange(
        {
          kind: chance.pick(kindsOfBursts),
          stages,
          file: chance.pick(files),
          held: null,
          id: `${ids + 1}`,
          largeShare,
        },
        chance,
      )
      const record = newWrite(project, change, chance.happens(0.3))
      const timeouts = [drawTimeout(chance)]
      // An impatient client sends what has a key twice; on an empty log a deletion would bind none, and come twice.
      if (record.keyed && change.kind !== 'delete' && chance.happens(0.3))
        timeouts.push(drawTimeout(chance))
      await Promise.all(timeouts.map((timeoutMs) => write(record, replica, timeoutMs)))
    })
    await Promise.all(writes)
  }

  /** The same key once more, elsewhere: the same answer, and no second effect. */
  async function repeat(record: WriteRecord, first: Try, chance: Chance): Promise<void> {
    count('write repeated with its key')
    const again = await write(record, await someReplica(chance), drawTimeout(chance))
    if (again.end !== 'answered' || !first.outcome || !again.outcome) return
    const [one, two] = [first.outcome, again.outcome].map(
      ({ status, code, commit }) => `${status} ${code} ${commit}`,
    )
    if (one !== two)
      journal.violations.push(`${record.id} was answered ${one}, and with its key again ${two}`)
  }

  /** What one client remembers of what it was told. */
  interface Memory {
    known: { project: string; commit: Oid }[]
    seen: Map<string, string | null>
  }

  async function step(chance: Chance, { known, seen }: Memory): Promise<void> {
    const project = chance.pick(projects)
    const file = chance.pick(files)
    const kind = chance.pick(kinds)
    if (kind === 'read') {
      const replica = await someReplica(chance)
      const old = chance.happens(0.1) ? { maxStaleSeconds: chance.pick([1, 5]) } : {}
      await readFile({ project, file, replica, timeoutMs: drawTimeout(chance), ...old })
      const last = journal.reads.get(project)?.at(-1)
      if (last?.answer?.startsWith('= ')) seen.set(`${project} ${file}`, last.answer.slice(2))
      return
    }
    if (kind === 'read at commit') {
      const at = known.length > 0 ? chance.pick(known) : null
      if (at) await readCommit(at.project, at.commit, await someReplica(chance), chance)
      return
    }
    if (kind === 'burst') return burst(project, chance)
    const held = seen.get(`${project} ${file}`) ?? null
    const action = drawChange({ kind, file, held, stages, id: `${ids + 1}`, largeShare }, chance)
    const record = newWrite(project, action, chance.happens(0.4))
    const end = await tryUntilKnown(record, chance)
    if (end.outcome?.commit) known.push({ project, commit: end.outcome.commit })
    if (action.kind === 'put' && end.end === 'answered')
      seen.set(`${project} ${file}`, action.value)
    const isBound = record.keyed && end.outcome && !mayHaveBeenEmpty(end.outcome)
    if (isBound && chance.happens(0.2)) await repeat(record, end, chance)
  }

  async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    while (pauses > 0) await world.sleep(50)
    busy++
    return work().finally(() => busy--)
  }

  return {
    journal,
    newWrite,
    write,
    read: readFile,
    inTurn,
    async run({ operations, thinkMs }) {
      const name = `client ${++runs}`
      const memory: Memory = { known: [], seen: new Map() }
      for (let i = 1; i <= operations; i++) {
        const chance = world.chanceOf(`${name} step ${i}`)
        await world.sleep(chance.pick(thinkMs) * chance.fraction())
        if (!world.lets(`${name} step ${i}`)) continue
        await inTurn(() => step(chance, memory))
      }
    },
    async pause() {
      pauses++
      while (busy > 0) await world.sleep(50)
      return () => void pauses--
    },
  }
}

/** Whether an answer may be one about an empty log, which binds no key. */
export function mayHaveBeenEmpty({ status, code, commit }: Outcome): boolean {
  return (status === 204 && commit === undefined) || code === 'project_not_found'
}

export function digestOf(id: string): string {
  return Buffer.from(id).toString('hex').padStart(64, '0')
}

type Kind = Change['kind'] | 'read' | 'read at commit' | 'swap' | 'burst'

const kindsOfBare: readonly Kind[] = [
  ...Array<Kind>(7).fill('read'),
  ...Array<Kind>(6).fill('put'),
  ...Array<Kind>(2).fill('swap'),
  'burst',
  'create',
  'create',
  'remove',
  'delete',
  'undelete',
  'read at commit',
]
const kindsOfStages: readonly Kind[] = ['stage', 'stage', 'unstage']
const kindsOfBursts: readonly Kind[] = [
  ...Array<Kind>(3).fill('put'),
  ...(['swap', 'remove', 'delete', 'create', 'undelete'] as const),
]

function drawChange(
  of: {
    kind: Kind
    file: string
    held: string | null
    stages: readonly string[]
    id: string
    largeShare: number
  },
  chance: Chance,
): Change {
  const { kind, file, held } = of
  if (kind === 'stage' || kind === 'unstage') return { kind, stage: chance.pick(of.stages) }
  if (kind === 'create' || kind === 'delete' || kind === 'undelete') return { kind }
  if (kind === 'remove') return { kind, file }
  const repeated = held !== null && chance.happens(0.15)
  const value = repeated ? held : chance.happens(of.largeShare) ? large(of.id, chance) : `v${of.id}`
  return kind === 'swap'
    ? { kind: 'put', file, value, expected: held }
    : { kind: 'put', file, value }
}

/** More than fits into an entry, and does not deflate. */
function large(id: string, chance: Chance): string {
  const words = Array.from({ length: 12_000 }, () => chance.fraction().toString(36).slice(2))
  return `v${id} ${words.join('')}`
}

function drawTimeout(chance: Chance): number {
  return chance.pick([100, 1_000, 5_000, 25_000])
}
