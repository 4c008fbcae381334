/** A world whose troubles are written down one by one: what the tests of single rules are played on. */
import type { Oid } from '../../src/git/objects.ts'
import type { Outcome, ProjectName, Proof, ReadOptions } from '../../src/repository/repository.ts'
import { keyOf, type Log, readLog } from './audit.ts'
import { answered, type BareChange, change, kindOf, read, readAt } from './changes.ts'
import { digestOf } from './clients.ts'
import { createVirtualLock } from './lock.ts'
import { createReplicas, type MakeReplica, type Replica, type Replicas } from './replicas.ts'
import { type Call, type Course, createVirtualStore, type VirtualStore } from './store.ts'
import { createWorld, type World } from './world.ts'

export interface WriteOptions {
  key?: string
  digest?: string
  timeoutMs?: number
  project?: string
  /** Instead of what the action does. */
  evaluated?: () => void
}

export interface Scene {
  world: World
  store: VirtualStore
  replicas: Replicas
  replica(name: string): Replica
  sleep(ms: number): Promise<void>
  /** Waits until a call is made that has not been asked for before. */
  called(match: Match): Promise<Call>
  /** The next call like this takes that course, and the next one after it the ordinary one. */
  next(match: Match, course: Course): void
  /** Every call like this takes that course, until `calm`. */
  always(match: Match, course: Course): void
  calm(): void
  calls(match: Match): Call[]
  /** The id of the write stands in its commit message. */
  write(replica: string, id: string, action: BareChange, options?: WriteOptions): Promise<Outcome>
  read(
    replica: string,
    file: string,
    options?: Partial<ReadOptions> & { project?: string },
  ): Promise<{ value: string; proof: Proof }>
  readAt(replica: string, commit: Oid, file: string): Promise<string>
  log(project?: string): Log
}

export interface Match {
  replica?: string
  operation?: Call['operation']
  /** A part of the key; a list's key is `prefix>start`. */
  key?: string | RegExp
}

/** Ordinary latencies of the scene, milliseconds: effect, then answer. */
const effectMs = 1
const answerMs = 2

/** How calls go wrong. */
export const courses = {
  /** The request is lost; the connection breaks after a while. */
  lost: (afterMs = 5): Course => course('lost', [], afterMs, broken),
  /** It takes effect; the answer is lost. */
  answerLost: (afterMs = 5): Course => course('answer lost', [effectMs], afterMs, broken),
  /** The connection breaks, and the request takes effect later. */
  late: (effectAfterMs: number, givenUpMs = 5): Course =>
    course('late', [effectAfterMs], givenUpMs, broken),
  /** Applied twice beneath; what the second finds is told. */
  repeatedBeneath: (): Course => course('repeated beneath', [1, 2], 3, 'last'),
  conflict: (): Course => course('conflict', [], 2, 'conflict'),
  /** No answer at all. */
  hangs: (): Course => course('hangs', [], null, 'first'),
  /** No answer at all, though it takes effect. */
  swallowed: (): Course => course('swallowed', [effectMs], null, 'first'),
  refused: (): Course => course('refused', [], 1, { reason: 'ECONNREFUSED', definite: true }),
  error: (): Course => course('error', [], 2, { reason: 'InternalError', definite: false }),
  /** Seen early, told late. */
  slowAnswer: (afterMs: number): Course => course('slow', [effectMs], afterMs, 'first'),
  /** Seen late. */
  slowEffect: (afterMs: number): Course => course('slow', [afterMs], afterMs + 1, 'first'),
}

const broken = { reason: 'ECONNRESET', definite: false }

function course(
  name: string,
  effectsAfterMs: number[],
  answerAfterMs: number | null,
  answer: Course['answer'],
): Course {
  return { name, effectsAfterMs, answerAfterMs, answer }
}

/**
 * Plays one scene to its end.
 * @param options.names replicas, `a` and `b` by default
 * @throws what the script throws, with the scene's story
 */
export async function playScene(
  make: MakeReplica,
  script: (scene: Scene) => Promise<void>,
  options: { names?: string[]; seed?: number; maxEvents?: number; memoryMaxBytes?: number } = {},
): Promise<void> {
  const world = createWorld(options.seed ?? 1)
  const scene = createScene(world, make, options)
  let over = false
  let failure: unknown = null
  script(scene)
    .then(() => scene.replicas.closeAll())
    .catch((error) => {
      failure = error
    })
    .finally(() => {
      over = true
    })
  const end = await world.run(() => over, options.maxEvents ?? 20_000)
  if (failure instanceof Error) failure.message += `\n${told(world)}`
  if (failure) throw failure
  if (end !== 'done') throw new Error(`the scene does not end: ${end}\n${told(world)}`)
}

function told(world: World): string {
  return world.story
    .slice(-80)
    .map((line) => line.slice(0, 200))
    .join('\n')
}

function createScene(
  world: World,
  make: MakeReplica,
  { names = ['a', 'b'], ...sizes }: { names?: string[]; memoryMaxBytes?: number },
): Scene {
  const once: { match: Match; course: Course }[] = []
  const ever: { match: Match; course: Course }[] = []
  const waiting: { match: Match; resolve(call: Call): void }[] = []

  const store = createVirtualStore(world, (call) => {
    for (const one of waiting.filter(({ match }) => matches(match, call))) {
      waiting.splice(waiting.indexOf(one), 1)
      one.resolve(call)
    }
    const at = once.findIndex(({ match }) => matches(match, call))
    if (at >= 0) return (once.splice(at, 1)[0] as { course: Course }).course
    const always = ever.find(({ match }) => matches(match, call))
    return always?.course ?? course('ok', [effectMs], answerMs, 'first')
  })
  const lock = createVirtualLock(world, 'down')
  const replicas = createReplicas({ ...sizes, world, store, lock, make, names })

  function replica(name: string): Replica {
    const found = replicas.running.find((one) => one.name === name)
    if (!found) throw new Error(`no replica ${name}`)
    return found
  }

  return {
    world,
    store,
    replicas,
    replica,
    sleep: (ms) => world.sleep(ms),
    called: (match) => new Promise((resolve) => void waiting.push({ match, resolve })),
    next: (match, course) => void once.push({ match, course }),
    always: (match, course) => void ever.push({ match, course }),
    calm() {
      once.length = 0
      ever.length = 0
    },
    calls: (match) => store.calls.filter((call) => matches(match, call)),
    async write(name, id, action, options = {}) {
      world.tell(`${name} is asked for ${id} ${JSON.stringify(action).slice(0, 80)}`)
      const outcome = await replica(name).repositories.write(
        (options.project ?? 'p') as ProjectName,
        {
          kind: kindOf[action.kind],
          evaluate: (draft) => {
            options.evaluated?.()
            return change(draft, action, id)
          },
          ...(options.key !== undefined && {
            idempotency: { key: options.key, digest: options.digest ?? digestOf(options.key) },
          }),
          principal: '',
          author: { name: 'Somebody', email: 'somebody@example.org' },
          sizeBytes: 100,
          timeoutMs: options.timeoutMs ?? 25_000,
        },
      )
      world.tell(`${name} answers ${id}: ${JSON.stringify(outcome)}`)
      return outcome
    },
    async read(name, file, { project = 'p', ...options } = {}) {
      const result = await answered(
        replica(name).repositories.read(project as ProjectName, (view) => read(view, file), {
          timeoutMs: 25_000,
          mayBeStale: true,
          ...options,
        }),
      )
      world.tell(`${name} reads ${file}: ${result.value.slice(0, 60)}`)
      return result
    },
    async readAt(name, commit, file) {
      const { value } = await answered(
        replica(name).repositories.read('p' as ProjectName, (view) => readAt(view, commit, file), {
          timeoutMs: 25_000,
          at: commit,
        }),
      )
      return value
    },
    log(project = 'p') {
      return readLog(store, project, (what) => {
        throw new Error(`the log is broken: ${what}`)
      })
    },
  }
}

function matches(match: Match, call: Call): boolean {
  if (match.replica !== undefined && !call.replica.startsWith(`${match.replica}#`)) return false
  if (match.operation !== undefined && match.operation !== call.operation) return false
  if (match.key === undefined) return true
  return typeof match.key === 'string' ? call.key.includes(match.key) : match.key.test(call.key)
}

/** The key of a slot of project p. */
export function slot(seq: number): string {
  return keyOf('p', seq)
}
