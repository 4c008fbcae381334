/** One object inside a pack: its header, its deflated bytes. @see gitformat-pack */
import { promisify } from 'node:util'
import { deflate, deflateSync, inflateSync } from 'node:zlib'
import type { ObjectType, Oid } from './objects.ts'

/** What an entry of a pack says before its deflated bytes. */
export interface EntryHeader {
  /** Null for a delta: its type is that of its base. */
  type: ObjectType | null
  /** Size of the inflated bytes, an object's or a delta's. */
  sizeBytes: number
  /** Where a delta's base begins: so many bytes before this entry; null for others. */
  baseDistance: number | null
  /** A delta's base by name; null for others. */
  baseOid: Oid | null
  /** Where the deflated bytes begin, counted as `at` was. */
  dataAt: number
}

const typeNumbers: Record<ObjectType, number> = { commit: 1, tree: 2, blob: 3, tag: 4 }
const types: readonly (ObjectType | undefined)[] = [undefined, 'commit', 'tree', 'blob', 'tag']
const offsetDelta = 6
const refDelta = 7

/** Writes the header of a whole object. */
export function encodeEntryHeader(type: ObjectType, sizeBytes: number): Buffer {
  const bytes: number[] = []
  let byte = (typeNumbers[type] << 4) | (sizeBytes & 15)
  for (let rest = Math.floor(sizeBytes / 16); rest > 0; rest = Math.floor(rest / 128)) {
    bytes.push(byte | 128)
    byte = rest % 128
  }
  bytes.push(byte)
  return Buffer.from(bytes)
}

/**
 * Reads the header of an entry.
 * @param at where the entry begins in `bytes`
 * @throws Error where the bytes are no entry
 */
export function parseEntryHeader(bytes: Buffer, at: number): EntryHeader {
  const first = byteAt(bytes, at)
  const size = readSize(bytes, at, first)
  const number = (first >> 4) & 7
  const header = { sizeBytes: size.value, baseDistance: null, baseOid: null, dataAt: size.next }
  const type = types[number]
  if (type !== undefined) return { ...header, type }
  if (number === offsetDelta) {
    const base = readDistance(bytes, size.next)
    return { ...header, type: null, baseDistance: base.value, dataAt: base.next }
  }
  if (number !== refDelta) throw new Error('a pack holds an object of an unknown type')
  byteAt(bytes, size.next + 19)
  const baseOid = bytes.toString('hex', size.next, size.next + 20) as Oid
  return { ...header, type: null, baseOid, dataAt: size.next + 20 }
}

/**
 * Deflates an object. Most of Git's objects are small, and zlib's usual tables (256 KiB) cost them more than the work; a
 * window that holds all of one does the same to it.
 */
export function deflateObject(content: Buffer): Buffer {
  if (content.length > 8_192) return deflateSync(content)
  const chunkSize = content.length + 64
  return content.length > 2_048
    ? deflateSync(content, { windowBits: 13, memLevel: 6, chunkSize })
    : deflateSync(content, { windowBits: 11, memLevel: 4, chunkSize })
}

/** Does the same on another thread: for a large content, which would keep this one for long. */
export const deflateAside: (content: Buffer) => Promise<Buffer> = promisify(deflate)

/**
 * Inflates the bytes of an entry.
 * @param at where the deflated bytes begin; what follows them is not looked at
 * @param sizeBytes what the header says that comes out
 * @throws Error where the bytes are not deflated ones, or make another size
 */
export function inflateEntry(
  bytes: Buffer,
  at: number,
  sizeBytes: number,
): { content: Buffer; end: number } {
  const options = {
    info: true,
    // One byte more than is due, so that zlib need not ask for a second buffer to see the end.
    chunkSize: Math.min(Math.max(sizeBytes + 1, 64), 1 << 20),
    maxOutputLength: sizeBytes + 1,
  }
  const { buffer, engine } = inflateSync(bytes.subarray(at), options) as unknown as {
    buffer: Buffer
    engine: { bytesWritten: number }
  }
  if (buffer.length !== sizeBytes)
    throw new Error('an object in a pack has another size than it says')
  return { content: buffer, end: at + engine.bytesWritten }
}

function readSize(bytes: Buffer, at: number, first: number) {
  let value = first & 15
  let unit = 16
  let next = at + 1
  for (let byte = first; byte & 128; next++, unit *= 128) {
    byte = byteAt(bytes, next)
    value += (byte & 127) * unit
    if (value > 0xffff_ffff) throw new Error('a pack holds an object of 4 GiB or more')
  }
  return { value, next }
}

function readDistance(bytes: Buffer, at: number) {
  let byte = byteAt(bytes, at)
  let value = byte & 127
  let next = at + 1
  for (; byte & 128; next++) {
    byte = byteAt(bytes, next)
    value = (value + 1) * 128 + (byte & 127)
    if (value > Number.MAX_SAFE_INTEGER) throw new Error('a delta in a pack has no base')
  }
  return { value, next }
}

function byteAt(bytes: Buffer, at: number): number {
  const byte = bytes[at]
  if (byte === undefined) throw new Error('a pack is cut off')
  return byte
}
