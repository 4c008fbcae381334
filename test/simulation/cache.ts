/** Virtual cache folders: what a replica wrote there outlives its process, and anything may happen to it meanwhile. */
import { cachedEntries, type PackCache, type ProjectCache } from '../../src/repository/cache.ts'
import type { Actor, Chance, World } from './world.ts'

export interface VirtualCaches {
  /** The folder of a replica, for the process that runs there now. */
  of(name: string, actor: Actor): PackCache
  /** Empties the folder of a replica, as a pod that moves to another machine does. */
  empty(name: string): void
  /** Damages a file. @returns which, and how; null where there is none */
  damage(name: string, chance: Chance): string | null
}

type Files = Map<string, Buffer>

/** @param world a call takes a fraction of a millisecond of it */
export function createVirtualCaches(world: World): VirtualCaches {
  const folders = new Map<string, Files>()
  const chance = world.chance.fork()

  const filesOf = (name: string): Files => {
    const files = folders.get(name) ?? new Map()
    folders.set(name, files)
    return files
  }

  /** Takes a moment; of a killed process nothing takes effect. */
  const soon = <T>(actor: Actor, work: () => T) =>
    new Promise<T>((resolve) => world.after(chance.fraction() * 0.3, () => resolve(work()), actor))

  const of = (files: Files, actor: Actor, project: string): ProjectCache => {
    const entry = (seq: number) => `${project}/entries/${seq}`
    const pack = (name: string) => `${project}/${name}`
    const read = (key: string) => soon(actor, () => copyOf(files.get(key)))
    const write = (key: string, bytes: Buffer) => {
      const written = Buffer.from(bytes)
      return soon(actor, () => void files.set(key, written))
    }
    return {
      read: (name) => read(pack(name)),
      async readRange(name, start, end) {
        return (await read(pack(name)))?.subarray(start, end) ?? null
      },
      write: (name, bytes) => write(pack(name), bytes),
      remove: (name) => soon(actor, () => void files.delete(pack(name))),
      async writeEntry(seq, bytes) {
        await write(entry(seq), bytes)
        files.delete(entry(seq - cachedEntries))
      },
      readEntry: (seq) => read(entry(seq)),
      entries: () =>
        soon(actor, () =>
          [...files.keys()]
            .filter((key) => key.startsWith(`${project}/entries/`))
            .map((key) => Number(nameOf(key)))
            .sort((a, b) => a - b),
        ),
    }
  }

  return {
    of: (name, actor) => ({
      of: (project) => of(filesOf(name), actor, project),
      close: async () => {},
    }),
    empty: (name) => filesOf(name).clear(),
    damage(name, by) {
      const files = filesOf(name)
      if (files.size === 0) return null
      const [key, bytes] = by.pick([...files])
      // Another project's entry under its own number would be evidence of a lost one: nothing in it says whose it is.
      const others = [...files].filter(([other]) => nameOf(other) !== nameOf(key))
      const [how, damaged] = damage(bytes, [bytes, ...others.map(([, held]) => held)], by)
      if (damaged === null) files.delete(key)
      else files.set(key, damaged)
      return `${key} ${how}`
    },
  }
}

/**
 * What can become of bytes on a disk or in a bucket.
 * @param others of which one may come in their place
 * @returns how, and the bytes; null where nothing is left
 */
export function damage(
  bytes: Buffer,
  others: readonly Buffer[],
  chance: Chance,
): [how: string, bytes: Buffer | null] {
  const how = chance.pick(['flipped', 'truncated', 'emptied', 'deleted', 'swapped'] as const)
  if (how === 'deleted') return [how, null]
  if (how === 'emptied') return [how, Buffer.alloc(0)]
  if (how === 'truncated') return [how, bytes.subarray(0, chance.between(0, bytes.length))]
  if (how === 'swapped') return [how, Buffer.from(chance.pick(others))]
  const flipped = Buffer.from(bytes)
  const at = chance.between(0, Math.max(0, bytes.length - 1))
  if (bytes.length > 0) flipped[at] = (flipped[at] as number) ^ (1 << chance.between(0, 7))
  return [how, flipped]
}

function nameOf(key: string): string | undefined {
  return key.split('/').at(-1)
}

function copyOf(bytes: Buffer | undefined): Buffer | null {
  return bytes === undefined ? null : Buffer.from(bytes)
}
