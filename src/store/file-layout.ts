import type { Stats } from 'node:fs'

/** The folder, beside the keys, where files are written before they have a name. */
export const temporaryFolder = '.tmp'

/**
 * The ETag of a file, cheap enough for a list: inode, size and time of change. An inode number is used again at once and
 * the kernel's clock ticks only every few milliseconds, so these three repeat by themselves; they are unique because every
 * writer sets the time from a microsecond clock after it has been given the inode.
 */
export function etagOf({ ino, size, mtimeMs }: Pick<Stats, 'ino' | 'size' | 'mtimeMs'>): string {
  return `"${ino.toString(36)}-${Math.round(mtimeMs * 1000).toString(36)}-${size.toString(36)}"`
}

/** The wall clock in seconds, to the microsecond and never twice the same in a process. */
export function uniqueSeconds(): number {
  lastMicros = Math.max(
    Math.round((performance.timeOrigin + performance.now()) * 1000),
    lastMicros + 1,
  )
  return lastMicros / 1_000_000
}

let lastMicros = 0

/** Tells whether a file system's error means that the path names nothing. */
export function isAbsent(error: unknown): boolean {
  const code = errnoOf(error)
  return code === 'ENOENT' || code === 'ENOTDIR'
}

/** Node's code of a failed system call, `''` where there is none. */
export function errnoOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | undefined)?.code ?? ''
}
