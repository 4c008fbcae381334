/**
 * The HTTP server from its first connection to its last: limits, and a drain that fails no request.
 *
 * The drain, in seconds after SIGTERM with the default window of 10 s (all of them scale with it) and requests of at most 25 s:
 *
 * 1. 0: readiness turns 503; the listener stays open, because balancers go on sending for a while; every answer says
 *    `Connection: close`, those of requests under way included, so that it is the client that leaves.
 * 2. 5 to 10: once 2 s passed without a new request, the listener closes.
 * 3. Requests under way finish. A connection that its client keeps unused is left to the client: whoever closes it may meet the
 *    next request on its way. One that was not used for 25 s is cut, as then a client that keeps it for 20 s has closed it.
 * 4. 40: whatever is left is cut and told by its request id; the program then exits with 1.
 *
 * To close listener or connections first, as servers do by themselves, loses requests that are on their way (measured;
 * `docs/zero-downtime.md`).
 * Another SIGTERM shortens nothing.
 */
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net'
import type { Observer } from './observe.ts'

export interface DrainTimes {
  /** The listener stays open so long at least. */
  windowMinMs: number
  /** So long at most. */
  windowMaxMs: number
  /** Between the two it closes after so long without a new request. */
  quietMs: number
  /** After so long without use a connection is cut once the listener is closed. */
  idleMs: number
  /** From the signal until what is left is cut. */
  deadlineMs: number
}

/**
 * The times of a drain, all in proportion to the accept window.
 * @param options.windowSeconds the longest that new requests are accepted after the signal
 * @param options.requestSeconds the longest request
 */
export function drainTimes(options: { windowSeconds: number; requestSeconds: number }): DrainTimes {
  const windowMs = options.windowSeconds * 1_000
  return {
    windowMinMs: windowMs / 2,
    windowMaxMs: windowMs,
    quietMs: windowMs / 5,
    idleMs: windowMs * 2.5,
    deadlineMs: windowMs + options.requestSeconds * 1_000 + windowMs / 2,
  }
}

export interface DrainableServer {
  /** Begins to listen. @returns the address in use @throws Node's error, as EADDRINUSE */
  listen(address: { host: string; port: number }): Promise<AddressInfo>
  /** Whether the drain has begun. */
  draining(): boolean
  /** Drains; another call joins the first. */
  drain(): Promise<Drained>
}

export interface Drained {
  /** Ids of the requests that were cut at the deadline. */
  aborted: string[]
  /** How much of the time until the deadline was not needed, milliseconds. */
  leftMs: number
}

/** nginx keeps idle connections to us for 60 s; we must be the later one to close them. */
const keepAliveMs = 75_000
const headersMs = 15_000
const lookEveryMs = 1_000
const maxConnections = 8_192
const lookWhileClosingMs = 100

/**
 * Wraps a listener into a server that can be drained.
 * @param options.isProbe tells requests that do not count as traffic while draining: probes go on until the end
 */
export function createDrainableServer(options: {
  listener: RequestListener
  times: DrainTimes
  requestSeconds: number
  isProbe: (url: string) => boolean
  observer: Observer
}): DrainableServer {
  const { times, observer } = options
  const server = createServer({
    keepAliveTimeout: keepAliveMs,
    headersTimeout: Math.min(headersMs, options.requestSeconds * 1_000),
    requestTimeout: options.requestSeconds * 1_000,
    connectionsCheckingInterval: lookEveryMs,
  })
  server.maxConnections = maxConnections
  server.maxRequestsPerSocket = 0
  const traffic = trackTraffic(server, options.isProbe)
  server.on('request', options.listener)

  let drained: Promise<Drained> | undefined
  return {
    listen: (address) => listen(server, address),
    draining: () => drained !== undefined,
    drain() {
      drained ??= drain({ server, traffic, times, observer })
      return drained
    },
  }
}

function listen(server: Server, address: { host: string; port: number }): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(address, () => {
      server.off('error', reject)
      resolve(server.address() as AddressInfo)
    })
  })
}

interface Traffic {
  underWay: Set<ServerResponse>
  /** Connections with no request under way, and since when. */
  unused: Map<Socket, number>
  lastArrivalMs(): number
  /** From now on, and for what is under way, the client is asked to close its connection. */
  askToClose(): void
}

/** Comes before every other listener, so that no answer can be sent past it. */
function trackTraffic(server: Server, isProbe: (url: string) => boolean): Traffic {
  const underWay = new Set<ServerResponse>()
  const unused = new Map<Socket, number>()
  // One function each for all: they run for every connection and every request there is.
  function gone(this: Socket): void {
    unused.delete(this)
  }
  function ended(this: ServerResponse): void {
    underWay.delete(this)
    const { socket } = this.req
    if (!socket.destroyed) unused.set(socket, performance.now())
  }
  server.on('connection', (socket) => {
    unused.set(socket, performance.now())
    socket.on('close', gone)
  })
  let lastArrivalMs = performance.now()
  let closing = false
  server.on('request', (request, response) => {
    underWay.add(response)
    unused.delete(request.socket)
    response.on('close', ended)
    if (!closing) return
    response.setHeader('Connection', 'close')
    if (!isProbe(request.url ?? '')) lastArrivalMs = performance.now()
  })
  return {
    underWay,
    unused,
    lastArrivalMs: () => lastArrivalMs,
    askToClose() {
      closing = true
      lastArrivalMs = performance.now()
      for (const response of underWay) {
        if (!response.headersSent) response.setHeader('Connection', 'close')
      }
    },
  }
}

interface Drain {
  server: Server
  traffic: Traffic
  times: DrainTimes
  observer: Observer
}

async function drain(parts: Drain): Promise<Drained> {
  const { traffic, times, observer } = parts
  const startedMs = performance.now()
  const tell = (phase: string) =>
    observer.log('info', 'drain_phase', {
      phase,
      afterMs: Math.round(performance.now() - startedMs),
      requestsUnderWay: traffic.underWay.size,
    })

  traffic.askToClose()
  tell('accepting')
  await untilQuiet({ traffic, times, startedMs })
  tell('finishing')
  const deadlineAtMs = startedMs + times.deadlineMs
  const aborted = await closeServer({ ...parts, deadlineAtMs })
  tell('closed')
  return { aborted, leftMs: Math.max(0, deadlineAtMs - performance.now()) }
}

async function untilQuiet(parts: { traffic: Traffic; times: DrainTimes; startedMs: number }) {
  const { traffic, times, startedMs } = parts
  for (;;) {
    const nowMs = performance.now()
    const quietAtMs = traffic.lastArrivalMs() + times.quietMs
    const endAtMs = Math.min(
      Math.max(startedMs + times.windowMinMs, quietAtMs),
      startedMs + times.windowMaxMs,
    )
    if (nowMs >= endAtMs) return
    await after(endAtMs - nowMs)
  }
}

/** @returns ids of the requests that were cut */
async function closeServer(parts: Drain & { deadlineAtMs: number }): Promise<string[]> {
  const { server, traffic, times, observer, deadlineAtMs } = parts
  // An HTTP server would close idle connections as well, and no longer time out what is half sent.
  const closed = new Promise<void>((resolve) =>
    NetServer.prototype.close.call(server, () => resolve()),
  )
  const aborted: string[] = []
  const look = setInterval(() => {
    const nowMs = performance.now()
    for (const [socket, sinceMs] of traffic.unused)
      if (nowMs - sinceMs >= times.idleMs) socket.destroy()
    if (nowMs < deadlineAtMs) return
    aborted.push(...tellAborted(traffic, observer))
    server.closeAllConnections()
  }, lookWhileClosingMs)
  await closed
  clearInterval(look)
  return aborted
}

function tellAborted(traffic: Traffic, observer: Observer): string[] {
  return [...traffic.underWay].map((response) => {
    const { method, headers } = response.req
    const requestId = String(response.getHeader('x-request-id') ?? headers['x-request-id'] ?? '')
    observer.log('error', 'request_aborted', { requestId, method })
    return requestId
  })
}

function after(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.ceil(delayMs)))
}

/**
 * Closes what the program opened, in order; one that fails or hangs keeps none of the others from being closed.
 * @param options.stepMs how long one step may take
 */
export async function closeAll(options: {
  steps: readonly (readonly [name: string, close: () => Promise<void>])[]
  stepMs: number
  observer: Observer
}): Promise<void> {
  for (const [step, close] of options.steps) {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(reject, options.stepMs, new Error(`not closed in ${options.stepMs} ms`))
    })
    try {
      await Promise.race([close(), late])
    } catch (error) {
      options.observer.log('warn', 'close_failed', { step, error })
    } finally {
      clearTimeout(timer)
    }
  }
}

/**
 * Calls `work` at the first SIGTERM or SIGINT, and lets no later one do anything: whoever sends a second is impatient, and the
 * requests under way are not theirs. With a handler of its own the program also works as process 1, where the kernel has none.
 */
export function onFirstSignal(work: (signal: NodeJS.Signals) => void): void {
  let seen = false
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, (signal) => {
      if (seen) return
      seen = true
      work(signal)
    })
  }
}
