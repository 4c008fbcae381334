/**
 * A history as packs that readers take in pieces: each complete in itself and no larger than what they fetch whole, its deltas short.
 * What comes out is checked, not what goes in: these bytes are all that is uploaded.
 */

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { toByteString } from '../git/bytes.ts'
import { type Oid, parseOid } from '../git/objects.ts'
import type { Git } from './git.ts'
import { Refusal } from './refusal.ts'

/** Larger files no replica could serve, and hardly hold. */
const objectMaxBytes = 64 * 2 ** 20
/** Packs up to this size are fetched whole by readers. */
const packMaxMiB = 16
/** An entry names about a hundred packs; of larger histories the packs are larger. */
const packsAim = 64
const mostPacks = 100

export interface PackFile {
  /** Path of the pack; its index lies beside it. */
  path: string
  index: string
  bytes: number
  sha256: string
  indexSha256: string
}

export type OnProgress = (what: string, done: number, total: number) => void

export interface RepackOptions {
  git: Git
  /** Reads all objects. */
  from: string
  /** An empty repository, which gets the packs. */
  to: string
  refs: ReadonlyMap<string, Oid>
  /** What the objects take in `from`, about. */
  bytes: number
  onProgress: OnProgress
}

/** Packs everything that refs reach into an empty repository, and gives it these refs. */
export async function repack({ refs, ...options }: RepackOptions): Promise<void> {
  const { to } = options
  await packObjects({ ...options, revisions: [...refs.values()] })
  const rows = Array.from(refs, ([name, oid]) => `${oid} ${toByteString(name)}\n`)
  await writeFile(join(to, 'packed-refs'), Buffer.from(rows.join(''), 'latin1'))
}

/**
 * Checks a repository that holds nothing but what is to be imported.
 * @throws Refusal with what git says of it
 */
export async function check(git: Git, folder: string, onProgress: OnProgress): Promise<void> {
  const words = ['fsck', '--strict', '--full', '--no-dangling', '--progress']
  await git
    .run(folder, words, { onProgress: (done, total) => onProgress('check', done, total) })
    .catch((error) => {
      throw error.exitCode === null
        ? error
        : new Refusal(`git fsck finds fault with it: ${error.said}`)
    })
  await checkSizes(git, folder)
}

async function checkSizes(git: Git, folder: string): Promise<void> {
  let rest = ''
  const large: string[] = []
  const words = ['cat-file', '--batch-all-objects', '--unordered']
  await git.run(folder, [...words, '--batch-check=%(objectsize) %(objecttype) %(objectname)'], {
    onOutput(chunk) {
      const rows = (rest + chunk.toString('latin1')).split('\n')
      rest = rows.pop() ?? ''
      for (const row of rows) if (Number.parseInt(row, 10) > objectMaxBytes) large.push(row)
    },
  })
  if (large.length === 0) return
  throw new Refusal(
    `objects of more than ${objectMaxBytes} bytes cannot be served (git log --all --find-object=<id> tells where they are): ${large.slice(0, 10).join('; ')}`,
  )
}

/** Packs what is new since some commits. @returns parents of new commits that are not among them */
export async function repackNew(
  options: Omit<RepackOptions, 'refs'> & { tips: readonly Oid[]; since: readonly Oid[] },
): Promise<Oid[]> {
  const { git, from, tips, since } = options
  const revisions = [...tips, ...since.map((oid) => `^${oid}`)]
  await packObjects({ ...options, revisions })
  const words = ['rev-list', '--boundary', '--stdin']
  const { output } = await git.run(from, words, { input: `${revisions.join('\n')}\n` })
  return output
    .toString('latin1')
    .split('\n')
    .flatMap((line) => (line.startsWith('-') ? [parseOid(line.slice(1)) as Oid] : []))
}

async function packObjects(
  options: Omit<RepackOptions, 'refs'> & { revisions: readonly string[] },
): Promise<void> {
  const { git, from, to, revisions, bytes, onProgress } = options
  const limits = ['--depth=16', '--window=10', '--window-memory=32m', '--threads=1']
  const words = ['pack-objects', '--revs', '--progress', '--delta-base-offset', ...limits]
  const size = `--max-pack-size=${Math.max(packMaxMiB, Math.ceil(bytes / packsAim / 2 ** 20))}m`
  await git.run(from, [...words, size, join(to, 'objects/pack/pack')], {
    input: `${revisions.join('\n')}\n`,
    onProgress: (done, total) => onProgress('pack', done, total),
  })
}

/** The packs of a repository, hashed. @throws Refusal for more than an entry can name */
export async function listPacks(folder: string): Promise<PackFile[]> {
  const place = join(folder, 'objects/pack')
  const names = (await readdir(place)).filter((name) => name.endsWith('.pack')).sort()
  if (names.length > mostPacks) {
    throw new Refusal(`it takes ${names.length} packs, and an entry has room for ${mostPacks}`)
  }
  const packs: PackFile[] = []
  for (const name of names) {
    const path = join(place, name)
    const index = path.replace(/\.pack$/, '.idx')
    const { size } = await stat(path)
    packs.push({
      path,
      index,
      bytes: size,
      sha256: await sha256Of(path),
      indexSha256: await sha256Of(index),
    })
  }
  return packs
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path)) hash.update(piece)
  return hash.digest('hex')
}
