/** What a keyed request is bound to. @see docs/entry-format.md, "Digest" */
import { createHash } from 'node:crypto'
import { ServiceError } from '../errors.ts'
import type { Query, QueryName } from './request-target.ts'

const maxKeyBytes = 255
/** Parameters that change what a write does. */
const writeQueryNames = ['raw', 'resourceURI'] as const satisfies readonly QueryName[]

/**
 * Reads `Idempotency-Key`.
 * @param header as it was sent, taken whole
 * @throws invalid_request for an empty one, one of more than 255 bytes, or one that is not printable ASCII
 */
export function parseIdempotencyKey(header: string | undefined): string | undefined {
  if (header === undefined) return undefined
  if (header.length > maxKeyBytes || !/^[\x20-\x7e]+$/.test(header)) {
    throw new ServiceError(
      'invalid_request',
      `Idempotency-Key must be 1 to ${maxKeyBytes} printable ASCII characters`,
    )
  }
  return header
}

/**
 * The digest of a request: the same for each of its retries, through whatever prefix, gateway or escaping they come, on
 * whichever build they land; so nothing here may change.
 * @param request.pattern of the route, without its prefix: `/project/{projectName}/resource`
 * @param request.parameters fully decoded, in the pattern's order
 * @returns sha256, hex
 */
export function requestDigest(request: {
  method: string
  pattern: string
  parameters: readonly string[]
  query: Query
  ifMatch?: string | undefined
  ifNoneMatch?: string | undefined
  body: Buffer
}): string {
  const query = writeQueryNames.flatMap((name) => {
    const value = request.query.get(name)
    return value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`]
  })
  const head = [
    request.method,
    request.pattern,
    ...request.parameters,
    query.join('&'),
    request.ifMatch ?? '',
    request.ifNoneMatch ?? '',
  ]
  return createHash('sha256')
    .update(`${head.join('\0')}\0`)
    .update(request.body)
    .digest('hex')
}
