/** Indexes of packs, and reading single objects through them. @see gitformat-pack */
import { crc32 } from 'node:zlib'
import { applyDelta } from './delta.ts'
import { indexDeltaPack } from './delta-pack.ts'
import { type GitObject, hashObject, type ObjectType, type Oid } from './objects.ts'
import {
  framePack,
  type PackedObject,
  packHeaderBytes,
  scanPack,
  sha1,
  trailerBytes,
} from './pack.ts'
import { encodeEntryHeader, inflateEntry, parseEntryHeader } from './pack-entry.ts'

export interface PackIndex {
  readonly count: number
  /** Trailer of the pack that it belongs to, 40 hex digits. */
  readonly packChecksum: string
  /** Where an object's entry lies in the pack, bytes; null where the pack does not hold it. */
  find(oid: Oid): { offset: number; end: number } | null
  /** Where the entry that begins at an offset ends; null where none begins there. */
  endOf(offset: number): number | null
  /** The names of all objects, sorted. */
  oids(): Iterable<Oid>
}

export interface IndexEntry {
  oid: Oid
  offset: number
  /** Of the entry's bytes in the pack, header and deflated. */
  crc32: number
}

const magic = 0xff744f63
const fanoutAt = 8
const oidsAt = fanoutAt + 256 * 4
const bigOffset = 0x8000_0000

/**
 * Makes the index of a pack, the same bytes as `git index-pack` writes.
 * @param pack version 2; deltas find their bases in it
 * @throws Error with a sentence where the pack is not sound
 */
export async function indexPack(pack: Buffer): Promise<Buffer> {
  const entries: IndexEntry[] = []
  for (const { type, inflated, offset, end } of scanPack(pack)) {
    if (type === null) return indexDeltaPack(pack)
    entries.push({
      oid: hashObject(type, inflated),
      offset,
      crc32: crc32(pack.subarray(offset, end)),
    })
  }
  return encodeIndex(entries, pack.subarray(pack.length - trailerBytes))
}

/**
 * Makes the index of a pack that `encodePack` has just written of these objects, without reading it back.
 * @param objects in the order in which they lie
 */
export function indexEncodedPack(objects: readonly PackedObject[], pack: Buffer): Buffer {
  let end = packHeaderBytes
  const entries = objects.map(({ oid, type, sizeBytes, deflated }): IndexEntry => {
    const offset = end
    end += encodeEntryHeader(type, sizeBytes).length + deflated.length
    return { oid, offset, crc32: crc32(pack.subarray(offset, end)) }
  })
  return encodeIndex(entries, pack.subarray(pack.length - trailerBytes))
}

/**
 * Joins packs of whole objects, each object as it lies in the first that holds it: what `encodePack` makes of all of them, and
 * its index.
 * @param parts sound packs with their indexes; deltas would lose their bases
 */
export function joinPacks(parts: readonly { pack: Buffer; index: PackIndex }[]): {
  pack: Buffer
  index: Buffer
} {
  const bodies: Buffer[] = []
  const entries = new Map<Oid, IndexEntry>()
  let end = packHeaderBytes
  for (const { pack, index } of parts) {
    const lying = [...index.oids()].map((oid) => ({ oid, ...placeOf(oid, index) }))
    lying.sort((left, right) => left.offset - right.offset)
    for (const { oid, offset, end: until } of lying) {
      if (entries.has(oid)) continue
      const body = pack.subarray(offset, until)
      entries.set(oid, { oid, offset: end, crc32: crc32(body) })
      bodies.push(body)
      end += body.length
    }
  }
  const pack = framePack(entries.size, bodies)
  return { pack, index: encodeIndex([...entries.values()], pack.subarray(-trailerBytes)) }
}

/**
 * Writes an index of version 2.
 * @param entries in any order
 * @param packTrailer the last 20 bytes of the pack
 */
export function encodeIndex(entries: readonly IndexEntry[], packTrailer: Buffer): Buffer {
  const sorted = [...entries].sort((left, right) => (left.oid < right.oid ? -1 : 1))
  const crcsAt = oidsAt + 20 * sorted.length
  const offsetsAt = crcsAt + 4 * sorted.length
  const bigAt = offsetsAt + 4 * sorted.length
  const bigCount = sorted.filter((entry) => entry.offset >= bigOffset).length
  const index = Buffer.alloc(bigAt + 8 * bigCount + 2 * trailerBytes)
  index.writeUInt32BE(magic, 0)
  index.writeUInt32BE(2, 4)
  let nextBig = 0
  sorted.forEach((entry, row) => {
    index.write(entry.oid, oidsAt + 20 * row, 'hex')
    index.writeUInt32BE(entry.crc32, crcsAt + 4 * row)
    const isBig = entry.offset >= bigOffset
    if (isBig) index.writeBigUInt64BE(BigInt(entry.offset), bigAt + 8 * nextBig)
    index.writeUInt32BE(isBig ? bigOffset + nextBig++ : entry.offset, offsetsAt + 4 * row)
    const bucket = fanoutAt + 4 * (index[oidsAt + 20 * row] as number)
    index.writeUInt32BE(index.readUInt32BE(bucket) + 1, bucket)
  })
  for (let at = fanoutAt + 4; at < oidsAt; at += 4) {
    index.writeUInt32BE(index.readUInt32BE(at) + index.readUInt32BE(at - 4), at)
  }
  packTrailer.copy(index, index.length - 2 * trailerBytes)
  sha1(index.subarray(0, -trailerBytes)).copy(index, index.length - trailerBytes)
  return index
}

/**
 * Opens an index. It looks objects up in the bytes given, and keeps beside them 8 bytes an object at the most.
 * @param packSizeBytes of the pack that the index belongs to
 * @throws Error with a sentence where the bytes are no sound index, or one of a longer pack
 */
export function parseIndex(idx: Buffer, packSizeBytes: number): PackIndex {
  const { count, crcsAt } = verifyIndex(idx)
  const offsetAt = offsetReader(idx, crcsAt + 4 * count, count)
  const starts = new Float64Array(count)
  for (let row = 0; row < count; row++) starts[row] = offsetAt(row)
  starts.sort()
  const packEnd = packSizeBytes - trailerBytes
  if (count > 0 && ((starts[0] as number) < 12 || (starts[count - 1] as number) >= packEnd)) {
    throw new Error('an index points outside its pack')
  }
  const endOf = (offset: number) => {
    const row = lowerBound(0, count, (at) => (starts[at] as number) - offset)
    return starts[row] === offset ? (starts[row + 1] ?? packEnd) : null
  }
  return {
    count,
    packChecksum: idx.toString('hex', idx.length - 2 * trailerBytes, idx.length - trailerBytes),
    endOf,
    find(oid) {
      const row = findRow(idx, oid)
      if (row === null) return null
      const offset = offsetAt(row)
      return { offset, end: endOf(offset) as number }
    },
    *oids() {
      for (let at = oidsAt; at < crcsAt; at += 20) yield idx.toString('hex', at, at + 20) as Oid
    },
  }
}

/**
 * Reads one object by ranges of its pack: its own bytes, and those of the bases of its deltas.
 * @param read gives the pack's bytes from `start` to before `end`
 * @throws Error where the pack does not hold the object, or the bytes make another
 */
export async function readPacked(
  oid: Oid,
  index: PackIndex,
  read: (start: number, end: number) => Promise<Buffer>,
): Promise<GitObject> {
  const place = placeOf(oid, index)
  const deltas: Buffer[] = []
  const base = await readBase(place.offset, index, read, deltas)
  const content = deltas.reduceRight(applyDelta, base.content)
  if (hashObject(base.type, content) !== oid)
    throw new Error(`the bytes of ${oid} make another object`)
  return { type: base.type, content }
}

function placeOf(oid: Oid, index: PackIndex): { offset: number; end: number } {
  const place = index.find(oid)
  if (place === null) throw new Error(`a pack does not hold ${oid}`)
  return place
}

/** Follows a chain of deltas to the whole object at its end; the deltas come to lie in `deltas`, the outermost first. */
async function readBase(
  start: number,
  index: PackIndex,
  read: (start: number, end: number) => Promise<Buffer>,
  deltas: Buffer[],
): Promise<{ type: ObjectType; content: Buffer }> {
  let offset = start
  while (deltas.length <= index.count) {
    const end = index.endOf(offset)
    if (end === null) throw new Error('a delta in a pack has no base')
    const bytes = await read(offset, end)
    const header = parseEntryHeader(bytes, 0)
    const { content } = inflateEntry(bytes, header.dataAt, header.sizeBytes)
    if (header.type !== null) return { type: header.type, content }
    deltas.push(content)
    offset = baseOffset(offset, header, index)
  }
  throw new Error('the deltas of a pack go round in a circle')
}

function baseOffset(
  offset: number,
  header: { baseDistance: number | null; baseOid: Oid | null },
  index: PackIndex,
): number {
  if (header.baseDistance !== null) return offset - header.baseDistance
  const base = header.baseOid === null ? null : index.find(header.baseOid)
  if (base === null) throw new Error('a delta in a pack has no base')
  return base.offset
}

function verifyIndex(idx: Buffer): { count: number; crcsAt: number } {
  if (idx.length < oidsAt + 2 * trailerBytes) throw new Error('an index is cut off')
  if (idx.readUInt32BE(0) !== magic || idx.readUInt32BE(4) !== 2) {
    throw new Error('this is no index of version 2')
  }
  if (!sha1(idx.subarray(0, -trailerBytes)).equals(idx.subarray(-trailerBytes))) {
    throw new Error('the checksum of an index is wrong')
  }
  const count = idx.readUInt32BE(oidsAt - 4)
  const bigBytes = idx.length - (oidsAt + 28 * count + 2 * trailerBytes)
  if (bigBytes < 0 || bigBytes % 8 !== 0) throw new Error('an index has an impossible length')
  for (let at = fanoutAt + 4; at < oidsAt; at += 4) {
    if (idx.readUInt32BE(at) < idx.readUInt32BE(at - 4)) throw new Error('an index is not sorted')
  }
  return { count, crcsAt: oidsAt + 20 * count }
}

function offsetReader(idx: Buffer, offsetsAt: number, count: number): (row: number) => number {
  const bigAt = offsetsAt + 4 * count
  const bigCount = (idx.length - 2 * trailerBytes - bigAt) / 8
  return (row) => {
    const offset = idx.readUInt32BE(offsetsAt + 4 * row)
    if (offset < bigOffset) return offset
    if (offset - bigOffset >= bigCount) throw new Error('an index points outside itself')
    return Number(idx.readBigUInt64BE(bigAt + 8 * (offset - bigOffset)))
  }
}

function findRow(idx: Buffer, oid: Oid): number | null {
  const wanted = Buffer.from(oid, 'hex')
  const bucket = fanoutAt + 4 * (wanted[0] as number)
  const from = bucket === fanoutAt ? 0 : idx.readUInt32BE(bucket - 4)
  const to = idx.readUInt32BE(bucket)
  const compareRow = (row: number) => {
    const at = oidsAt + 20 * row
    return idx.compare(wanted, 0, 20, at, at + 20)
  }
  const row = lowerBound(from, to, compareRow)
  return row < to && compareRow(row) === 0 ? row : null
}

/** The first place from `from` to before `to` that is not below what is looked for; `to` where all are. */
function lowerBound(from: number, to: number, compare: (at: number) => number): number {
  let low = from
  let high = to
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compare(middle) < 0) low = middle + 1
    else high = middle
  }
  return low
}
