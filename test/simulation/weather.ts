/** What the bucket does to each call, drawn from the seed: each world has a climate of its own, some mild, some wild. */
import { type Call, type Course, shortKey, type Weather } from './store.ts'
import type { Chance, World } from './world.ts'

/** What may become of a process. */
export type Interruption = 'killed' | 'held' | 'suspended'
const interruptions: readonly Interruption[] = ['killed', 'killed', 'held', 'suspended']

type Trouble = (call: Call, chance: Chance, effect: number) => Course

const reset = { reason: 'ECONNRESET', definite: false }

/** The troubles that a call which changes something can meet. */
const writeTroubles: Record<string, Trouble> = {
  lost: (_, chance, effect) => course('lost', [], silence(chance, effect), reset),
  'answer lost': (_, chance, effect) =>
    course('answer lost', [effect], silence(chance, effect + 0.5), reset),
  late: (_, chance, effect) => {
    const givenUp = effect + chance.fraction() * 20
    const lateMs = chance.pick([20, 500, 10_000, 40_000, 200_000]) * (0.1 + chance.fraction())
    return course('late', [givenUp + lateMs], chance.pick([null, givenUp]), reset)
  },
  twice: (_, chance, effect) =>
    course('twice', [effect, effect + chance.fraction() * 50], effect + 0.2, 'first'),
  'repeated beneath': (_, chance, effect) => {
    const second = effect + chance.fraction() * 50
    return course('repeated beneath', [effect, second], second + 0.2, 'last')
  },
  'error before': (_, __, effect) =>
    course('error before', [], effect, { reason: 'InternalError', definite: false }),
  'error after': (_, __, effect) =>
    course('error after', [effect], effect + 0.2, { reason: 'SlowDown', definite: false }),
  refused: (_, __, effect) =>
    course('refused', [], effect, { reason: 'ECONNREFUSED', definite: true }),
  slow: (call, chance, effect) => slow(call, chance, effect),
}

const createTroubles: Record<string, Trouble> = {
  ...writeTroubles,
  conflict: (_, __, effect) => course('conflict', [], effect, 'conflict'),
}

const readTroubles: Record<string, Trouble> = {
  hangs: (_, __, effect) => course('hangs', [effect], null, 'first'),
  reset: (_, chance, effect) => course('reset', [], silence(chance, effect), reset),
  error: (_, __, effect) =>
    course('error', [], effect, { reason: 'InternalError', definite: false }),
  refused: writeTroubles.refused as Trouble,
  slow: (call, chance, effect) => slow(call, chance, effect),
}

const listTroubles: Record<string, Trouble> = {
  ...readTroubles,
  torn: (_, chance, effect) => {
    const second = effect + chance.fraction() * 50
    return course('torn', [effect, second], second + 0.2, 'torn')
  },
}

/** After these nobody knows whether it took effect. */
const leavesOpen = new Set(['lost', 'answer lost', 'late', 'error before', 'error after'])
/** What a create may be told when it is sent again, which proves nothing of the first. */
const refusals = ['conflict', 'refused'] as const

interface Outage {
  replica: string | null
  fromMs: number
  untilMs: number
  /** Calls are refused at once, or nobody answers. */
  refuses: boolean
}

/** When there are troubles; another may begin where nothing happened for long. */
export interface Season {
  fromMs: number
  /** They end about then: outages begin before, calls go wrong for as long again. */
  lastsMs: number
}

/**
 * @param replicas names, for outages that one of them alone sees
 * @param interrupt kills a process by its name, holds or suspends it, while it waits for an answer or just when it has it
 */
export function drawWeather(
  world: World,
  replicas: string[],
  season: Season,
  interrupt?: (process: string, how: Interruption) => void,
): Weather {
  const chance = world.chance.fork()
  const severity = chance.pick([0, 0.03, 0.1, 0.3])
  // Rare, and where much goes wrong little comes so far that it is deleted.
  const severityOfDeletes = chance.pick([severity, 0.4])
  const base = chance.pick([0.3, 1, 4])
  const refusing = chance.pick([0, 0, 0.7])
  const interrupting = interrupt ? chance.pick([0, 0, 0, 0, 0.005, 0.02]) : 0
  const kinds = {
    create: some(createTroubles, chance),
    put: some(writeTroubles, chance),
    delete: some(writeTroubles, chance),
    get: some(readTroubles, chance),
    list: some(listTroubles, chance),
  }
  const outages = Array.from({ length: chance.pick([0, 0, 1, 2]) }, () =>
    drawOutage(chance, replicas, season.lastsMs),
  ).filter((outage, at) => world.lets(`outage ${at + 1}: ${describeOutage(outage)}`))
  const met = new Map<string, number>()
  /** Creates whose last attempt left open whether it took effect. */
  const open = new Set<string>()
  return (call) => {
    // Drawn by what the call is, so that a schedule with less trouble keeps what is left of it.
    const name = `${call.replica} ${call.operation} ${shortKey(call.key)}`
    const times = (met.get(name) ?? 0) + 1
    met.set(name, times)
    const label = times === 1 ? name : `${name} (${times})`
    const drawn = world.chanceOf(label)
    const effect = base * (0.2 + drawn.fraction())
    const sinceMs = world.nowMs() - season.fromMs
    const outage = outages.find((one) => covers(one, call, sinceMs))
    if (outage) return away(outage, drawn, effect)
    if (drawn.happens(interrupting) && sinceMs < season.lastsMs) {
      const how = drawn.pick(interruptions)
      if (world.lets(`${label}: ${how} meanwhile`))
        world.after(drawn.fraction() * 2 * effect, () => interrupt?.(call.replica, how))
    }
    const troubles = kinds[call.operation]
    const isCalm = sinceMs > 2 * season.lastsMs
    if (open.delete(name) && drawn.happens(refusing)) {
      const refusal = (createTroubles[drawn.pick(refusals)] as Trouble)(call, drawn, effect)
      if (world.lets(`${label}: ${refusal.name} after that`)) return refusal
    }
    const odds = call.operation === 'delete' ? severityOfDeletes : severity
    if (troubles.length > 0 && drawn.happens(odds) && !isCalm) {
      const trouble = drawn.pick(troubles)(call, drawn, effect)
      if (world.lets(`${label}: ${trouble.name}`)) {
        if (call.operation === 'create' && leavesOpen.has(trouble.name)) open.add(name)
        return trouble
      }
    }
    return course('ok', [effect], effect + base * drawn.fraction(), 'first')
  }
}

function describeOutage({ replica, fromMs, untilMs, refuses }: Outage): string {
  const [from, until] = [fromMs, untilMs].map((ms) => `${(ms / 1000).toFixed(1)} s`)
  return `${replica ?? 'everybody'} ${refuses ? 'is refused' : 'hears nothing'}, ${from} to ${until}`
}

/** About half of the troubles, so that the others are seen alone as well. */
function some(troubles: Record<string, Trouble>, chance: Chance): Trouble[] {
  return Object.values(troubles).filter(() => chance.happens(0.5))
}

function course(
  name: string,
  effectsAfterMs: number[],
  answerAfterMs: number | null,
  answer: Course['answer'],
): Course {
  return { name, effectsAfterMs, answerAfterMs, answer }
}

/** The connection breaks, or nothing is heard any more. */
function silence(chance: Chance, after: number): number | null {
  return chance.happens(0.5) ? null : after + chance.fraction() * 100
}

/** The effect comes early, late, or anywhere between; never after the caller gave up. */
function slow(call: Call, chance: Chance, effect: number): Course {
  const answer = Math.min(
    effect + chance.pick([50, 500, 4_000]) * chance.fraction(),
    call.timeoutMs * 0.95,
  )
  const at = answer * (0.01 + 0.98 * chance.fraction())
  return course('slow', [at], answer, 'first')
}

function drawOutage(chance: Chance, replicas: string[], lastsMs: number): Outage {
  const fromMs = chance.fraction() * lastsMs
  return {
    replica: chance.pick([null, ...replicas]),
    fromMs,
    untilMs: fromMs + chance.pick([300, 3_000, 20_000]) * (0.5 + chance.fraction()),
    refuses: chance.happens(0.5),
  }
}

function covers(outage: Outage, call: Call, sinceMs: number): boolean {
  const there = outage.replica === null || call.replica.startsWith(`${outage.replica}#`)
  return there && sinceMs >= outage.fromMs && sinceMs < outage.untilMs
}

/** Some of what an outage swallows lands all the same. */
function away(outage: Outage, chance: Chance, effect: number): Course {
  if (outage.refuses)
    return course('outage', [], effect, { reason: 'ECONNREFUSED', definite: true })
  return course('outage', chance.happens(0.2) ? [effect] : [], null, 'first')
}
