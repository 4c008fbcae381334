/** One Redis server as the lock sees it: a connection for commands, one for messages, and whether it can be used. */
import { Redis } from 'ioredis'
import { within } from './within.ts'

/** Milliseconds that an answer is waited for. A server that is slower than this would cost more than it saves. */
export const patienceMs = 400
/** Milliseconds after which a command fails: longer, since this fails answers too that arrived while we were held up. */
const commandTimeoutMs = 2_000
const probeEveryMs = 500
/** So many probes in vain, and the connection itself is suspected: its other end may be gone without a word. */
const probesPerConnection = 6

export interface RedisServer {
  /** Host and port, without any secret. */
  readonly name: string
  readonly client: Redis
  /** `starting` until the first answer, or the first failure. */
  state(): 'starting' | 'up' | 'down'
  /** Why it is down, without any secret. */
  reason(): string
  /** Whether messages of others arrive. */
  listening(): boolean
  /** Told when a command failed or was late: asks the server, and calls it down if it does not answer. */
  suspect(): void
  close(): void
}

/**
 * Connects in the background, again and again.
 * @param options.url `redis://` or `rediss://`, password and database included
 * @param options.channels pattern of the channels to listen to
 * @param options.probeKey a key that is written to find out whether the server can be used
 */
export function openRedisServer(options: {
  url: string
  channels: string
  probeKey: string
  /** Lua that the server is to know in advance: a script that it first learns late may be lost with a late answer. */
  scripts(): string[]
  onChange(): void
  onMessage(channel: string, message: string): void
}): RedisServer {
  let state: 'starting' | 'up' | 'down' = 'starting'
  let reason = 'not connected yet'
  let probing = false
  let inVain = 0
  let timer: NodeJS.Timeout | undefined
  let closed = false

  // Protocol 2 is spoken by every server and proxy. Nothing is queued or sent again: an answer that comes too late is of no use.
  // ioredis subscribes again by itself without looking at the outcome, and a connection that closes then ends the process.
  const common = {
    protocol: 2,
    retryStrategy: retryDelayMs,
    connectTimeout: 2_000,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
  } as const
  const client = new Redis(options.url, { ...common, commandTimeout: commandTimeoutMs })
  const listener = new Redis(options.url, common)

  const change = (to: 'up' | 'down', why = '') => {
    const before = state
    state = to
    if (to === 'down') reason = why
    if (before !== to && !closed) options.onChange()
  }

  const tryOut = async () => {
    const loaded = options.scripts().map((script) => client.script('LOAD', script))
    await Promise.all([client.set(options.probeKey, '1', 'PX', 1_000), ...loaded])
    return true
  }

  /** A write, because a server that only reads (a replica, a full one) is as good as none. */
  const probe = async () => {
    if (probing || closed) return
    probing = true
    clearTimeout(timer)
    try {
      if ((await within(tryOut(), patienceMs)) === undefined) throw new Error('no answer in time')
      inVain = 0
      change('up')
    } catch (error) {
      inVain++
      change('down', reasonOf(error))
      timer = setTimeout(() => void probe(), probeEveryMs)
      if (inVain % probesPerConnection === 0 && client.status === 'ready') client.disconnect(true)
    }
    probing = false
  }

  client.on('ready', () => void probe())
  client.on('error', (error) => change('down', reasonOf(error)))
  client.on('close', () => change('down', state === 'down' ? reason : 'the connection was closed'))
  listener.on('error', () => {})
  listener.on('pmessage', (_pattern: string, channel: string, message: string) =>
    options.onMessage(channel, message),
  )
  // Refused where messages are forbidden: then the lock asks more often instead.
  listener.on('ready', () => void listener.psubscribe(options.channels).catch(() => {}))

  return {
    name: `${client.options.host}:${client.options.port}`,
    client,
    state: () => state,
    reason: () => reason,
    listening: () => listener.status === 'ready' && listener.mode === 'subscriber',
    suspect: () => void probe(),
    close() {
      closed = true
      clearTimeout(timer)
      client.disconnect()
      listener.disconnect()
    },
  }
}

function retryDelayMs(attempt: number): number {
  return Math.min(50 * 2 ** Math.min(attempt, 6), 2_000) * (0.75 + Math.random() / 2)
}

/** Only a code, or a sentence of our side: a server's sentence may repeat what it was sent, the password included. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  const code = (error as NodeJS.ErrnoException).code
  if (typeof code === 'string') return code
  if (error.name === 'ReplyError') return error.message.split(' ', 1)[0] ?? ''
  return error.message
}
