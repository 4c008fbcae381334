/** Who a commit is from, and what it says. */
import { ServiceError } from '../errors.ts'
import type { Identity } from '../git/objects.ts'

const maxNameBytes = 256
const maxMessageBytes = 1024

/**
 * The Git author of a write.
 * @param user the authenticated principal, else `X-Keptn-User`, decoded
 * @param configured stands for an empty one, and lends its address to a name that is none
 * @throws invalid_request where the name is longer than 256 bytes
 */
export function authorOf(user: string | undefined, configured: Identity): Identity {
  const name = asIdentityName(user ?? '')
  if (Buffer.byteLength(name) > maxNameBytes) {
    throw new ServiceError('invalid_request', `X-Keptn-User is longer than ${maxNameBytes} bytes`)
  }
  if (name === '') return configured
  return { name, email: /^[^\s@]+@[^\s@]+$/.test(name) ? name : configured.email }
}

/**
 * The message that a caller gave, if any.
 * @param header `X-Commit-Message`, decoded; wins over the body's
 * @throws invalid_request for more than 1 KiB, and for a NUL, which ends a message in Git
 */
export function messageOf(
  header: string | undefined,
  body: string | undefined,
): string | undefined {
  const message = header || body || undefined
  if (message === undefined) return undefined
  if (Buffer.byteLength(message) > maxMessageBytes) {
    throw new ServiceError('invalid_request', `message is longer than ${maxMessageBytes} bytes`)
  }
  if (message.includes('\0')) {
    throw new ServiceError('invalid_request', 'message must not hold a NUL')
  }
  return message
}

/**
 * Reads a header as UTF-8, as which every client writes it; Node gives its bytes one character each.
 * @throws invalid_request where it is not
 */
export function decodeHeader(
  name: string,
  value: string | string[] | undefined,
): string | undefined {
  if (value === undefined) return undefined
  const text = Array.isArray(value) ? value.join(', ') : value
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(text, 'latin1'))
  } catch (cause) {
    throw new ServiceError('invalid_request', `${name} is not UTF-8`, { cause })
  }
}

/** What Git's identity lines cannot hold goes: angle brackets, line ends, other controls; `git fsck` judges these lines. */
function asIdentityName(text: string): string {
  return text.replace(/[<>\p{Cc}]/gu, '').trim()
}
