import { once } from 'node:events'
import * as http from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'

/**
 * What becomes of a request: it passes; it is lost before the store sees it; it is carried out and its answer is lost; or
 * it arrives late, also when nobody waits for it any more.
 */
export type Fault = 'pass' | 'lose-request' | 'lose-answer' | { delayMs: number }

export interface FaultProxy {
  /** To be used in the store's place; signatures stay right, as the Host header passes unchanged. */
  readonly endpoint: string
  /** Asked for each request; passes everything at first. */
  decide: (request: {
    method: string
    path: string
    headers: http.IncomingHttpHeaders
  }) => Fault | Promise<Fault>
  /** Whether requests are still on their way to the store. */
  isBusy(): boolean
  stop(): Promise<void>
}

/** A proxy between a client and a real store that loses and delays what a test wants. */
export async function startFaultProxy(storeEndpoint: string): Promise<FaultProxy> {
  const agent = new http.Agent({ keepAlive: true })
  let underWay = 0
  const server = http.createServer((request, response) => {
    underWay++
    pass(request, response)
      .catch(() => response.destroy())
      .finally(() => underWay--)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  async function pass(request: http.IncomingMessage, response: http.ServerResponse) {
    const { method = '', url: path = '' } = request
    const body = await buffer(request)
    const { headers } = request
    const fault = await proxy.decide({ method, path, headers })
    if (fault === 'lose-request') return void response.destroy()
    if (typeof fault === 'object') await setTimeout(fault.delayMs)
    const upstream = http.request(storeEndpoint + path, { method, agent, headers })
    upstream.end(body)
    const [answer] = (await once(upstream, 'response')) as [http.IncomingMessage]
    const answerBody = await buffer(answer)
    if (fault === 'lose-answer') return void response.destroy()
    response.writeHead(answer.statusCode ?? 502, answer.headers).end(answerBody)
  }

  const proxy: FaultProxy = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    decide: () => 'pass',
    isBusy: () => underWay > 0,
    async stop() {
      server.close()
      server.closeAllConnections()
      agent.destroy()
    },
  }
  return proxy
}
