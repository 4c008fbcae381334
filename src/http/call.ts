/** A request on its way to its handler. */
import type { Context } from 'koa'
import { ServiceError } from '../errors.ts'
import type { Identity, Oid } from '../git/objects.ts'
import type {
  PageRequest,
  ReadContext,
  ResourcePath,
  Resources,
  Scope,
} from '../resources/resources.ts'
import type { Answer } from './answer.ts'
import type { Principal, Role } from './authentication.ts'
import type { ByteBudget } from './byte-budget.ts'
import { parseMaxStale } from './conditions.ts'
import type { AskedUri, Query } from './request-target.ts'

export interface HttpSettings {
  /** 413 beyond it. */
  maxBodyBytes: number
  /** Age that a read may have where its client does not say; 0: every read is fresh. */
  readMaxStaleSeconds: number
  /** The longest request, from its head to its answer. */
  requestTimeoutMs: number
  /** Author of commits whose request names nobody. */
  author: Identity
  /** What a gateway puts before `/v1`, for the document of the API; may be empty. */
  publicPathPrefix: string
}

/** What handlers work with. */
export interface Tools {
  readonly resources: Resources
  readonly settings: HttpSettings
  readonly budget: ByteBudget
}

export type Handler = (call: Call, tools: Tools) => Promise<Answer>

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** With `{name}` for parameters; beneath `/v1` and the other prefixes, or as it is for an `open` one. */
  readonly pattern: string
  /** Name of the operation in the document of the API. */
  readonly id: string
  /** What a token must give; `open` asks for none. */
  readonly role: Role | 'open'
  readonly handle: Handler
}

/** What a method and a URL mean; the same for every request of them. */
export interface Match {
  readonly route: Route
  /** Path parameters in the pattern's order, fully decoded. */
  readonly parameters: readonly string[]
  readonly query: Query
  /** None for what is about no single project. */
  readonly scope: Scope | undefined
  /** None where no resource is named. */
  readonly resource: { readonly path: ResourcePath; readonly uri: AskedUri } | undefined
}

export interface Call {
  readonly match: Match
  readonly ctx: Context
  /** Null where nobody authenticates. */
  readonly principal: Principal | null
  /** Of `performance.now()`, when the request's head arrived. */
  readonly startedMs: number
}

/** The scope of a route that has one. */
export function scopeOf({ match }: Call): Scope {
  if (match.scope === undefined) throw new Error(`${match.route.pattern} names no project`)
  return match.scope
}

/** Milliseconds that a request has left, at least 1. */
export function timeLeftMs(call: Call, settings: HttpSettings): number {
  const left = settings.requestTimeoutMs - (performance.now() - call.startedMs)
  return Math.max(1, Math.floor(left))
}

/**
 * How a read is to be made.
 * @throws invalid_request for a commit id that is none
 */
export function readContext(call: Call, settings: HttpSettings): ReadContext {
  const context: ReadContext = { timeoutMs: timeLeftMs(call, settings) }
  const { query } = call.match
  if (query.size > 0) {
    const at = query.get('gitCommitID') || query.get('commitID')
    if (at) context.at = parseCommitId(at)
  }
  const maxStaleSeconds = maxStaleOf(call, settings)
  if (maxStaleSeconds !== undefined) context.maxStaleSeconds = maxStaleSeconds
  return context
}

/**
 * Which page of a list is asked for; what is empty counts as absent.
 * @throws invalid_request
 */
export function pageRequest({ match: { query } }: Call): PageRequest {
  const page: PageRequest = {}
  const pageSize = query.get('pageSize')
  if (pageSize) {
    if (!/^\d{1,9}$/.test(pageSize)) {
      throw new ServiceError('invalid_request', 'pageSize must be a whole number, 0 or more')
    }
    page.pageSize = Number(pageSize)
  }
  const pageKey = query.get('nextPageKey')
  if (pageKey) page.pageKey = pageKey
  return page
}

/** Whether a flag in the query is set: `?raw`, `?raw=true`; not `?raw=false`, `?raw=0`. */
export function isSet(query: Query, name: 'raw' | 'verbose'): boolean {
  const value = query.get(name)
  return value !== undefined && value !== 'false' && value !== '0'
}

function maxStaleOf(call: Call, settings: HttpSettings): number | undefined {
  const header = call.ctx.req.headers['cache-control']
  if (header === undefined) return settings.readMaxStaleSeconds || undefined
  const asked = parseMaxStale(header)
  if (asked !== undefined || /no-cache|max-age=0/i.test(header)) return asked || undefined
  return settings.readMaxStaleSeconds || undefined
}

/** @throws invalid_request, as Keptn says it */
export function parseCommitId(text: string): Oid {
  const id = text.toLowerCase()
  if (/^[0-9a-f]{40}$/.test(id)) return id as Oid
  throw new ServiceError('invalid_request', `could not check out ${text}: not a commit id`)
}
