/** Packs of whole objects: what an entry of the log carries. @see gitformat-pack */
import { hash } from 'node:crypto'
import { digest } from './digest.ts'
import { hashObject, type ObjectType, type Oid } from './objects.ts'
import {
  deflateObject,
  type EntryHeader,
  encodeEntryHeader,
  inflateEntry,
  parseEntryHeader,
} from './pack-entry.ts'

/** An object as it lies in a pack. */
export interface PackedObject {
  oid: Oid
  type: ObjectType
  /** Size of the content, not of the deflated bytes. */
  sizeBytes: number
  deflated: Buffer
}

/** An object read from a pack. */
export interface UnpackedObject {
  oid: Oid
  type: ObjectType
  content: Buffer
  /** A view of the pack's bytes: it keeps the whole pack in memory. */
  deflated: Buffer
  /** Where its entry begins in the pack, bytes. */
  offset: number
}

/** An entry of a pack, a delta perhaps, inflated and not yet named. */
export interface ScannedEntry extends EntryHeader {
  offset: number
  end: number
  inflated: Buffer
}

/** Bytes before the first entry of a pack, and of the SHA-1 after the last. */
export const packHeaderBytes = 12
export const trailerBytes = 20

/**
 * Deflates an object, ready for `encodePack`.
 * @param oid its name, where that is known already
 */
export function packObject(
  type: ObjectType,
  content: Buffer,
  oid = hashObject(type, content),
): PackedObject {
  return { oid, type, sizeBytes: content.length, deflated: deflateObject(content) }
}

/**
 * Writes a pack of version 2.
 * @param objects in the order in which they shall lie, none twice
 * @throws RangeError for an object that is there twice
 */
export function encodePack(objects: readonly PackedObject[]): Buffer {
  return framePack(objects.length, entriesOf(objects))
}

/** Does the same, the checksum of a large pack on another thread: it would keep this one for long. */
export async function encodePackAside(objects: readonly PackedObject[]): Promise<Buffer> {
  const pack = layOut(objects.length, entriesOf(objects))
  const checksum = await digest('sha1', pack.subarray(0, -trailerBytes))
  checksum.copy(pack, pack.length - trailerBytes)
  return pack
}

/** Puts entries between the header of a pack of version 2 and its trailer. @param count how many objects they are */
export function framePack(count: number, entries: readonly Buffer[]): Buffer {
  const pack = layOut(count, entries)
  sha1(pack.subarray(0, -trailerBytes)).copy(pack, pack.length - trailerBytes)
  return pack
}

function entriesOf(objects: readonly PackedObject[]): Buffer[] {
  if (new Set(objects.map((object) => object.oid)).size < objects.length) {
    throw new RangeError('an object stands twice in a pack')
  }
  return objects.flatMap((object) => [
    encodeEntryHeader(object.type, object.sizeBytes),
    object.deflated,
  ])
}

/** In one go: a copy of a large pack would take as much memory again. */
function layOut(count: number, entries: readonly Buffer[]): Buffer {
  const header = Buffer.from('PACK\0\0\0\x02\0\0\0\0', 'latin1')
  header.writeUInt32BE(count, 8)
  return Buffer.concat([header, ...entries, Buffer.alloc(trailerBytes)])
}

/**
 * Reads a pack of whole objects and names each of them by its content.
 * @returns the objects in the pack's order
 * @throws Error with a sentence where the bytes are no sound pack, or hold a delta
 */
export function parsePack(pack: Buffer): UnpackedObject[] {
  const objects: UnpackedObject[] = []
  for (const { type, inflated: content, offset, dataAt, end } of scanPack(pack)) {
    if (type === null) throw new Error('a pack holds a delta where whole objects are due')
    const deflated = pack.subarray(dataAt, end)
    objects.push({ oid: hashObject(type, content), type, content, deflated, offset })
  }
  return objects
}

/**
 * Walks over a pack, deltas and all, after its trailer was found right.
 * @throws Error with a sentence where the bytes are no sound pack
 */
export function* scanPack(pack: Buffer): Generator<ScannedEntry> {
  const count = verifyFrame(pack)
  const body = pack.subarray(0, pack.length - trailerBytes)
  let offset = packHeaderBytes
  for (let index = 0; index < count; index++) {
    const header = parseEntryHeader(body, offset)
    const { content, end } = inflateEntry(body, header.dataAt, header.sizeBytes)
    yield { ...header, offset, end, inflated: content }
    offset = end
  }
  if (offset !== body.length) throw new Error('a pack holds more than it says')
}

function verifyFrame(pack: Buffer): number {
  if (pack.length < packHeaderBytes + trailerBytes) throw new Error('a pack is cut off')
  if (pack.toString('latin1', 0, 4) !== 'PACK') throw new Error('this is no pack')
  if (pack.readUInt32BE(4) !== 2) throw new Error('a pack is not of version 2')
  const body = pack.subarray(0, pack.length - trailerBytes)
  if (!sha1(body).equals(pack.subarray(body.length))) {
    throw new Error('the checksum of a pack is wrong')
  }
  return pack.readUInt32BE(8)
}

/** What ends a pack, and an index: the SHA-1 of all before it. */
export function sha1(bytes: Buffer): Buffer {
  return hash('sha1', bytes, 'buffer')
}
