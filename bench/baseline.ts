/**
 * What the service is compared with: programs that answer the same bytes from memory. `observed` is Koa with its router and
 * what the service itself wraps around each request: its request id, its log line, its metrics. `bare` is Koa alone.
 */
import { readFileSync } from 'node:fs'
import Router from '@koa/router'
import Koa, { type Middleware } from 'koa'
import type { Route } from '../src/http/call.ts'
import { createExchanges } from '../src/http/exchange.ts'
import { fullPattern } from '../src/http/router.ts'
import { createObserver } from '../src/observer.ts'

/** The answer that is given, as it was taken from the service. */
export interface Recorded {
  headers: Record<string, string>
  body: string
}

const route: Route = {
  method: 'GET',
  pattern: '/project/{projectName}/stage/{stageName}/service/{serviceName}/resource/{resourceURI}',
  id: 'baseline',
  role: 'read',
  handle: () => Promise.reject(new Error('never called')),
}

function bare({ headers, body }: Recorded): Koa {
  const app = new Koa()
  const bytes = Buffer.from(body)
  app.use((ctx) => {
    ctx.set(headers)
    ctx.body = bytes
  })
  return app
}

function observed({ headers, body }: Recorded): Koa {
  const app = new Koa()
  const bytes = Buffer.from(body)
  const router = new Router()
  router.get(fullPattern(route).replace(/\{(\w+)\}/g, ':$1'), (ctx) => {
    ctx.state.route = route
    ctx.state.exchange.answer = { status: 200, headers: { ...headers }, body: bytes }
  })
  app.use(createExchanges(createObserver({ level: 'info' })))
  app.use(router.routes() as unknown as Middleware)
  return app
}

const kinds = { bare, observed }

const [kind = '', recordedFile = '', port = ''] = process.argv.slice(2)
const recorded = JSON.parse(readFileSync(recordedFile, 'utf8')) as Recorded
kinds[kind as keyof typeof kinds](recorded).listen(Number(port), '127.0.0.1')
