/**
 * Which of many packs may hold an object, as Git's multi-pack-index tells it: one look, however many packs there are. It keeps 32
 * bits of each name and no more, so it answers with candidates, and whoever asks looks into those.
 */
import type { Oid } from './objects.ts'

export interface OidTable {
  /** Notes that the pack of this number (0 to 2^31 - 2) holds these objects. */
  add(oids: Iterable<Oid>, pack: number): void
  /** The numbers of the packs that may hold an object, in the order in which they were added. */
  packsOf(oid: Oid): Iterable<number>
}

/** What an object takes, bytes: four slots of 8 at the most, just after the table has doubled. */
export const oidTableWeightBytes = 32

const firstSlots = 256

/** @returns an empty table: open addressing, linear probes, at most half full */
export function createOidTable(): OidTable {
  let keys = new Uint32Array(firstSlots)
  /** A pack's number plus 1; 0 where a slot is free. */
  let values = new Uint32Array(firstSlots)
  let used = 0

  const put = (key: number, value: number) => {
    const mask = keys.length - 1
    let slot = key & mask
    while (values[slot] !== 0) slot = (slot + 1) & mask
    keys[slot] = key
    values[slot] = value
  }

  const grow = () => {
    const [oldKeys, oldValues] = [keys, values]
    keys = new Uint32Array(2 * oldKeys.length)
    values = new Uint32Array(2 * oldKeys.length)
    // From a free slot on, so that those of one key keep their order, also where they went round the end.
    const from = oldValues.indexOf(0)
    for (let step = 0; step < oldValues.length; step++) {
      const slot = (from + step) & (oldValues.length - 1)
      if (oldValues[slot] !== 0) put(oldKeys[slot] as number, oldValues[slot] as number)
    }
  }

  return {
    add(oids, pack) {
      for (const oid of oids) {
        if (2 * ++used > keys.length) grow()
        put(keyOf(oid), pack + 1)
      }
    },
    *packsOf(oid) {
      const key = keyOf(oid)
      const mask = keys.length - 1
      for (let slot = key & mask; values[slot] !== 0; slot = (slot + 1) & mask)
        if (keys[slot] === key) yield (values[slot] as number) - 1
    },
  }
}

/** Names are hashes, so their beginning is as good a hash as any. */
function keyOf(oid: Oid): number {
  return Number.parseInt(oid.slice(0, 8), 16)
}
