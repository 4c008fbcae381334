/**
 * Keptn's gateway before the Service, with a log that tells on every request what became of it: the second witness.
 *
 * - Mode A, as Keptn has it: one address, a connection for each request.
 * - Mode B: connections to the Service are kept, which no reading of our documentation leads to, and some have.
 * - Mode C: the pods' own addresses, as a gateway has them that was told a headless Service, and learns of changes late. nginx
 *   learns by a reload: open source nginx follows a name in an `upstream` only from 1.27.3, and a variable in `proxy_pass` would
 *   test its resolver. A reload resets clients that keep their connections (docs/zero-downtime.md, section 1, row 15), so here
 *   they do not, as docs/gateway.md advises for gateways that come and go.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gatewayConfig } from '../http/gateway.ts'
import { recipeSettings } from '../http/gateway-roll.ts'
import { waitFor } from '../support/processes.ts'
import { send } from '../support/send.ts'
import { startNginx } from '../support/servers.ts'
import { tail } from './tail.ts'

export const modes = ['A', 'B', 'C'] as const
export type Mode = (typeof modes)[number]

export interface Witness {
  requests: number
  /** Lines that no clean run has. */
  complaints: readonly string[]
}

export interface Gateway {
  readonly url: string
  /** What nginx saw so far. */
  witness(): Witness
  /** A pod has come, or goes; what mode C alone wants to know. */
  add(endpoint: number): void
  remove(endpoint: number): void
  /** Waits until it knows of all that it was told. */
  caughtUp(): Promise<void>
  stop(): Promise<void>
}

export interface GatewayOptions {
  mode: Mode
  /** `host:port` of the Service. */
  service: string
  /** Mode B: how long an unused connection to the Service is kept; as docs/gateway.md allows unless told. */
  keptMs?: number
  /** Mode C: how much later than the Service it learns of an endpoint, drawn anew for each. */
  lateMs?: () => number
}

const format = `log_format gate '$status $upstream_status $upstream_addr $request_method $request_uri $request_id $upstream_response_time';`
// Nothing may be closed while a client is about to use it: the gate is about the service, not about nginx.
const keepsClients = 'keepalive_timeout 600s; keepalive_requests 1000000;'
const failures = /prematurely closed|reset by peer|refused|no live upstreams|timed out|failed \(/

export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { mode, lateMs = () => 0 } = options
  const endpoints = new Set<number>()
  let version = 0
  const nginx = await startNginx((port) => configOf(options, { port, endpoints, version }))
  const [access, errors] = ['access.log', 'error.log'].map((name) => tail(join(nginx.folder, name)))
  const witness = { requests: 0, complaints: [] as string[] }
  const late = new Set<Promise<void>>()

  /** Adds or removes, some time from now. */
  const learn = (change: () => unknown) => {
    if (mode !== 'C') return
    const learned = sleep(lateMs(), undefined, { ref: false }).then(() => {
      late.delete(learned)
      change()
      version++
      nginx.reload((port) => configOf(options, { port, endpoints, version }))
    })
    late.add(learned)
  }

  return {
    url: nginx.url,
    witness() {
      const requests = access?.().filter((line) => line.includes(' /api/')) ?? []
      witness.requests += requests.length
      witness.complaints.push(
        ...requests.filter((line) => !isClean(line)),
        ...(errors?.() ?? []).filter((line) => failures.test(line)),
      )
      return witness
    },
    add: (endpoint) => learn(() => endpoints.add(endpoint)),
    remove: (endpoint) => learn(() => endpoints.delete(endpoint)),
    async caughtUp() {
      await Promise.all(late)
      const isThere = async () => {
        const { body } = await send(nginx.url, { method: 'GET', path: '/version' })
        return body.toString() === String(version)
      }
      await waitFor(isThere, { what: 'nginx to know all pods' })
      // The workers before are asked to leave 100 ms after the new ones have come, and accept until then.
      await sleep(500)
    },
    async stop() {
      await Promise.all(late)
      await nginx.stop()
    },
  }
}

/** What stands in its `http {}`. */
function configOf(
  { mode, service, keptMs = 20_000 }: GatewayOptions,
  now: { port: number; endpoints: ReadonlySet<number>; version: number },
): string {
  const { port, endpoints, version } = now
  const clients = mode === 'C' ? recipeSettings() : keepsClients
  const server = `access_log access.log gate; ${clients}
      location = /version { return 200 "${version}"; }`
  const config = (upstream: string) => `${format}\n${gatewayConfig(port, upstream, server)}`
  switch (mode) {
    case 'A':
      return config(service)
    case 'B':
      return `upstream kept {
      server ${service} max_fails=0;
      keepalive 32;
      keepalive_timeout ${keptMs}ms;
      keepalive_requests 1000;
    }
    ${config('kept').replace('proxy_http_version 1.1;', '$& proxy_set_header Connection "";')}`
    case 'C': {
      const known = [...endpoints].map((endpoint) => `server 127.0.0.1:${endpoint} max_fails=0;`)
      // nginx does not start without any.
      const servers = known.length === 0 ? ['server 127.0.0.1:1 down;'] : known
      return `upstream pods { ${servers.join(' ')} }\n${config('pods')}`
    }
  }
}

/** Answered once, by one upstream, with what that upstream said, and no failure. */
function isClean(line: string): boolean {
  const [status = '', upstreamStatus] = line.split(' ')
  return status === upstreamStatus && /^(2..|404)$/.test(status)
}
