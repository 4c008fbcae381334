/** Takes a Helm chart's archive apart. Whoever sent it may be hostile: limits hold while it unpacks, not afterwards. */
import { promisify } from 'node:util'
import { type Gunzip, gunzip } from 'node:zlib'
import { extract, type Header } from 'tar-stream'
import { isServiceError, ServiceError } from '../errors.ts'
import { type ChartPath, collect } from './chart.ts'
import { parseResourcePath } from './paths.ts'
import { emptyPlan, type FolderPlan, planFile } from './plan.ts'

export const maxUnpackedBytes = 64 * 1024 * 1024
export const maxChartFiles = 10_000
/** A tar adds a header and padding to each file, and a second header to a long name. */
const maxTarBytes = maxUnpackedBytes + maxChartFiles * 2048
/** Deflate cannot make more of one byte. */
const maxRatio = 1032

/** The most bytes that the archives of one request can unpack to, for whoever must find room first. */
export function unpackedBytesAtMost(archives: readonly Buffer[]): number {
  return Math.min(maxTarBytes, maxRatio * archives.reduce((sum, { length }) => sum + length, 0))
}

/**
 * Unpacks a chart: its one top folder becomes the chart's.
 * @param options.maxTarBytes what the archive, uncompressed, may take
 * @returns the files, and the bytes that they and their tar take
 * @throws invalid_request that says what is wrong with the archive
 */
export async function unpackChart(
  archive: Buffer,
  chart: ChartPath,
  options: { maxTarBytes: number },
): Promise<{ plan: FolderPlan; sizeBytes: number }> {
  try {
    const tar = await inflate(archive, options.maxTarBytes)
    return { plan: await planTar(tar, chart), sizeBytes: tar.length }
  } catch (error) {
    const { message } = error as Error
    const reason = isServiceError(error) ? message : `it is no tar archive (${message})`
    throw new ServiceError('invalid_request', `${chart.archive}: ${reason}`, { cause: error })
  }
}

async function inflate(archive: Buffer, maxOutputLength: number): Promise<Buffer> {
  // With `info` the answer also holds the engine, which the types do not say.
  const options = { maxOutputLength: Math.max(1, maxOutputLength), info: true }
  const answer = await promisify(gunzip)(archive, options).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge()
    throw refusal(`it is no gzip file (${error.message})`)
  })
  const { buffer, engine } = answer as unknown as { buffer: Buffer; engine: Gunzip }
  if (engine.bytesWritten !== archive.length)
    throw refusal('something follows the end of the gzip file')
  return buffer
}

async function planTar(tar: Buffer, chart: ChartPath): Promise<FolderPlan> {
  const plan = emptyPlan()
  const limits = { files: 0, bytes: 0 }
  let top: string | undefined
  const entries = extract()
  entries.end(tar)
  for await (const entry of entries) {
    const [first, ...rest] = splitName(entry.header)
    if (first === undefined) continue
    top ??= first
    if (first !== top) throw refusal(`it has two top entries, ${top} and ${first}`)
    if (!isFileEntry(entry.header)) {
      entry.resume()
      continue
    }
    if (rest.length === 0) throw refusal(`its top entry ${first} is no folder`)
    count(limits, entry.header)
    const path = rest.join('/')
    parseResourcePath(`${chart.folder}/${path}`)
    const content = await collect(entry)
    planFile(plan, path, { content, mode: (entry.header.mode ?? 0) & 0o100 ? '100755' : '100644' })
  }
  if (plan.entries.size === 0) throw refusal('it has no files')
  return plan
}

function count(limits: { files: number; bytes: number }, header: Header): void {
  limits.files += 1
  limits.bytes += header.size ?? 0
  if (limits.files > maxChartFiles) throw refusal(`it has more than ${maxChartFiles} files`)
  if (limits.bytes > maxUnpackedBytes) throw tooLarge()
}

function isFileEntry({ name, type }: Header): boolean {
  if (type === 'directory') return false
  // Old archives tell a folder by the slash alone.
  if (type === 'file' || type === 'contiguous-file') return !name.endsWith('/')
  const kind = type ?? 'thing that is unknown'
  throw refusal(`${name} is a ${kind}, only files and folders are taken`)
}

function splitName({ name }: Header): string[] {
  if (name.startsWith('/')) throw refusal(`${name} is an absolute path`)
  if (name.includes('\ufffd')) throw refusal(`${name} is not UTF-8`)
  const segments = name.split('/').filter((segment) => segment !== '' && segment !== '.')
  if (segments.length > 0) checkPath(name)
  return segments
}

function checkPath(name: string): void {
  try {
    parseResourcePath(name)
  } catch (error) {
    throw refusal(`${name} is no path for a file (${(error as Error).message})`)
  }
}

function tooLarge(): ServiceError {
  return refusal(`it unpacks to more than ${maxUnpackedBytes / 1024 / 1024} MiB`)
}

function refusal(reason: string): ServiceError {
  return new ServiceError('invalid_request', reason)
}
