/**
 * The cache folder: `<folder>/<storeId>/<escaped project>/objects/pack/` with packs and their indexes, and `entries/` with
 * the newest entries as they came. Only immutable files named by their hash or sequence, written as temporary and renamed: there is
 * nothing to recover after a kill and nothing to lock, and a full disk only means "not cached". Every failure here is a miss.
 */
import {
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'

import type { Clock, Randomness } from '../clock.ts'
import type { Observer } from '../observe.ts'
import { escapeProject, type ProjectName, sequenceDigits } from './keys.ts'

/** Raw entries that are kept for each project. */
export const cachedEntries = 64
/** A sweep makes some room ahead, so that not every file asks for one. */
const sweptTo = 0.9

export interface PackCache {
  /** The files of one project. */
  of(project: ProjectName): ProjectCache
  /** Writes nothing any more; resolves once nothing is being written. */
  close(): Promise<void>
}

export interface ProjectCache {
  /** @returns a whole file, or null where it is not at hand */
  read(name: string): Promise<Buffer | null>
  /** @returns bytes `start` to before `end`, or null where they are not at hand */
  readRange(name: string, start: number, end: number): Promise<Buffer | null>
  /** Keeps a file; done or not, it never fails. @param name as git names packs, `pack-….pack` or `pack-….idx` */
  write(name: string, bytes: Buffer): Promise<void>
  /** Forgets a file that turned out damaged. */
  remove(name: string): Promise<void>
  /** Keeps an entry as it lies in the bucket, and forgets the one that is 64 older. */
  writeEntry(seq: number, bytes: Buffer): Promise<void>
  readEntry(seq: number): Promise<Buffer | null>
  /** The sequences of the entries at hand, ascending. */
  entries(): Promise<number[]>
}

/**
 * Opens the cache folder.
 * @param options.maxBytes what all files together may take; the least recently used go first
 */
export function openPackCache(options: {
  folder: string
  storeId: string
  maxBytes: number
  clock: Clock
  random: Randomness
  observer: Observer
}): PackCache {
  const root = join(options.folder, options.storeId)
  const budget = createBudget(root, options.maxBytes)

  /** A miss where the file is absent; a miss and a log line for anything else. */
  const orNull = async <T>(work: Promise<T>): Promise<T | null> => {
    try {
      return await work
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      if (code !== 'ENOENT') options.observer.log('warn', 'cache_failed', { code })
      return null
    }
  }

  const counted = <T>(found: T | null): T | null => {
    const result = found === null ? 'miss' : 'hit'
    options.observer.count('cache_requests_total', { cache: 'folder', result })
    return found
  }

  /** Marks a file as used just now, so that it goes last; file systems do not always do so themselves. */
  const touch = async (path: string) => {
    const { mtime } = await stat(path)
    await utimes(path, options.clock.nowMs() / 1000, mtime)
  }

  const writeFileWhole = async (path: string, bytes: Buffer) => {
    const temporary = `${path}.${options.random.uuid()}.tmp`
    try {
      await writeInFolder(temporary, bytes)
      await rename(temporary, path)
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {})
      throw error
    }
    await budget.added(bytes.length)
  }

  const writing = new Set<Promise<unknown>>()
  let isClosed = false
  const tracked = async (work: () => Promise<unknown>) => {
    if (isClosed) return
    const running = orNull(work())
    writing.add(running)
    await running
    writing.delete(running)
  }

  return {
    async close() {
      isClosed = true
      await Promise.all(writing)
    },
    of(project) {
      const folder = join(root, escapeProject(project))
      const packPath = (name: string) => join(folder, 'objects', 'pack', name)
      const entryPath = (seq: number) => join(folder, 'entries', `${sequenceDigits(seq)}.bundle`)
      return {
        async read(name) {
          const bytes = counted(await orNull(readFile(packPath(name))))
          if (bytes) await orNull(touch(packPath(name)))
          return bytes
        },
        readRange: async (name, start, end) =>
          counted(await orNull(readPart(packPath(name), start, end))),
        write: (name, bytes) => tracked(() => writeFileWhole(packPath(name), bytes)),
        async remove(name) {
          await orNull(rm(packPath(name), { force: true }))
        },
        writeEntry: (seq, bytes) =>
          tracked(async () => {
            await writeFileWhole(entryPath(seq), bytes)
            if (seq > cachedEntries) await rm(entryPath(seq - cachedEntries), { force: true })
          }),
        readEntry: (seq) => orNull(readFile(entryPath(seq))),
        async entries() {
          const names = (await orNull(readdir(join(folder, 'entries')))) ?? []
          return names
            .filter((name) => /^\d{20}\.bundle$/.test(name))
            .map((name) => Number(name.slice(0, 20)))
            .sort((a, b) => a - b)
        },
      }
    },
  }
}

/** Makes the folder only where there is none: that is one call for the first file, and none for the others. */
async function writeInFolder(path: string, bytes: Buffer): Promise<void> {
  try {
    await writeFile(path, bytes)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, bytes)
  }
}

async function readPart(path: string, start: number, end: number): Promise<Buffer | null> {
  const file = await open(path, 'r')
  try {
    const bytes = Buffer.alloc(end - start)
    const { bytesRead } = await file.read(bytes, 0, bytes.length, start)
    return bytes.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

interface Budget {
  added(sizeBytes: number): Promise<void>
}

/** Counts what the folder holds, and removes the least recently used files beyond its size. */
function createBudget(root: string, maxBytes: number): Budget {
  /** What lies there, at least; unknown until the first sweep. */
  let total = Number.POSITIVE_INFINITY
  let addedSince = 0
  let sweeping: Promise<void> | null = null

  const sweep = async () => {
    addedSince = 0
    const files = await filesBelow(root)
    let sum = files.reduce((bytes, file) => bytes + file.sizeBytes, 0)
    files.sort((a, b) => a.usedMs - b.usedMs)
    for (const file of files) {
      if (sum <= maxBytes * sweptTo) break
      await rm(file.path, { force: true })
      sum -= file.sizeBytes
    }
    // What came while the folder was listed may be counted twice, never too little.
    total = sum + addedSince
  }

  return {
    async added(sizeBytes) {
      total += sizeBytes
      addedSince += sizeBytes
      while (total > maxBytes) {
        sweeping ??= sweep().finally(() => {
          sweeping = null
        })
        await sweeping
      }
    },
  }
}

async function filesBelow(
  folder: string,
): Promise<{ path: string; sizeBytes: number; usedMs: number }[]> {
  const found = []
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => [])
  for (const entry of entries) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath ?? entry.path, entry.name)
    const file = await stat(path).catch(() => null)
    if (file)
      found.push({ path, sizeBytes: file.size, usedMs: Math.max(file.atimeMs, file.mtimeMs) })
  }
  return found
}
