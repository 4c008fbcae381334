/**
 * From a method and a URL to a `Match`. The router works on the raw path, for a slash that is escaped belongs to a name; what it
 * found is kept for the URLs that came last, since a match depends on nothing else.
 */
import Router from '@koa/router'
import type { Context, Middleware } from 'koa'
import { LRUCache } from 'lru-cache'
import { parseProjectName, parseServiceName, parseStageName } from '../resources/names.ts'
import { parseResourcePath } from '../resources/paths.ts'
import type { Scope } from '../resources/resources.ts'
import type { Match, Route } from './call.ts'
import {
  type AskedUri,
  decodeName,
  decodeResourceUri,
  parseQuery,
  type Query,
  splitTarget,
} from './request-target.ts'

/** The service under its own name, and as Keptn's gateway and distributors of two ages call it. */
export const prefixes = ['/v1', '/configuration-service/v1', '/resource-service/v1'] as const

/** The CLI sends one, and relies on nginx to merge it. Behind a name only: an empty one is no project. */
const doubleSlash =
  /^(\/v1\/project\/[^/]+(?:\/stage\/[^/]+(?:\/service\/[^/]+)?)?)\/\/(?=(?:resource|history)(?:\/|$))/

const keptMatches = 4_096
const keptUrlLength = 1_024

/**
 * Builds the middleware that finds the route of a request.
 * @param perform is given what was found; `ctx.state.route` is the route even where a URL cannot be resolved
 * @returns middleware that calls `next` where there is no route
 */
export function createRouting(
  routes: readonly Route[],
  perform: (ctx: Context, match: Match) => Promise<void>,
): Middleware {
  const kept = { GET: newCache(), HEAD: newCache() } as Record<string, LRUCache<string, Match>>
  const router = new Router({ strict: true, sensitive: true })
  for (const route of routes) {
    router.register(routerPath(route), [route.method], (ctx) => {
      ctx.state.route = route
      const url = ctx.req.url ?? '/'
      const match = resolve(route, ctx.captures ?? [], splitTarget(url))
      if (url.length <= keptUrlLength) kept[ctx.method]?.set(url, match)
      return perform(ctx, match)
    })
  }
  const dispatch = router.routes() as unknown as Middleware
  return (ctx, next) => {
    const { method, url } = ctx.req
    const match = kept[method as string]?.get(url as string)
    if (match !== undefined) {
      ctx.state.route = match.route
      return perform(ctx, match)
    }
    ctx.newRouterPath = normalized(splitTarget(url ?? '/').path)
    return dispatch(ctx, next)
  }
}

/** The pattern with its prefix, as metrics, logs and the document of the API show it. */
export function fullPattern(route: Route): string {
  return route.role === 'open' ? route.pattern : `/v1${route.pattern}`
}

function newCache() {
  return new LRUCache<string, Match>({ max: keptMatches })
}

function routerPath(route: Route): string {
  return fullPattern(route).replace(/\{(\w+)\}/g, ':$1')
}

/** The path as routes are registered: under the first prefix, and without a slash too many before `resource`. */
function normalized(path: string): string {
  const prefix = prefixes.find((known) => path.startsWith(`${known}/`))
  const own = prefix === undefined ? path : `/v1${path.slice(prefix.length)}`
  return own.includes('//') ? own.replace(doubleSlash, '$1/') : own
}

function resolve(
  route: Route,
  captures: readonly string[],
  target: { path: string; query: string },
): Match {
  const query = parseQuery(target.query)
  const names = [...route.pattern.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? '')
  const segments = new Map(names.map((name, index) => [name, captures[index] ?? '']))
  const uri = askedUri(segments.get('resourceURI'), target.path, { route, query })
  const parameters = names.map((name) =>
    name === 'resourceURI' && uri !== undefined ? uri.text : decodeName(segments.get(name) ?? ''),
  )
  const scope = scopeOf((name) => parameters[names.indexOf(name)])
  const resource = uri === undefined ? undefined : { path: parseResourcePath(uri.text), uri }
  return { route, parameters, query, scope, resource }
}

/** A resource is named by the last segment, or by a parameter where the path names a list of them. */
function askedUri(
  segment: string | undefined,
  path: string,
  { route, query }: { route: Route; query: Query },
): AskedUri | undefined {
  if (segment !== undefined) return decodeResourceUri(segment, path)
  const text = query.get('resourceURI')
  if (text === undefined || !/\/(?:resource|history)$/.test(route.pattern)) return undefined
  return { text, asAsked: text }
}

function scopeOf(parameter: (name: string) => string | undefined): Scope | undefined {
  const project = parameter('projectName')
  const stage = parameter('stageName')
  const service = parameter('serviceName')
  if (project === undefined) return undefined
  const scope: Scope = { project: parseProjectName(project) }
  if (stage !== undefined) scope.stage = parseStageName(stage)
  if (service !== undefined) scope.service = parseServiceName(service)
  return scope
}
