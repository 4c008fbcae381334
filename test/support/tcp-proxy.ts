/** A proxy of bare TCP between two real parts, that can be made as bad as networks are. */
import { once, setMaxListeners } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * What becomes of the bytes between the two: they pass; every connection is reset, also each that comes (`cut`); bytes vanish, and
 * a connection that lived through it never says anything again, even when all is well for others (`half-open`, as behind a
 * firewall that forgot it); they come later; they come slowly, each connection by itself; a connection is reset once so many
 * bytes, of both directions together, have passed.
 */
export type TcpFault =
  | 'pass'
  | 'cut'
  | 'half-open'
  | { delayMs: number }
  | { bytesPerSecond: number }
  | { resetAfterBytes: () => number }

export interface TcpProxy {
  readonly port: number
  /** From now on; what waits because of the fault before is let go at once. */
  become(fault: TcpFault): void
  /** Connections that are open. */
  readonly connections: number
  stop(): Promise<void>
}

interface Connection {
  readonly ends: readonly [Socket, Socket]
  /** Swallows everything, for ever. */
  isDead: boolean
  /** Until it is reset, bytes. */
  leftBytes: number
}

/** How long one slice of a slow connection takes, milliseconds. */
const sliceMs = 20

/** Starts a proxy on a free loopback port. @param target port of the real part */
export async function startTcpProxy(target: number): Promise<TcpProxy> {
  const connections = new Set<Connection>()
  let fault: TcpFault = 'pass'
  let changed = newChange()

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    if (fault === 'cut') return void resetSocket(client.on('error', () => {}))
    const upstream = connect({
      port: target,
      host: '127.0.0.1',
      allowHalfOpen: true,
      noDelay: true,
    })
    const connection = { ends: [client, upstream] as const, isDead: false, leftBytes: 0 }
    connections.add(connection)
    strike(connection)
    carry(connection, client, upstream)
    carry(connection, upstream, client)
  })

  function strike(connection: Connection): void {
    connection.leftBytes =
      typeof fault === 'object' && 'resetAfterBytes' in fault
        ? fault.resetAfterBytes()
        : Number.POSITIVE_INFINITY
    if (fault === 'half-open') connection.isDead = true
    if (fault === 'cut') reset(connection)
  }

  function reset({ ends }: Connection): void {
    for (const socket of ends) resetSocket(socket)
  }

  /** Carries one direction, piece by piece, in order; with events, since an iterator destroys a socket whose one half has ended. */
  function carry(connection: Connection, from: Socket, to: Socket): void {
    let carried: Promise<void> = Promise.resolve()
    from.on('data', (chunk: Buffer) => {
      const arrivedMs = performance.now()
      carried = carried.then(() => pass(connection, to, chunk, arrivedMs))
      // What is only late does not keep back what follows it.
      if (typeof fault === 'object' && 'delayMs' in fault) return
      from.pause()
      void carried.then(() => from.resume())
    })
    from.on('end', () => {
      void carried.then(() => {
        if (!connection.isDead) to.end()
      })
    })
    from.on('error', () => {
      if (!connection.isDead) reset(connection)
    })
    from.on('close', () => {
      if (to.destroyed) connections.delete(connection)
      else if (!connection.isDead && !from.readableEnded) reset(connection)
    })
  }

  async function pass(connection: Connection, to: Socket, chunk: Buffer, arrivedMs: number) {
    if (typeof fault === 'object' && 'delayMs' in fault) {
      await pause(arrivedMs + fault.delayMs - performance.now())
    }
    let left = chunk
    while (typeof fault === 'object' && 'bytesPerSecond' in fault && left.length > 0) {
      const size = Math.max(1, Math.floor((fault.bytesPerSecond * sliceMs) / 1_000))
      await write(connection, to, left.subarray(0, size))
      left = left.subarray(size)
      await pause(sliceMs)
    }
    await write(connection, to, left)
  }

  async function write(connection: Connection, to: Socket, bytes: Buffer): Promise<void> {
    if (connection.isDead || to.destroyed || bytes.length === 0) return
    const passing = bytes.subarray(0, connection.leftBytes)
    connection.leftBytes -= passing.length
    const isLast = connection.leftBytes === 0
    if (!to.write(passing, () => isLast && reset(connection))) await drained(to)
  }

  /** Ends early where the fault does. */
  async function pause(forMs: number): Promise<void> {
    if (forMs > 0) await sleep(forMs, undefined, { signal: changed.signal }).catch(() => {})
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    become(next) {
      fault = next
      for (const connection of connections) if (!connection.isDead) strike(connection)
      changed.abort()
      changed = newChange()
    },
    get connections() {
      return connections.size
    },
    async stop() {
      server.close()
      for (const connection of connections) reset(connection)
    },
  }
}

/**
 * Node's own `resetAndDestroy` says first, in good order, that the end has come: whoever reads that hears of no reset. One whose
 * end was said already libuv refuses to reset, and Node 20 then never ends: it waits for that handle for ever.
 */
function resetSocket(socket: Socket): void {
  if (!socket.writableEnded) Object.assign(socket, { resetAndClosing: true })
  socket.destroy()
}

/** Told once, to everything that waits. */
function newChange(): AbortController {
  const change = new AbortController()
  setMaxListeners(0, change.signal)
  return change
}

/** Waits until a socket takes more, or nothing any more. */
function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      socket.off('drain', finish).off('close', finish)
      resolve()
    }
    socket.on('drain', finish).on('close', finish)
  })
}
