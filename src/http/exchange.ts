/** One request and its answer: the outermost middleware, which sends, renders failures, and tells what happened. */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Context, Middleware } from 'koa'
import type { Observer } from '../observe.ts'
import { type Answer, sizeOf } from './answer.ts'
import type { Match, Route } from './call.ts'
import { asServiceError, renderError } from './errors.ts'
import { fullPattern } from './router.ts'

/** What is known of a request while it is under way. */
export interface Exchange {
  readonly id: string
  /** Of `performance.now()`. */
  readonly startedMs: number
  match: Match | undefined
  answer: Answer | undefined
}

const idHeader = /^[\w.:/+=@-]{1,128}$/
const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE'])

/** Builds the middleware. */
export function createExchanges(observer: Observer): Middleware {
  return async (ctx, next) => {
    const { req, res } = ctx
    ctx.respond = false
    const exchange: Exchange = {
      id: requestId(req),
      startedMs: performance.now(),
      match: undefined,
      answer: undefined,
    }
    ctx.state.exchange = exchange
    // Reads send it with their answer, which is cheaper; of a write that is cut the drain tells it.
    if (req.method !== 'GET') res.setHeader('X-Request-Id', exchange.id)
    res.once('close', () => tell(observer, exchange, ctx))
    try {
      await next()
    } catch (failure) {
      exchange.answer = failed(failure, ctx, observer)
    }
    try {
      send(res, exchange)
    } catch (failure) {
      tellFailure(observer, ctx, failure)
      res.destroy()
    }
  }
}

function requestId(request: IncomingMessage): string {
  const given = request.headers['x-request-id']
  return typeof given === 'string' && idHeader.test(given) ? given : randomUUID()
}

function failed(failure: unknown, ctx: Context, observer: Observer): Answer {
  const error = asServiceError(failure)
  const { match }: Exchange = ctx.state.exchange
  if (error.code === 'internal') tellFailure(observer, ctx, failure)
  const answer = renderError(error, match?.route.method === 'GET' ? match : undefined)
  // What is left of such a body would be taken for the next request.
  if (error.code === 'body_too_large' || error.code === 'request_timeout') {
    answer.headers.Connection = 'close'
  }
  return answer
}

function tellFailure(observer: Observer, { state }: Context, error: unknown): void {
  const { id }: Exchange = state.exchange
  observer.log('error', 'request_failed', { requestId: id, route: routeOf(state.route), error })
}

function send(response: ServerResponse, { id, answer }: Exchange): void {
  if (answer === undefined) throw new Error('nobody answered')
  // Its client left before there was an answer, and its line is in the log.
  if (response.destroyed) {
    answer.release?.()
    return
  }
  const { status, headers, body } = answer
  headers['X-Request-Id'] = id
  if (body !== null || status === 200) headers['Content-Length'] = sizeOf(answer)
  response.writeHead(status, headers)
  response.end(body)
}

/** The one line of a request, and its metrics; never a name, a token, a body or a whole URL. */
function tell(observer: Observer, { id, startedMs, answer }: Exchange, ctx: Context): void {
  answer?.release?.()
  const durationMs = Math.round((performance.now() - startedMs) * 100) / 100
  // A socket that broke fails the last writes, and Node calls the answer finished all the same.
  const gone = !ctx.res.writableFinished || ctx.req.socket.destroyed
  const status = gone ? 499 : ctx.res.statusCode
  const route = routeOf(ctx.state.route)
  const method = methods.has(ctx.method) ? ctx.method : 'OTHER'
  const bytes = gone || answer === undefined ? 0 : sizeOf(answer)
  const line: Record<string, unknown> = { requestId: id, method, route, status, durationMs, bytes }
  const code = gone ? 'client_gone' : answer?.code
  if (code !== undefined) line.code = code
  observer.log('info', 'request', line)
  observer.count('http_requests_total', { method, route, status: String(status) })
  observer.record('http_request_seconds', durationMs / 1000, { method, route })
}

function routeOf(route: Route | undefined): string {
  return route === undefined ? 'none' : fullPattern(route)
}
