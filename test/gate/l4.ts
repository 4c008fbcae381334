/**
 * A Service of Kubernetes in one process: picks an endpoint for each new connection, and never cuts one that is open, whatever
 * becomes of its endpoint. It widens the windows in which a connection meets a replica that is going: a stricter kube-proxy.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { Transform } from 'node:stream'

export interface Layer4 {
  readonly port: number
  /** `http://127.0.0.1:port` */
  readonly url: string
  add(endpoint: number): void
  /** New connections go elsewhere from now on. */
  remove(endpoint: number): void
  /** How many connections to an endpoint are open. */
  connectionsTo(endpoint: number): number
  /** Connections that no endpoint took, each one a failure of the fleet. */
  readonly refused: readonly string[]
  stop(): Promise<void>
}

/**
 * Listens on a free port, with no endpoint behind it yet.
 * @param options.latencyMs how long bytes and ends are on their way, each way; default 0
 */
export async function startLayer4({ latencyMs = 0 } = {}): Promise<Layer4> {
  const endpoints: number[] = []
  const refused: string[] = []
  const sockets = new Set<Socket>()
  const open = new Map<number, number>()
  const count = (endpoint: number, more: number) =>
    open.set(endpoint, (open.get(endpoint) ?? 0) + more)
  let turn = 0
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    // Told by its other half, and by whoever uses it.
    socket.on('error', () => {})
  }

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    keep(client)
    const endpoint = endpoints[turn++ % Math.max(1, endpoints.length)]
    if (endpoint === undefined) {
      refused.push('no endpoint')
      client.resetAndDestroy()
      return
    }
    const upstream = connect({
      port: endpoint,
      host: '127.0.0.1',
      allowHalfOpen: true,
      noDelay: true,
    })
    keep(upstream)
    count(endpoint, 1)
    upstream.once('close', () => count(endpoint, -1))
    upstream.once('error', ({ message }) => {
      if (upstream.connecting || /ECONNREFUSED/.test(message)) refused.push(message)
    })
    join(client, upstream, latencyMs)
    join(upstream, client, latencyMs)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    add: (endpoint) => void endpoints.push(endpoint),
    remove(endpoint) {
      const at = endpoints.indexOf(endpoint)
      if (at >= 0) endpoints.splice(at, 1)
    },
    connectionsTo: (endpoint) => open.get(endpoint) ?? 0,
    refused,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

/** Passes bytes, an end as an end, and a reset as a reset. */
function join(from: Socket, to: Socket, latencyMs: number): void {
  if (latencyMs === 0) from.pipe(to)
  else from.pipe(lateBy(latencyMs)).pipe(to)
  from.once('close', (hadError) => {
    if (hadError) to.resetAndDestroy()
    else if (!from.readableEnded) to.destroy()
  })
}

function lateBy(latencyMs: number): Transform {
  return new Transform({
    transform: (chunk, _encoding, done) => void setTimeout(done, latencyMs, null, chunk),
    flush: (done) => void setTimeout(done, latencyMs),
  })
}
