/**
 * The lock over one Redis server, or a quorum of several.
 *
 * redlock 5.0.0-beta.2: npm's `latest` is 4.2.0, which has no types and was made for an ioredis four majors old; the beta is
 * from 2022, has no successor, and does what we need of it: one script to take a key on a quorum, one to give it back.
 * Known of it, and lived with: it may hand out a lock that has run out already (node-redlock#296), so the time is looked at; a
 * lock held elsewhere and a server that is away both end as `ExecutionError`, so the votes are counted; with an even number
 * of servers a vote may be split evenly, upon which it never answers, so one of them is left out; it waits for its own clean-up
 * after a failure, so we do not wait for it. Its own waiting and renewing are not used.
 *
 * Whoever waits is woken by a message that the release script publishes, and asks now and then all the same. Whoever gives
 * a lock back while others want it lets them go first: otherwise a busy replica would take it again before anybody woke.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import Redlock, { ExecutionError, type Lock as HeldLock, ResourceLockedError } from 'redlock'
import type { Observer } from '../observe.ts'
import type { Lock } from './lock.ts'
import { openRedisServer, patienceMs, type RedisServer } from './redis-server.ts'
import { createSleeper, type Sleeper } from './sleeper.ts'
import { within } from './within.ts'

const wantPrefix = 'want '
const keyPrefix = 'configuration-service:lock:'
const ttlMs = 10_000
/** How long a start may be waited for, milliseconds. */
const startMs = 500
/** A question takes a round trip, whatever the time left: milliseconds it is given at least. */
const leastMs = 50
/** How long others may go first, milliseconds; it ends as soon as one of them has had its turn. */
const yieldMs = 25
/** How much later than those who waited longer, milliseconds, somebody asks: messages come in the same order every time. */
const rivalMs = 2

/** redlock's own, and a message for whoever waits. A user who may not publish still gives the lock back. */
const releaseScript = `
local released = 0
for _, key in ipairs(KEYS) do
  if redis.call('get', key) == ARGV[1] then
    redis.call('del', key)
    redis.pcall('publish', key, ARGV[1])
    released = released + 1
  end
end
return released
`

/**
 * Builds the lock; it connects in the background and never throws for a server that is away.
 * @param options.urls one or more of `redis://` or `rediss://`; a quorum of them decides. Of an even number the last is left out.
 * @param options.lookEveryMs how long a message is waited for before it is asked again, milliseconds, default 40
 * @throws where there is no URL at all
 */
export function createRedisLock(options: {
  urls: readonly string[]
  observer: Observer
  lookEveryMs?: number
}): Lock {
  const { observer, lookEveryMs = 40 } = options
  const self = randomUUID()
  const quorum = Math.ceil(options.urls.length / 2)
  const sleepers = new Map<string, Set<Sleeper>>()
  /** Locks held here, and whether somebody else has asked for them since. */
  const wanted = new Map<string, boolean>()
  const turns = new Map<string, Turn>()
  let quorumIsUp: boolean | undefined
  let settle: () => void = () => {}
  const settled = new Promise<void>((resolve) => {
    settle = resolve
  })

  const started = within(settled, startMs)

  const servers = options.urls.slice(0, 2 * quorum - 1).map((url) =>
    openRedisServer({
      url,
      channels: `${keyPrefix}*`,
      probeKey: `configuration-service:probe:${self}`,
      onChange: () => onChange(),
      scripts: () => [redlock.scripts.acquireScript.value, redlock.scripts.releaseScript.value],
      onMessage: (key, message) => hear(key, message),
    }),
  )
  if (servers.length < options.urls.length) {
    const reason = 'of an even number of Redis servers the last one is left out'
    observer.log('warn', 'config_warning', { variable: 'REDIS_URL', reason })
  }
  const redlock = new Redlock(
    servers.map(({ client }) => client),
    { retryCount: 0 },
    // A function: a plain text is taken and then ignored.
    { releaseScript: () => releaseScript },
  )

  /** A message says who wants a key, or which lock of it was given back. */
  function hear(key: string, message: string): void {
    const turn = turns.get(key)
    const waiting = sleepers.get(key) ?? []
    if (!message.startsWith(wantPrefix)) {
      for (const sleeper of waiting) sleeper.wake()
      if (turn !== undefined && turn.value !== message) turn.sleeper.wake()
    } else if (message !== wantPrefix + self) {
      if (wanted.has(key)) wanted.set(key, true)
      for (const sleeper of waiting) sleeper.hasRivals = true
      if (turn !== undefined) turn.sleeper.hasRivals = true
    }
  }

  const count = (state: string) => servers.filter((server) => server.state() === state).length

  /** Tells once that the quorum is lost, and once that it is back. */
  function onChange(): void {
    if (count('starting') === 0) settle()
    const isUp = count('up') >= quorum
    const isLost = count('down') > servers.length - quorum
    if (isUp === quorumIsUp || !(isUp || isLost)) return
    const atStart = quorumIsUp === undefined
    quorumIsUp = isUp
    observer.set('lock_up', isUp ? 1 : 0)
    if (!isUp) observer.log('warn', 'lock_down', { servers: servers.filter(isAway).map(describe) })
    else if (!atStart) observer.log('info', 'lock_up')
  }

  /** Asks once. */
  async function ask(key: string): Promise<HeldLock | 'busy' | 'down'> {
    try {
      const lock = await redlock.acquire([key], ttlMs)
      return lock.expiration > Date.now() ? lock : 'down'
    } catch (error) {
      if (!(error instanceof ExecutionError)) return 'down'
      const votes = await error.attempts.at(-1)
      const against = [...(votes?.votesAgainst.values() ?? [])]
      const locked = against.filter((reason) => reason instanceof ResourceLockedError).length
      if (locked < against.length) for (const server of servers) server.suspect()
      return (votes?.votesFor.size ?? 0) + locked >= quorum ? 'busy' : 'down'
    }
  }

  /** As `ask`, given up after some time: a lock that comes too late is given back. */
  async function askInTime(key: string, leftMs: number, signal?: AbortSignal) {
    const answer = ask(key)
    const limitMs = Math.min(Math.max(leftMs, leastMs), patienceMs)
    const first = await within(answer, limitMs, signal)
    if (first !== undefined) return first
    void answer.then((lock) => giveBack(lock))
    if (signal?.aborted) return 'busy'
    for (const server of servers) server.suspect()
    return 'down'
  }

  async function giveBack(lock: HeldLock | 'busy' | 'down'): Promise<void> {
    // It runs out by itself where this fails, or it has already.
    if (typeof lock === 'object') await lock.release().catch(() => {})
  }

  /** Tells whoever holds it that somebody waits. */
  function want(key: string): void {
    for (const { client, state } of servers) {
      if (state() === 'up') client.publish(key, wantPrefix + self).catch(() => {})
    }
  }

  /** Begins to listen for releases of a key: before it is asked for, or one in between would be missed. */
  function listen(key: string): Sleeper & { end(): void } {
    const queue = sleepers.get(key) ?? new Set()
    const sleeper = createSleeper()
    sleepers.set(key, queue.add(sleeper))
    const end = () => {
      queue.delete(sleeper)
      if (queue.size === 0) sleepers.delete(key)
    }
    return Object.assign(sleeper, { end })
  }

  /** Milliseconds until it is asked again: seldom where a message comes, more and more seldom where none does. */
  function delayMs(attempt: number): number {
    if (servers.some((server) => server.listening())) return lookEveryMs * (1 + Math.random())
    return (attempt < 40 ? 2 : 10) * (1 + 1.5 * Math.random())
  }

  async function release(key: string, lock: HeldLock): Promise<void> {
    if (wanted.get(key) === true) letOthersGoFirst(key, lock.value)
    wanted.delete(key)
    await within(giveBack(lock), patienceMs)
  }

  function letOthersGoFirst(key: string, value: string): void {
    const sleeper = createSleeper()
    const wait = async () => {
      await within(sleeper.woken(), yieldMs)
      if (sleeper.hasRivals) await sleep(rivalMs)
      turns.delete(key)
    }
    turns.set(key, { value, sleeper, over: wait() })
  }

  async function acquire(key: string, sleeper: Sleeper, waitMs: number, signal?: AbortSignal) {
    const endMs = performance.now() + waitMs
    for (let attempt = 0; ; attempt++) {
      if (quorumIsUp !== true) return { result: 'down' } as const
      sleeper.reset()
      const answer = await askInTime(key, endMs - performance.now(), signal)
      if (answer === 'down') return { result: 'down' } as const
      if (answer !== 'busy') {
        wanted.set(key, false)
        const contended = attempt > 0
        return { result: 'held', contended, release: once(() => release(key, answer)) } as const
      }
      const leftMs = endMs - performance.now()
      if (leftMs <= 0 || signal?.aborted) return { result: 'busy' } as const
      want(key)
      await within(sleeper.woken(), Math.min(leftMs, delayMs(attempt)), signal)
      if (sleeper.hasRivals && attempt < 3) await sleep(rivalMs * Math.random())
    }
  }

  return {
    async acquire(name, { waitMs, signal }) {
      const key = keyPrefix + name
      const startedMs = performance.now()
      await within(started, Math.max(waitMs, leastMs), signal)
      await turns.get(key)?.over
      const sleeper = listen(key)
      const leftMs = waitMs - (performance.now() - startedMs)
      return await acquire(key, sleeper, leftMs, signal).finally(sleeper.end)
    },
    async close() {
      for (const server of servers) server.close()
    },
  }
}

/** After a release that others wait for: it is not taken again here before one of them had it. */
interface Turn {
  /** Of the lock that was given back: its own message is none of theirs. */
  value: string
  sleeper: Sleeper
  over: Promise<void>
}

const isAway = (server: RedisServer) => server.state() !== 'up'

const describe = (server: RedisServer) => `${server.name}: ${server.reason()}`

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined
  return () => {
    done ??= work()
    return done
  }
}
