import { randomUUID } from 'node:crypto'
import * as fs from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { type Call, checkNotEnded, createCalls } from './calls.ts'
import { readFile, writeAll } from './file-bytes.ts'
import { errnoOf, etagOf, isAbsent, temporaryFolder, uniqueSeconds } from './file-layout.ts'
import { listFiles } from './file-list.ts'
import { createFolders } from './folders.ts'
import { checkKey } from './keys.ts'
import { type Store, StoreError } from './store.ts'

const open = promisify(fs.open)
const close = promisify(fs.close)
const fstat = promisify(fs.fstat)
const stat = promisify(fs.stat)
const fsync = promisify(fs.fsync)
const futimes = promisify(fs.futimes)
const link = promisify(fs.link)
const rename = promisify(fs.rename)
const unlink = promisify(fs.unlink)

/**
 * Opens a folder as a store, for one machine and any number of processes. A key is a path in the folder, as it is. What
 * is acknowledged is on the disk: the file is synced before it gets its name, the folder before the answer. A reader may
 * see an object a moment before that; only a power failure in that very moment can take it back, from those who saw it, not
 * from who was told that it is written.
 * @param folder the path of the folder; made if it is absent
 * @param options.exists how the file system is asked whether a path exists, for tests
 * @returns the store
 * @throws StoreError `CaseInsensitive` where the file system takes `Foo` and `foo` for one name, or Node's code where the
 *   folder cannot be used
 */
export async function openFileStore(
  folder: string,
  { exists = fs.existsSync }: { exists?: (path: string) => boolean } = {},
): Promise<Store> {
  const root = resolve(folder)
  const identity = await prepareFolder(root, exists)
  const folders = createFolders(root)
  const calls = createCalls()
  const temporaryPrefix = join(root, temporaryFolder, randomUUID())
  let temporaries = 0

  return {
    get: (key, options) =>
      run('get', key, options, async (call) => {
        try {
          return await readFile(join(root, key), options, call)
        } catch (error) {
          if (!isAbsent(error)) throw error
          await checkSameFolder()
          return null
        }
      }),

    create: (key, body, options) =>
      run('create', key, options, async (call) => {
        const temporary = await writeTemporary(body, call)
        try {
          const won = await linkNew(temporary.path, join(root, key), call)
          await folders.sync(dirname(join(root, key)))
          return won ? { result: 'created', etag: temporary.etag } : { result: 'exists' }
        } finally {
          await discard(temporary.path)
        }
      }),

    put: (key, body, options) =>
      run('put', key, options, async (call) => {
        const temporary = await writeTemporary(body, call)
        try {
          await inFolder(join(root, key), call, (path) => rename(temporary.path, path))
          await folders.sync(dirname(join(root, key)))
          return { etag: temporary.etag }
        } catch (error) {
          await discard(temporary.path)
          throw error
        }
      }),

    list: (options) =>
      run('list', options.prefix, options, async (call) => {
        const page = await listFiles(root, options, call)
        await checkSameFolder()
        return page
      }),

    delete: (key, options) =>
      run('delete', key, options, async (call) => {
        try {
          await change(call, () => unlink(join(root, key)))
          await folders.sync(dirname(join(root, key)))
        } catch (error) {
          if (!isAbsent(error)) throw error
          await checkSameFolder()
        }
      }),

    close: async () => calls.close(),
  }

  function run<T>(
    verb: string,
    key: string,
    options: { timeoutMs: number; signal?: AbortSignal },
    work: (call: Call) => Promise<T>,
  ): Promise<T> {
    return calls.run(options, async (call) => {
      try {
        if (verb !== 'list') checkFileKey(key)
        return await work(call)
      } catch (error) {
        throw translate(error, `${verb} ${key}`, call)
      }
    })
  }

  /** An unmounted or replaced folder makes every key look absent. */
  async function checkSameFolder(): Promise<void> {
    const { dev, ino } = await stat(root)
    if (dev === identity.dev && ino === identity.ino) return
    throw new StoreError(`${root} is not the folder that was opened`, {
      definite: true,
      reason: 'FolderReplaced',
    })
  }

  async function writeTemporary(body: Buffer, call: Call) {
    const path = `${temporaryPrefix}-${temporaries++}`
    const fd = await open(path, 'wx')
    try {
      await writeAll(fd, body, call)
      const seconds = uniqueSeconds()
      await futimes(fd, seconds, seconds)
      const stats = await fstat(fd)
      await fsync(fd)
      return { path, etag: etagOf(stats) }
    } catch (error) {
      await discard(path)
      throw error
    } finally {
      await close(fd)
    }
  }

  /** @returns false where the name is taken */
  async function linkNew(temporary: string, path: string, call: Call): Promise<boolean> {
    try {
      await inFolder(path, call, (target) => link(temporary, target))
      return true
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST' || (await isFolder(path))) throw error
      return false
    }
  }

  /** Gives a file its name, in a folder that is made where it is missing. */
  async function inFolder(path: string, call: Call, name: (path: string) => Promise<void>) {
    try {
      await change(call, () => name(path))
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
      await checkSameFolder()
      await folders.make(dirname(path))
      await change(call, () => name(path))
    }
  }
}

/** @returns what tells this folder from another one at the same path */
async function prepareFolder(root: string, exists: (path: string) => boolean) {
  try {
    await promisify(fs.mkdir)(join(root, temporaryFolder), { recursive: true })
    await refuseCaseInsensitive(join(root, temporaryFolder), exists)
    await discardOld(join(root, temporaryFolder))
    return await stat(root)
  } catch (error) {
    throw translate(error, `open ${root}`, { sent: false })
  }
}

async function refuseCaseInsensitive(folder: string, exists: (path: string) => boolean) {
  const name = `case-${randomUUID()}`
  await close(await open(join(folder, name), 'wx'))
  try {
    if (!exists(join(folder, name.toUpperCase()))) return
    throw new StoreError(`the file system of ${folder} takes Foo and foo for one name`, {
      definite: true,
      reason: 'CaseInsensitive',
    })
  } finally {
    await discard(join(folder, name))
  }
}

/** Longer than any call may last. */
const oldMs = 24 * 3_600_000

/** Removes what processes that were killed have left. */
async function discardOld(folder: string): Promise<void> {
  for (const name of await promisify(fs.readdir)(folder)) {
    const path = join(folder, name)
    const stats = await stat(path).catch(() => null)
    if (stats !== null && Date.now() - stats.mtimeMs > oldMs) await discard(path)
  }
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isDirectory() ?? false
}

/** Runs the one system call that changes what others see. */
async function change(call: Call, work: () => Promise<void>): Promise<void> {
  checkNotEnded(call)
  call.sent = true
  try {
    await work()
  } catch (error) {
    if (refused.has(errnoOf(error))) call.sent = false
    throw error
  }
}

/** A temporary file that stays does no harm. */
async function discard(path: string): Promise<void> {
  await unlink(path).catch(() => {})
}

function checkFileKey(key: string): void {
  checkKey(key)
  if (key !== temporaryFolder && !key.startsWith(`${temporaryFolder}/`)) return
  throw new StoreError(`${key} is in the folder of temporary files`, {
    definite: true,
    reason: 'InvalidKey',
  })
}

function translate(error: unknown, what: string, { sent }: { sent: boolean }): StoreError {
  if (error instanceof StoreError) return error
  const reason = errnoOf(error) || 'Failed'
  return new StoreError(`${what}: ${String(error)}`, { definite: !sent, reason, cause: error })
}

/** With these a system call has done nothing; after any other (EIO) it may have. */
const refusals =
  'EACCES EDQUOT EEXIST EISDIR EMLINK ENAMETOOLONG ENOENT ENOSPC ENOTDIR ENOTEMPTY EPERM EROFS'
const refused = new Set(refusals.split(' '))
