/** Keptn's gateway on a real nginx, as far as it touches this service, and what its clients do to a URL. */
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
  return startNginx((port) => gatewayConfig(port, servicePort))
}

/** What stands in its `http {}`. @param more settings of the server */
export function gatewayConfig(port: number, servicePort: number, more = ''): string {
  const blocked = [
    'project$',
    'project/[^/]*$',
    'project/[^/]*/stage$',
    'project/[^/]*/stage/[^/]*$',
    'project/[^/]*/stage/[^/]*/service$',
    'project/[^/]*/stage/[^/]*/service/[^/]*$',
    'project/[^/]*/service/[^/]*/resource',
  ]
  const services = ['resource-service', 'configuration-service']
  return `
    client_max_body_size 5m;
    server {
      listen 127.0.0.1:${port};
      ${more}
      location = /auth { internal; return 204; }
      location / { return 404; }
      ${services
        .map(
          (service) => `
      location /api/${service} {
        auth_request /auth;
        rewrite /api/${service}/(.*) /$1 break;
        proxy_pass http://127.0.0.1:${servicePort};
      }
      ${blocked.map((path) => `location ~ ^/api/${service}/v1/${path} { return 403; }`).join('\n')}`,
        )
        .join('\n')}
    }`
}
