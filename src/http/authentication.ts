/** Tokens at the edge: where they stand in a request, and which routes ask for which role. @see docs/design.md, section 8 */
import type { IncomingHttpHeaders } from 'node:http'
import { ServiceError } from '../errors.ts'

/** `read` reads; `write` also changes files; `admin` also makes and deletes projects, stages and services. */
export type Role = 'read' | 'write' | 'admin'

/** Somebody who showed a valid token. */
export interface Principal {
  readonly name: string
  /** @param project none for what concerns all of them */
  may(role: Role, project?: string): boolean
}

/** @returns nothing where the token is nobody's; compares in constant time */
export type Authenticate = (token: string) => Principal | undefined

/**
 * Tells who asks.
 * @param authenticate none where everybody may do everything
 * @returns null for anybody, where nobody authenticates
 * @throws unauthorized
 */
export function identify(
  authenticate: Authenticate | undefined,
  headers: IncomingHttpHeaders,
): Principal | null {
  if (authenticate === undefined) return null
  const token = tokenOf(headers)
  if (token === undefined) throw new ServiceError('unauthorized', 'a token is needed')
  const principal = authenticate(token)
  if (principal === undefined) throw new ServiceError('unauthorized', 'the token is not valid')
  return principal
}

/**
 * Refuses what a principal may not do.
 * @param project none for what is about no single project
 * @throws forbidden
 */
export function authorize(principal: Principal | null, role: Role, project?: string): void {
  if (principal === null || principal.may(role, project)) return
  const where = project === undefined ? 'on all projects' : 'on this project'
  throw new ServiceError('forbidden', `the token does not give the role ${role} ${where}`)
}

function tokenOf(headers: IncomingHttpHeaders): string | undefined {
  const own = headers['x-token']
  if (typeof own === 'string' && own !== '') return own
  return /^bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1]
}
