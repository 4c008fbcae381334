import { once } from 'node:events'
import * as http from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { signV4 } from 'minio/dist/esm/signing.mjs'
import type { S3Server } from '../support/servers.ts'

/**
 * A proxy before a real store that takes `If-None-Match` out of every request and signs it again: the store behind it is
 * one that does not know conditional writes.
 * @returns the endpoint to use in the store's place
 */
export async function startStrippingProxy(
  store: S3Server,
): Promise<{ endpoint: string; stop(): Promise<void> }> {
  const agent = new http.Agent({ keepAlive: true })
  const server = http.createServer(async (request, response) => {
    const body = await buffer(request)
    const { method = '', url: path = '' } = request
    const headers = resigned(store, method, path, request.headers)
    const upstream = http.request(`${store.endpoint}${path}`, { method, agent, headers })
    upstream.end(body)
    const [answer] = (await once(upstream, 'response')) as [http.IncomingMessage]
    response.writeHead(answer.statusCode ?? 502, answer.headers)
    answer.pipe(response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const stop = async () => {
    server.close()
    server.closeAllConnections()
    agent.destroy()
  }
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, stop }
}

function resigned(
  store: S3Server,
  method: string,
  path: string,
  given: http.IncomingHttpHeaders,
): http.OutgoingHttpHeaders {
  const now = new Date()
  const hash = String(given['x-amz-content-sha256'])
  const headers = {
    host: new URL(store.endpoint).host,
    'x-amz-content-sha256': hash,
    'x-amz-date': now.toISOString().replace(/[-:]|\.\d+/g, ''),
  }
  const authorization = signV4(
    { protocol: 'http:', method, path, headers },
    ...([store.accessKeyId, store.secretAccessKey, store.region, now, hash] as const),
  )
  const length = given['content-length']
  return { ...headers, authorization, ...(length !== undefined && { 'content-length': length }) }
}
