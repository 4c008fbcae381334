/** Files that may be replaced while the service runs: secrets that are rotated, tokens that are added. */
import { readFileSync, statSync } from 'node:fs'

const lookEveryMs = 1_000
/** So often files that change while they are read are read again; then the next look has to do. */
const readsMost = 10

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
  const { path, parse, onFailure, onChange = () => {} } = options
  const files = watchFiles({
    files: [{ path, parse }],
    onFailure: (_, error) => onFailure(error),
    onChange: ([value]) => onChange(value as T),
  })
  return { current: () => files.current()[0] as T }
}

/**
 * The same for files that belong together and are replaced at once, as the kubelet does with those of a Secret: what `current` gives
 * is of one moment. Who writes them one after the other in place leaves a moment in which they do not fit, and that is what is read.
 * @param options.onFailure told the number of the file, too
 */
export function watchFiles<T>(options: {
  files: readonly { path: string; parse: (text: string) => T }[]
  onFailure: (at: number, error: unknown) => void
  onChange?: (values: readonly T[]) => void
}): WatchedFile<readonly T[]> {
  const { files, onFailure, onChange } = options
  const fingerprints = () => files.map(({ path }) => fingerprint(path)).join()
  let seen = ''
  /** The file that is read, for whoever is told of a failure. */
  let at = 0

  /** All of one state: a link that is swapped between the first file and the last changes what the first one is. */
  const read = (): T[] => {
    for (let reads = 1; ; reads++) {
      seen = fingerprints()
      const texts = files.map(({ path }, index) => {
        at = index
        return readFileSync(path, 'utf8')
      })
      if (fingerprints() !== seen && reads < readsMost) continue
      return files.map(({ parse }, index) => {
        at = index
        return parse(texts[index] as string)
      })
    }
  }

  let values = read()
  let lookedAtMs = performance.now()

  const look = () => {
    if (fingerprints() === seen) return
    try {
      values = read()
    } catch (error) {
      onFailure(at, error)
      return
    }
    onChange?.(values)
  }

  return {
    current() {
      const nowMs = performance.now()
      if (nowMs - lookedAtMs >= lookEveryMs) {
        lookedAtMs = nowMs
        look()
      }
      return values
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
