/** Files that may be replaced while the service runs: secrets that are rotated, tokens that are added. */
import { readFileSync, statSync } from 'node:fs'

const lookEveryMs = 1_000

export interface WatchedFile<T> {
  /** What the newest readable state of the file holds; looks at the file at most once a second. */
  current(): T
}

/**
 * Reads a file, and again when it changed. A change that cannot be read or parsed is told once and the last good state stays.
 * @param options.parse turns the text into a value, or throws
 * @param options.onFailure told of every changed state that could not be used, once
 * @param options.onChange told of every new good state but the first
 * @throws what reading and parsing throw the first time
 */
export function watchFile<T>(options: {
  path: string
  parse: (text: string) => T
  onFailure: (error: unknown) => void
  onChange?: (value: T) => void
}): WatchedFile<T> {
  const { path, parse, onFailure, onChange } = options
  let seen = fingerprint(path)
  let value = parse(readFileSync(path, 'utf8'))
  let lookedAtMs = performance.now()

  function look(): void {
    const now = fingerprint(path)
    if (now === seen) return
    seen = now
    try {
      value = parse(readFileSync(path, 'utf8'))
    } catch (error) {
      onFailure(error)
      return
    }
    onChange?.(value)
  }

  return {
    current() {
      const nowMs = performance.now()
      if (nowMs - lookedAtMs >= lookEveryMs) {
        lookedAtMs = nowMs
        look()
      }
      return value
    },
  }
}

/** Kubernetes swaps a link, editors rename, shells write in place: inode, size and time tell all three. */
function fingerprint(path: string): string {
  try {
    const { dev, ino, size, mtimeMs, ctimeMs } = statSync(path)
    return `${dev}:${ino}:${size}:${mtimeMs}:${ctimeMs}`
  } catch (error) {
    return String(error)
  }
}
