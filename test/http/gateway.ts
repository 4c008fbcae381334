/** Keptn's gateway on a real nginx, as far as it touches this service, and what its clients do to a URL. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { blockAfter } from '../support/markdown.ts'
import { repositoryRoot } from '../support/programs.ts'
import { type Server, startNginx } from '../support/servers.ts'

/** How a client reaches the service. */
export interface Access {
  name: string
  port: number
  /** What stands before `/project`. */
  base: string
  /** A resource's name as this client writes it into a path. */
  escape(uri: string): string
}

/** Go's `url.QueryEscape`, through which go-utils sends names of services and resources. */
export function queryEscape(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+')
}

/** In the cluster: straight to the service, escaped once. */
export function direct(port: number, base = '/v1'): Access {
  return { name: `direct ${base}`, port, base, escape: queryEscape }
}

/** From outside: through the gateway, which decodes a path once, so clients escape twice. */
export function outside(port: number, service = 'resource-service'): Access {
  return {
    name: `gateway ${service}`,
    port,
    base: `/api/${service}/v1`,
    escape: (uri) => queryEscape(queryEscape(uri)),
  }
}

/** Starts the gateway before a service. */
export function startGateway(servicePort: number): Promise<Server> {
  return startNginx((port) => gatewayConfig(port, `127.0.0.1:${servicePort}`))
}

/**
 * What stands in its `http {}`: the location block of docs/gateway.md, as it is written there.
 * @param upstream `host:port` of the service
 * @param more settings of the server
 */
export function gatewayConfig(port: number, upstream: string, more = ''): string {
  const document = readFileSync(join(repositoryRoot, 'docs', 'gateway.md'), 'utf8')
  const locations = blockAfter(document, '<!-- test: location -->')
  return `
    client_max_body_size 5m;
    server {
      listen 127.0.0.1:${port};
      ${more}
      location = /api/v1/auth { internal; return 204; }
      location @error401 { return 401; }
      location @error429 { return 429; }
      location / { return 404; }
      ${locations.replace('configuration-service:8080', upstream)}
    }`
}
