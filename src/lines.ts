/**
 * Log lines on their way to a file descriptor. Lines are gathered for up to 100 ms or 64 KiB and written by a thread of the pool:
 * a reader that is slow, or stuck, never holds up the service. What does not fit into 8 MiB is dropped, counted and told.
 *
 * Ours, since pino's own destination costs more than pino (2 µs a line, the line itself 0.5; this: 0.5), and either blocks
 * on a reader that is stuck or loses count of what it dropped.
 */
import { write } from 'node:fs'

export interface Lines {
  /** @param line ends with a line break */
  write(line: string): void
  /** Begins to write what is gathered. */
  flush(): void
  /** Waits until everything is written, or for so long. @returns whether it is; else a thread hangs in the write */
  finish(timeoutMs: number): Promise<boolean>
}

const gatherMs = 100
const gatherChars = 64 * 1024
const retryMs = 20

/**
 * @param options.maxChars what waits at most
 * @param options.onDropped makes the line that tells how many lines were dropped
 */
export function openLines(options: {
  fd: number
  maxChars?: number
  onDropped: (lines: number) => string
}): Lines {
  const { fd, maxChars = 8 * 2 ** 20, onDropped } = options
  let gathered = ''
  let writing: Buffer | null = null
  let dropped = 0
  let timer: NodeJS.Timeout | undefined
  /** The reader is gone for good. */
  let broken = false
  let onEmpty = () => {}

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    if (writing !== null) return
    if (dropped > 0) gathered += onDropped(dropped)
    dropped = 0
    if (gathered === '') {
      onEmpty()
      return
    }
    writing = Buffer.from(gathered)
    gathered = ''
    writeOn()
  }

  function writeOn(): void {
    if (writing === null) return
    write(fd, writing, (error, written) => {
      if (error?.code === 'EAGAIN') {
        setTimeout(writeOn, retryMs)
        return
      }
      broken = Boolean(error)
      const left = broken ? null : (writing?.subarray(written) ?? null)
      writing = left?.length ? left : null
      if (writing !== null) writeOn()
      else if (broken || gathered === '') onEmpty()
      else if (gathered.length > gatherChars || dropped > 0) flush()
      else timer ??= setTimeout(flush, gatherMs)
    })
  }

  return {
    write(line) {
      if (broken) return
      if (gathered.length + line.length > maxChars) {
        dropped++
        return
      }
      gathered += line
      if (gathered.length > gatherChars) flush()
      else timer ??= setTimeout(flush, gatherMs)
    },
    flush,
    finish(timeoutMs) {
      return new Promise((resolve) => {
        const late = setTimeout(resolve, timeoutMs, false)
        onEmpty = () => {
          clearTimeout(late)
          resolve(true)
        }
        if (writing === null) flush()
      })
    },
  }
}
