/** Keptn's gateway before the Service, with a log that tells on every request what became of it: the second witness. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gatewayConfig } from '../http/gateway.ts'
import { startNginx } from '../support/servers.ts'

export interface Witness {
  requests: number
  /** Lines that no clean run has. */
  complaints: string[]
}

export interface Gateway {
  readonly url: string
  /** What nginx saw so far. */
  witness(): Witness
  stop(): Promise<void>
}

const format = `log_format gate '$status $upstream_status $upstream_addr $request_method $request_uri $request_id $upstream_response_time';`
// Nothing may be closed while a client is about to use it: the gate is about the service, not about nginx.
const server = 'access_log access.log gate; keepalive_timeout 600s; keepalive_requests 1000000;'
const failures = /prematurely closed|reset by peer|refused|no live upstreams|timed out|failed \(/

/**
 * Mode A: as Keptn has it, without connections that are kept, so nothing is ever sent twice.
 * @param upstream `host:port` of the Service
 */
export async function startModeA(upstream: string): Promise<Gateway> {
  const nginx = await startNginx((port) => `${format}\n${gatewayConfig(port, upstream, server)}`)
  const read = (name: string) => readFileSync(join(nginx.folder, name), 'utf8').split('\n')
  return {
    url: nginx.url,
    witness() {
      const requests = read('access.log').filter((line) => line.includes(' /api/'))
      const complaints = [
        ...requests.filter((line) => !isClean(line)),
        ...read('error.log').filter((line) => failures.test(line)),
      ]
      return { requests: requests.length, complaints }
    },
    stop: () => nginx.stop(),
  }
}

/** Answered once, by one upstream, with what that upstream said, and no failure. */
function isClean(line: string): boolean {
  const [status = '', upstreamStatus] = line.split(' ')
  return status === upstreamStatus && /^(2..|404)$/.test(status)
}
