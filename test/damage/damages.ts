/** What can happen to an object of a bucket, and what kinds of objects there are. */
import type { Store } from '../../src/store/store.ts'
import { bystander, damagedProject, type World } from './world.ts'

const call = { timeoutMs: 5_000 }

/** Kinds of objects, as people are told of them. */
export const kinds = [
  'entry that a checkpoint covers',
  'entry behind the checkpoints',
  'newest entry',
  'spilled pack',
  'index of a spilled pack',
  'checkpoint',
  'pack of a checkpoint',
  'index of a checkpoint',
  'outcomes of a checkpoint',
  'entry set aside',
  'entry of the cluster log',
  'newest of the cluster log',
  'announcement',
  'store.json',
] as const
export type Kind = (typeof kinds)[number]

export const groups = [
  'truncated',
  'bit flipped',
  'deleted',
  'swapped with its like',
  "replaced by the other project's",
  'replaced by an older version',
] as const
export type Group = (typeof groups)[number]

export interface Damage {
  kind: Kind
  group: Group
  /** Which of the group: a length, a place. */
  detail: string
  /** Every object that is not what it was, the one in question first. */
  keys: readonly [string, ...string[]]
  apply(): Promise<void>
}

/** The kind of an object that is to be damaged; null for one of the other project. */
export function kindOf(world: World, key: string): Kind | null {
  const { keys, newest, sound } = world
  if (key === 'store.json') return 'store.json'
  if (key.startsWith('cluster/log/')) {
    const isNewest = ![...sound.keys()].some((one) => one.startsWith('cluster/log/') && one > key)
    return isNewest ? 'newest of the cluster log' : 'entry of the cluster log'
  }
  if (key.startsWith('cluster/replicas/')) return 'announcement'
  const seq = keys.parseEntry(key)
  if (seq === newest) return 'newest entry'
  if (seq !== null) {
    const covered = [...sound.keys()].some((one) => (keys.parseCheckpoint(one) ?? 0) >= seq)
    return covered ? 'entry that a checkpoint covers' : 'entry behind the checkpoints'
  }
  if (keys.parseCheckpoint(key) !== null) return 'checkpoint'
  if (key.startsWith(keys.packPrefix)) return 'spilled pack'
  const below = `${keys.checkpointPrefix}packs/`
  if (key.startsWith(below) && key.endsWith('.pack')) return 'pack of a checkpoint'
  if (key.startsWith(below)) {
    const isSpilled = !sound.has(key.replace(/idx$/, 'pack'))
    return isSpilled ? 'index of a spilled pack' : 'index of a checkpoint'
  }
  if (key.startsWith(`${keys.checkpointPrefix}outcomes/`)) return 'outcomes of a checkpoint'
  return key.startsWith(keys.setAsidePrefix) ? 'entry set aside' : null
}

/** Everything that may happen to one object. */
export function damagesOf(world: World, key: string): Damage[] {
  const kind = kindOf(world, key)
  if (kind === null) return []
  const { store } = world
  const bytes = world.sound.get(key) as Buffer
  const writes = (group: Group, detail: string, body: Buffer): Damage => ({
    kind,
    group,
    detail,
    keys: [key],
    apply: async () => void (await store.put(key, body, call)),
  })
  const damages = [0, 1, bytes.length >> 1, bytes.length - 1].map((length) =>
    writes('truncated', `to ${length} of ${bytes.length} bytes`, bytes.subarray(0, length)),
  )
  for (const [place, at] of placesIn(bytes)) {
    damages.push(writes('bit flipped', place, flip(bytes, at)))
  }
  const removed = { kind, detail: '', keys: [key] as const, apply: () => store.delete(key, call) }
  damages.push({ ...removed, group: 'deleted' })
  const like = likeOf(world, key, kind)
  if (like !== null) {
    damages.push({
      kind,
      group: 'swapped with its like',
      detail: like,
      keys: [key, like],
      apply: () => swap(store, world, key, like),
    })
  }
  const others = othersOf(world, key, kind)
  if (others) damages.push(writes("replaced by the other project's", '', others))
  const older = world.older.get(key)
  if (older) damages.push(writes('replaced by an older version', '', older))
  return damages
}

/** In the frame, the names, the contents and the checksum of what it is. */
function placesIn(bytes: Buffer): [string, number][] {
  const packAt = bytes.indexOf('PACK')
  const refAt = bytes.indexOf(' refs/heads/')
  const places: [string, number][] = [
    ['in its first byte', 0],
    ['in its first line', 20],
    ['in its middle', bytes.length >> 1],
    ['in its last bytes', bytes.length - 7],
  ]
  if (refAt > 0)
    places.push(['in the id of a ref', refAt - 1], ['in the name of a ref', refAt + 13])
  if (packAt > 0) places.push(['in the number of objects of its pack', packAt + 11])
  if (packAt >= 0) places.push(['in the first object of its pack', packAt + 13])
  return places
}

function flip(bytes: Buffer, at: number): Buffer {
  const changed = Buffer.from(bytes)
  changed[at] = (changed[at] as number) ^ 4
  return changed
}

async function swap(store: Store, { sound }: World, one: string, other: string): Promise<void> {
  await store.put(one, sound.get(other) as Buffer, call)
  await store.put(other, sound.get(one) as Buffer, call)
}

/** The object of its kind that comes before it, or else after it. */
function likeOf(world: World, key: string, kind: Kind): string | null {
  const isLike = (other: Kind | null) =>
    other === kind ||
    (kind === 'newest entry' && other === 'entry behind the checkpoints') ||
    (kind === 'newest of the cluster log' && other === 'entry of the cluster log')
  const alike = [...world.sound.keys()].filter(
    (other) => other !== key && isLike(kindOf(world, other)),
  )
  alike.sort()
  return alike.findLast((other) => other < key) ?? alike[0] ?? null
}

/** The object of the same name in the other project, or else the first in the same place. */
function othersOf(world: World, key: string, kind: Kind): Buffer | undefined {
  const place = key.replace(`/${damagedProject}/`, `/${bystander}/`)
  if (place === key) return undefined
  const same = world.sound.get(place)
  if (same) return same
  const folder = place.slice(0, place.lastIndexOf('/') + 1)
  const end = key.slice(key.lastIndexOf('.'))
  // A pack of nothing but the empty file is the same in both, and no damage.
  const isThere = (other: string) =>
    other.startsWith(folder) &&
    other.endsWith(end) &&
    !other.slice(folder.length).includes('/') &&
    !isEqual(world, other, key)
  const found = [...world.sound.keys()].find(isThere)
  return found === undefined || kind === 'index of a spilled pack'
    ? undefined
    : world.sound.get(found)
}

function isEqual({ sound }: World, one: string, other: string): boolean {
  return sound.get(one)?.equals(sound.get(other) as Buffer) === true
}
