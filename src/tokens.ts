/**
 * Who may do what: the file that `TOKENS_FILE` names, a JSON array of
 * `{ "name", "sha256", "role": "read" | "write" | "admin", "projects": ["glob", …] }`.
 *
 * The file holds no token, only its SHA-256, and is read again when it changes; a state that cannot be used is told and the
 * last good one stays. In a glob `*` stands for any characters and `?` for one.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { sentence } from './errors.ts'
import type { Observer } from './observe.ts'
import { watchFile } from './watched-file.ts'

/** Each role may do what the roles before it may. */
export const roles = ['read', 'write', 'admin'] as const
export type Role = (typeof roles)[number]

/** Who sent a request. */
export interface Principal {
  readonly name: string
  /**
   * Tells whether the principal may act so.
   * @param role what the action asks for
   * @param project the project that is acted on; none for what concerns all of them, which only the glob `*` covers
   */
  may(role: Role, project?: string): boolean
}

export interface Tokens {
  /** Finds whose token it is, in a time that does not depend on which one; `undefined` for nobody's. */
  authenticate(token: string): Principal | undefined
}

/**
 * Opens the file of tokens.
 * @throws Error with a sentence that begins with `TOKENS_FILE`, where the file cannot be used at the start
 */
export function openTokens(path: string, observer: Observer): Tokens {
  const file = openFile(path, observer)
  return {
    authenticate(token) {
      const digest = createHash('sha256').update(token).digest()
      let found: Principal | undefined
      // Every entry is compared, so the time tells nothing of the place.
      for (const entry of file.current()) {
        if (timingSafeEqual(entry.digest, digest)) found = entry.principal
      }
      return found
    },
  }
}

function openFile(path: string, observer: Observer) {
  const subject = `TOKENS_FILE ${path}`
  try {
    return watchFile({
      path,
      parse: parseTokens,
      onFailure: (error) =>
        observer.log('error', 'tokens_failed', {
          message: `${subject} changed and cannot be used, the last good state stays: ${sentence(error)}`,
        }),
      onChange: (entries) => observer.log('info', 'tokens_loaded', { tokens: entries.length }),
    })
  } catch (error) {
    throw new Error(`${subject} cannot be used: ${sentence(error)}`)
  }
}

interface Entry {
  digest: Buffer
  principal: Principal
}

function parseTokens(text: string): Entry[] {
  const list: unknown = JSON.parse(text)
  if (!Array.isArray(list)) throw new Error('it is not a JSON array')
  const entries = list.map(parseEntry)
  const digests = entries.map(({ digest }) => digest.toString('hex'))
  const twice = digests.findIndex((digest, index) => digests.indexOf(digest) !== index)
  if (twice >= 0) throw new Error(`entry ${twice + 1} has the token of another entry`)
  return entries
}

function parseEntry(value: unknown, index: number): Entry {
  const wrong = (what: string) => new Error(`entry ${index + 1} ${what}`)
  if (typeof value !== 'object' || value === null) throw wrong('is no object')
  const { name, sha256, role, projects, ...others } = value as Record<string, unknown>
  const unknown = Object.keys(others)[0]
  if (unknown !== undefined) throw wrong(`has the unknown field ${JSON.stringify(unknown)}`)
  if (!isName(name)) throw wrong('needs a "name" of 1 to 256 bytes without <, > and line breaks')
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/i.test(sha256)) {
    throw wrong('needs "sha256", 64 hex digits')
  }
  const rank = roles.indexOf(role as Role)
  if (rank < 0) throw wrong(`needs a "role", one of ${roles.join(', ')}`)
  if (!Array.isArray(projects) || !projects.every(isGlob)) {
    throw wrong('needs "projects", an array of globs; ["*"] for all')
  }
  return {
    digest: Buffer.from(sha256, 'hex'),
    principal: principalOf({ name, rank, globs: projects }),
  }
}

function principalOf(entry: { name: string; rank: number; globs: string[] }): Principal {
  const all = entry.globs.includes('*')
  return {
    name: entry.name,
    may(role, project) {
      if (roles.indexOf(role) > entry.rank) return false
      return all || (project !== undefined && entry.globs.some((glob) => matches(glob, project)))
    },
  }
}

/** Walks both texts once and goes back to the last `*` only: no pattern takes exponential time. */
function matches(glob: string, name: string): boolean {
  let at = 0
  let star = -1
  let starAt = 0
  for (let i = 0; i < name.length; ) {
    if (glob[at] === '*') {
      star = at++
      starAt = i
    } else if (glob[at] === '?' || glob[at] === name[i]) {
      at++
      i++
    } else if (star >= 0) {
      at = star + 1
      i = ++starAt
    } else return false
  }
  while (glob[at] === '*') at++
  return at === glob.length
}

function isName(value: unknown): value is string {
  if (typeof value !== 'string' || value.trim() === '' || Buffer.byteLength(value) > 256)
    return false
  // biome-ignore lint/suspicious/noControlCharactersInRegex: Git takes none of them in a name
  return !/[<>\u0000-\u001f\u007f]/.test(value)
}

function isGlob(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= 255
}
