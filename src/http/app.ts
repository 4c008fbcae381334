/**
 * The service on HTTP: Keptn's wire and what is added to it (`docs/design.md`, sections 8 and 9). Every request is answered by
 * one `Answer`, sent here; every failure is rendered here; every request leaves one line in the log, whoever ended it.
 */
import Koa, { type Context } from 'koa'
import type { Observer } from '../observe.ts'
import type { Resources } from '../resources/resources.ts'
import { sizeOf } from './answer.ts'
import { type Authenticate, authorize, identify } from './authentication.ts'
import { createByteBudget } from './byte-budget.ts'
import type { HttpSettings, Match, Route, Tools } from './call.ts'
import { noSuchRoute } from './errors.ts'
import { createExchanges, type Exchange } from './exchange.ts'
import { createOperations, type Health, type ReadMetrics } from './operations.ts'
import { createRouting } from './router.ts'
import { createRoutes } from './routes.ts'
import { createDocumentation } from './swagger-ui.ts'

export type { Authenticate, Principal, Role } from './authentication.ts'
export type { HttpSettings } from './call.ts'
export type { Health, HealthReport, ReadMetrics } from './operations.ts'

export interface AppParts {
  resources: Resources
  observer: Observer
  settings: HttpSettings
  health: Health
  metrics: ReadMetrics
  /** None: everybody may do everything. */
  authenticate?: Authenticate
}

/** Larger answers take their bytes from the budget until they are sent. */
const largeAnswerBytes = 1024 * 1024
const budget = {
  totalBytes: 64 * 1024 * 1024,
  smallBytes: 64 * 1024,
  waitMs: 5_000,
  maxWaiters: 1_024,
}

/**
 * Builds the application.
 * @returns a Koa app; `app.callback()` is the listener for Node's server
 */
export function createApp(parts: AppParts): Koa {
  const tools: Tools = {
    resources: parts.resources,
    settings: parts.settings,
    budget: createByteBudget(budget),
  }
  const routes = createAllRoutes(parts)
  const exchanges = createExchanges(parts.observer)
  const app = new Koa()
  // What Koa tells here is a connection that broke, with the bytes that came last, tokens too. The request's line says 499.
  app.on('error', () => {})
  app.use(exchanges)
  app.use(createRouting(routes, (ctx, match) => perform(ctx, match, { parts, tools })))
  app.use(() => {
    throw noSuchRoute()
  })
  return app
}

/** Every route there is, the document of the API among them. */
export function createAllRoutes(
  parts: Pick<AppParts, 'health' | 'metrics' | 'settings'>,
): readonly Route[] {
  const routes = [...createRoutes(), ...createOperations(parts.health, parts.metrics)]
  return [...routes, ...createDocumentation(routes, parts.settings)]
}

async function perform(
  ctx: Context,
  match: Match,
  { parts, tools }: { parts: AppParts; tools: Tools },
): Promise<void> {
  const exchange: Exchange = ctx.state.exchange
  exchange.match = match
  const { role, handle } = match.route
  const principal = role === 'open' ? null : identify(parts.authenticate, ctx.req.headers)
  if (role !== 'open' && match.scope !== undefined) {
    authorize(principal, role, match.scope.project)
  }
  const answer = await handle({ match, ctx, principal, startedMs: exchange.startedMs }, tools)
  const sizeBytes = sizeOf(answer)
  if (sizeBytes > largeAnswerBytes) {
    answer.release = await tools.budget.take(sizeBytes)
    // A client that stops reading must not keep what others wait for.
    ctx.res.setTimeout(parts.settings.requestTimeoutMs)
  }
  exchange.answer = answer
}
