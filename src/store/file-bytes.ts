import * as fs from 'node:fs'
import { promisify } from 'node:util'
import { type Call, checkNotEnded } from './calls.ts'
import { etagOf } from './file-layout.ts'
import { type ByteRange, type StoredObject, StoreError } from './store.ts'

// Not node:fs/promises: its file handles make a read of an absent key half as slow again.
const open = promisify(fs.open)
const fstat = promisify(fs.fstat)

/** The largest piece that is read or written at once: a call that has ended stops soon. */
const pieceBytes = 8 * 1024 * 1024

/** Writes a body into an open, empty file. */
export async function writeAll(fd: number, body: Buffer, call: Call): Promise<void> {
  for (let at = 0; at < body.length; ) {
    checkNotEnded(call)
    at += await writePiece(fd, body, at)
  }
}

function writePiece(fd: number, body: Buffer, at: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const length = Math.min(body.length - at, pieceBytes)
    fs.write(fd, body, at, length, at, (error, written) =>
      error === null ? resolve(written) : reject(error),
    )
  })
}

/**
 * Reads a file, or a range of it, with what was true of it while it was open.
 * @returns `null` where the path is no file
 */
export async function readFile(
  path: string,
  { range, ifNoneMatch }: { range?: ByteRange; ifNoneMatch?: string },
  call: Call,
): Promise<StoredObject | 'not-modified' | null> {
  const fd = await open(path, 'r')
  try {
    const stats = await fstat(fd)
    if (!stats.isFile()) return null
    const etag = etagOf(stats)
    if (etag === ifNoneMatch) return 'not-modified'
    const body = await readBytes(fd, range ?? { start: 0, end: stats.size - 1 }, stats.size, call)
    return { body, etag, lastModifiedMs: Math.floor(stats.mtimeMs), dateMs: Date.now() }
  } finally {
    fs.close(fd, () => {})
  }
}

async function readBytes(fd: number, { start, end }: ByteRange, sizeBytes: number, call: Call) {
  if (start > 0 && start >= sizeBytes) throw invalidRange(start, sizeBytes)
  const body = Buffer.allocUnsafe(Math.max(Math.min(end + 1, sizeBytes) - start, 0))
  for (let at = 0; at < body.length; ) {
    checkNotEnded(call)
    const read = await readPiece(fd, body, at, start + at)
    if (read === 0) throw new Error('the file became shorter while it was read')
    at += read
  }
  return body
}

function readPiece(fd: number, body: Buffer, at: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const length = Math.min(body.length - at, pieceBytes)
    fs.read(fd, body, at, length, position, (error, read) =>
      error === null ? resolve(read) : reject(error),
    )
  })
}

function invalidRange(start: number, sizeBytes: number): StoreError {
  return new StoreError(`byte ${start} of an object of ${sizeBytes} bytes`, {
    definite: true,
    reason: 'InvalidRange',
  })
}
