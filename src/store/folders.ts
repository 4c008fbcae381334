import { close, fsync, mkdir, open } from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'

const openFile = promisify(open)
const syncFile = promisify(fsync)
const closeFile = promisify(close)
const makeFolder = promisify(mkdir)

/** Folders below one root, made and brought to the disk. */
export interface Folders {
  /**
   * Makes the names in a folder durable, and the first time this process sees the folder its own name too, up to the
   * root: another process may have made it and not yet have synced it.
   * @param folder an absolute path below the root, or the root
   */
  sync(folder: string): Promise<void>
  /** Makes a folder and those above it. */
  make(folder: string): Promise<void>
}

/** How many folders are remembered as durable; forgetting costs a few fsyncs. */
const rememberedFolders = 20_000

/**
 * @param root the absolute path of a folder that exists
 */
export function createFolders(root: string): Folders {
  const durable = new Set([root])
  const waiting = new Map<string, Promise<void>>()
  const running = new Map<string, Promise<void>>()

  /** Those who come while an fsync runs share the next one: theirs must begin after their change. */
  function syncNames(folder: string): Promise<void> {
    const next = waiting.get(folder)
    if (next !== undefined) return next
    const now = running.get(folder)
    if (now === undefined) return start(folder)
    const after = now
      .catch(() => {})
      .then(() => {
        waiting.delete(folder)
        return start(folder)
      })
    waiting.set(folder, after)
    return after
  }

  function start(folder: string): Promise<void> {
    const sync = fsyncFolder(folder).finally(() => {
      if (running.get(folder) === sync) running.delete(folder)
    })
    running.set(folder, sync)
    return sync
  }

  async function sync(folder: string): Promise<void> {
    await syncNames(folder)
    for (let below = folder; !durable.has(below); ) {
      const above = dirname(below)
      await syncNames(above)
      if (durable.size > rememberedFolders) durable.clear()
      durable.add(root).add(below)
      below = above
    }
  }

  async function make(folder: string): Promise<void> {
    durable.delete(folder)
    await makeFolder(folder, { recursive: true })
  }

  return { sync, make }
}

async function fsyncFolder(folder: string): Promise<void> {
  const fd = await openFile(folder, 'r')
  try {
    await syncFile(fd)
  } finally {
    await closeFile(fd)
  }
}
