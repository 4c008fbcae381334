import type { Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Call, checkNotEnded } from './calls.ts'
import { etagOf, isAbsent, temporaryFolder } from './file-layout.ts'
import { compareUtf8 } from './keys.ts'
import type { ListedObject, ListOptions, ListPage } from './store.ts'

const readFolder = promisify(readdir)
const statFile = promisify(stat)

/** Something that a page may hold: a key, or a folder that is rolled up or walked (its name ends in `/`). */
interface Item {
  name: string
  isFolder: boolean
}

/**
 * Lists one page of a folder's files as keys.
 * @param root the absolute path of the folder
 * @returns the page; files that vanish meanwhile are left out
 */
export async function listFiles(root: string, options: ListOptions, call: Call): Promise<ListPage> {
  const limit = options.limit ?? 1000
  const found: Item[] = []
  const start = options.prefix.slice(0, options.prefix.lastIndexOf('/') + 1)
  await walk(start)
  const items = found.slice(0, limit)
  const last = found.length > limit ? items.at(-1) : undefined
  return {
    objects: await describe(items.filter((item) => !item.isFolder)),
    prefixes: items.filter((item) => item.isFolder).map((item) => item.name),
    next: last?.name ?? null,
    dateMs: Date.now(),
  }

  async function walk(path: string): Promise<void> {
    for (const item of await itemsIn(path)) {
      if (found.length > limit) return
      checkNotEnded(call)
      if (!item.isFolder) found.push(item)
      else if (options.delimiter === undefined || item.name.length <= options.prefix.length) {
        await walk(item.name)
      } else if (await holdsFiles(item.name)) found.push(item)
    }
  }

  async function itemsIn(path: string): Promise<Item[]> {
    return (await readItems(root, path))
      .filter((item) => isWanted(item, options))
      .sort((a, b) => compareUtf8(a.name, b.name))
  }

  async function holdsFiles(path: string): Promise<boolean> {
    checkNotEnded(call)
    const items = await readItems(root, path)
    if (items.some((item) => !item.isFolder)) return true
    for (const item of items) if (await holdsFiles(item.name)) return true
    return false
  }

  async function describe(files: Item[]): Promise<ListedObject[]> {
    const objects = await Promise.all(files.map((file) => describeFile(root, file.name)))
    return objects.filter((object) => object !== null)
  }
}

function isWanted({ name, isFolder }: Item, { prefix, startAfter, delimiter }: ListOptions) {
  const reachesPrefix = isFolder && prefix.startsWith(name)
  if (!name.startsWith(prefix) && !reachesPrefix) return false
  if (startAfter === undefined || compareUtf8(name, startAfter) > 0) return true
  const isRolledUp = delimiter !== undefined && !reachesPrefix
  return isFolder && !isRolledUp && startAfter.startsWith(name)
}

async function readItems(root: string, path: string): Promise<Item[]> {
  const items: Item[] = []
  for (const entry of await readEntries(join(root, path))) {
    if (path === '' && entry.name === temporaryFolder) continue
    if (entry.isFile()) items.push({ name: path + entry.name, isFolder: false })
    else if (entry.isDirectory()) items.push({ name: `${path}${entry.name}/`, isFolder: true })
  }
  return items
}

async function readEntries(folder: string): Promise<Dirent[]> {
  try {
    return await readFolder(folder, { withFileTypes: true })
  } catch (error) {
    if (isAbsent(error)) return []
    throw error
  }
}

async function describeFile(root: string, key: string): Promise<ListedObject | null> {
  try {
    const stats = await statFile(join(root, key))
    const lastModifiedMs = Math.floor(stats.mtimeMs)
    return { key, etag: etagOf(stats), sizeBytes: stats.size, lastModifiedMs }
  } catch (error) {
    if (isAbsent(error)) return null
    throw error
  }
}
