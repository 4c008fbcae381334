/**
 * What a roll of the gateway itself costs its clients: two real nginx are replaced one by one, as a Deployment does it, under POSTs
 * that nobody repeats. `node dist/test/http/gateway-roll.js` measures it with and without the lines of docs/gateway.md.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { startLayer4 } from '../gate/l4.ts'
import { blockAfter } from '../support/markdown.ts'
import { waitFor } from '../support/processes.ts'
import { repositoryRoot } from '../support/programs.ts'
import { send } from '../support/send.ts'
import { type Server, startNginx } from '../support/servers.ts'
import { gatewayConfig } from './gateway.ts'

export interface RollOptions {
  /** Settings of the gateway's server. */
  settings: string
  /** How many times each of the two is replaced. */
  rounds: number
  perSecond: number
}

export interface Rolled {
  requests: number
  /** Why each failed. */
  failures: string[]
}

/** From a gateway that goes out of service to its `quit`: what preStop is for. */
const removedMs = 500
const path = '/api/resource-service/v1/project/p/resource'

/** The settings that the recipe of docs/gateway.md asks for. */
export function recipeSettings(): string {
  const document = readFileSync(join(repositoryRoot, 'docs', 'gateway.md'), 'utf8')
  return blockAfter(document, '<!-- test: recipe -->')
}

export async function rollGateways(options: RollOptions): Promise<Rolled> {
  const { settings, rounds, perSecond } = options
  const service = createServer((request, response) => {
    request.resume().once('end', () => response.writeHead(201).end('{}'))
  }).listen(0, '127.0.0.1')
  await once(service, 'listening')
  const upstream = `127.0.0.1:${(service.address() as AddressInfo).port}`
  const layer4 = await startLayer4()
  const gateways: Server[] = []
  const grow = async () => {
    const gateway = await startNginx((port) => gatewayConfig(port, upstream, settings))
    gateways.push(gateway)
    layer4.add(gateway.port)
  }
  const agents = [new Agent({ keepAlive: true }), new Agent({ keepAlive: false })]
  const failures: string[] = []
  const underWay = new Set<Promise<void>>()
  let requests = 0
  let over = false
  const post = async (agent: Agent) => {
    const failure = await send(layer4.url, { method: 'POST', path, body: '{}', agent }).then(
      ({ status }) => (status === 201 ? undefined : String(status)),
      ({ code, message }) => code ?? message,
    )
    if (failure !== undefined) failures.push(failure)
  }
  const load = async () => {
    const startedMs = performance.now()
    while (!over) {
      const earlyMs = startedMs + (requests * 1_000) / perSecond - performance.now()
      if (earlyMs > 1) await sleep(earlyMs)
      const sent = post(agents[requests++ % 2] as Agent).finally(() => underWay.delete(sent))
      underWay.add(sent)
    }
    await Promise.all(underWay)
  }
  try {
    await grow()
    await grow()
    const loading = load()
    for (let count = 0; count < 2 * rounds; count++) {
      await grow()
      const oldest = gateways.shift()
      if (oldest === undefined) continue
      layer4.remove(oldest.port)
      await sleep(removedMs)
      process.kill(oldest.pid, 'SIGQUIT')
      await waitFor(() => !isAlive(oldest.pid), { what: 'nginx to quit', timeoutMs: 60_000 })
      await oldest.stop()
    }
    over = true
    await loading
    return { requests, failures: [...failures, ...layer4.refused] }
  } finally {
    over = true
    for (const agent of agents) agent.destroy()
    for (const gateway of gateways) await gateway.stop()
    await layer4.stop()
    service.close()
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [rounds = '20', perSecond = '200'] = process.argv.slice(2)
  for (const [name, settings] of [
    ['as nginx is', ''],
    ['as the recipe says', recipeSettings()],
  ] as const) {
    const options = { settings, rounds: Number(rounds), perSecond: Number(perSecond) }
    const { requests, failures } = await rollGateways(options)
    const kinds = [...new Set(failures)].join(', ')
    console.log(
      `${name}: ${failures.length} of ${requests} failed in ${2 * options.rounds} replacements ${kinds}`,
    )
  }
}
