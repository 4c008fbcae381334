import Koa from 'koa'
import Router from '@koa/router'
import { createServer } from 'node:http'
import { randomUUID } from 'node:crypto'
import { createApp } from './dist/src/http/app.js'
import { createObserver } from './dist/src/observer.js'
const mode = process.argv[2]
const observer = createObserver({ level: 'info' })
const content = Buffer.alloc(2700, 'a: b\n')
const oid = 'b'.repeat(40), commit = 'a'.repeat(40)
let listener
if (mode === 'base') {
  const app = new Koa(); const router = new Router()
  const body = JSON.stringify({ resourceContent: content.toString('base64'), resourceURI: 'slo.yaml', metadata: { upstreamURL: '', version: commit } })
  app.use(async (ctx, next) => {
    const t = performance.now()
    const id = ctx.get('x-request-id') || randomUUID()
    await next()
    const durationMs = Math.round((performance.now() - t) * 100) / 100
    const route = ctx._matchedRoute
    observer.log('info', 'request', { requestId: id, method: ctx.method, route, status: ctx.status, durationMs, bytes: ctx.length })
    observer.count('http_requests_total', { method: ctx.method, route, status: String(ctx.status) })
    observer.record('http_request_seconds', durationMs / 1000, { method: ctx.method, route })
  })
  router.get('/v1/project/:projectName/stage/:stageName/service/:serviceName/resource/:resourceURI', (ctx) => {
    ctx.type = 'application/json; charset=utf-8'; ctx.body = body
  })
  app.use(router.routes()); listener = app.callback()
} else {
  const answer = { content, oid, commit, proof: { ageSeconds: 0, stale: false, immutable: false } }
  const resources = { readFile: async () => answer }
  listener = createApp({ resources, observer, health: {}, metrics: async () => ({}), readiness: {report(){}},
    settings: { maxBodyBytes: 1e7, readMaxStaleSeconds: 0, requestTimeoutMs: 25000, author: { name: 'a', email: 'b' }, publicPathPrefix: '' } }).callback()
}
const s = createServer({ keepAliveTimeout: 75000 }, listener).listen(0, '127.0.0.1', () => process.stderr.write(`${s.address().port}\n`))
let n = 0; s.on('request', () => n++)
let base
setTimeout(() => { base = process.cpuUsage(); n = 0 }, 1500)
process.on('SIGTERM', () => { const c = process.cpuUsage(base); process.stderr.write(`cpu ${((c.user + c.system) / n).toFixed(2)} us/req n=${n}\n`); process.exit() })
