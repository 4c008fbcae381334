/**
 * Makes an archive of files. The same files give the same bytes, on every machine and from every build, for an ETag promises
 * that. So the gzip file stores its content without compressing it: what deflate makes of it depends on zlib's version and on the
 * processor.
 */
import { crc32 } from 'node:zlib'
import { pack } from 'tar-stream'
import { ServiceError } from '../errors.ts'
import type { View } from '../repository/repository.ts'
import { collect } from './chart.ts'
import { maxChartFiles } from './chart-unpack.ts'
import type { WalkedFile } from './walk.ts'

/** Deflate's name for a block that is only stored may hold so much. @see RFC 1951, 3.2.4 */
const maxBlockBytes = 65_535
/** Deflate, no flags, no time, no level, operating system unknown. @see RFC 1952 */
const gzipHeader = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])

/**
 * Packs files as `.tar.gz`, in the order in which they come.
 * @param options.top the folder that all of them are put into
 * @param options.what for the refusal
 * @param options.maxBytes of all files together
 * @throws invalid_request for more than that, or more than 10,000 files
 */
export async function packFiles(
  view: View,
  files: readonly WalkedFile[],
  { top, what, maxBytes }: { top: string; what: string; maxBytes: number },
): Promise<Buffer> {
  if (files.length > maxChartFiles) throw tooLarge(what)
  const tar = pack()
  let sizeBytes = 0
  for (const { path, entry } of files) {
    const content = await view.readBlob(entry.oid)
    sizeBytes += content.length
    if (sizeBytes > maxBytes) throw tooLarge(what)
    const mode = entry.mode === '100755' ? 0o755 : 0o644
    tar.entry({ name: `${top}/${path}`, mode, mtime: new Date(0), uid: 0, gid: 0 }, content)
  }
  tar.finalize()
  return storeGzip(await collect(tar))
}

function storeGzip(content: Buffer): Buffer {
  const parts: Buffer[] = [gzipHeader]
  for (let at = 0; at < content.length; at += maxBlockBytes) {
    const block = content.subarray(at, at + maxBlockBytes)
    const head = Buffer.alloc(5)
    head.writeUInt8(at + maxBlockBytes >= content.length ? 1 : 0, 0)
    head.writeUInt16LE(block.length, 1)
    head.writeUInt16LE(block.length ^ 0xffff, 3)
    parts.push(head, block)
  }
  const tail = Buffer.alloc(8)
  tail.writeUInt32LE(crc32(content), 0)
  tail.writeUInt32LE(content.length, 4)
  return Buffer.concat([...parts, tail])
}

function tooLarge(what: string): ServiceError {
  const sentence = `${what} is too large for an archive: read its files one by one`
  return new ServiceError('invalid_request', sentence)
}
