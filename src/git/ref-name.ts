/** Names of refs, as Git allows them. @see git-check-ref-format */
import { toByteString } from './bytes.ts'

// Control characters are told apart by code, not in the pattern: the linter takes them there for slips.
const forbidden = /[ ~^:?*[\\]|\.\.|@\{|\/\/|\/\.|\.lock(\/|$)|[./]$|^[./]/

/** Tells whether Git takes a full name (`refs/heads/main`) for a ref. Loose about bytes beyond ASCII, as Git is. */
export function isRefName(name: string): boolean {
  if (!name.startsWith('refs/') || forbidden.test(name)) return false
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at)
    if (code < 0x20 || code === 0x7f) return false
  }
  return isEncodable(name)
}

/**
 * Finds a ref whose name is a folder of another's (`refs/heads/a` beside `refs/heads/a/b`), which no Git repository holds.
 * @returns the shorter name, or null
 */
export function findRefConflict(refs: ReadonlyMap<string, unknown>): string | null {
  for (const name of refs.keys()) {
    for (let at = name.lastIndexOf('/'); at > 0; at = name.lastIndexOf('/', at - 1)) {
      const parent = name.slice(0, at)
      if (refs.has(parent)) return parent
    }
  }
  return null
}

function isEncodable(name: string): boolean {
  try {
    toByteString(name)
    return true
  } catch {
    return false
  }
}
