/** Rebuilds one project by stock git, in a thread of its own, since git is waited for there. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { addPacks, finish, list, replay } from '../git/replay.ts'
import { type StockGit, stockGit } from '../git/stock-git.ts'

export interface Rebuild {
  /** Holds `log/` and `packs/`. */
  folder: string
  /** More entries than these are not fetched one by one. */
  fetchesMost: number
}

/** Where the load has its files: as a branch of its own in format 1, and as folders of the default branch in format 2. */
const homes = [
  { ref: 'refs/heads/production', folder: 'carts/' },
  { ref: 'refs/heads/main', folder: '.keptn-stages/production/carts/' },
]
/** What an entry brings is small: git's housekeeping after each would be most of the work. */
const gcEvery = 250

/**
 * The README's loop takes 30 ms and more for an entry, most of it to start programs: a quarter of an hour for what a long run
 * writes. Here some entries and the last are fetched, which makes git check that nothing is missing, and of those between them
 * git unpacks the objects, all at once. The loop itself is held by test/long/rebuild.long.test.ts.
 */
function replayLarge(git: StockGit, folder: string): void {
  addPacks(git, join(folder, 'packs'))
  const paths = list(join(folder, 'log'))
  for (let from = 0; from < paths.length; from += gcEvery) {
    const some = paths.slice(from, from + gcEvery)
    const fetched = some.pop() ?? ''
    if (some.length > 0) git.run(['unpack-objects', '-q'], joinPacks(some.map(packOf)))
    const quiet = ['-c', 'maintenance.auto=false', 'fetch', '--quiet', '--prune']
    git.run([...quiet, fetched, '+refs/*:refs/*'])
    git.run(['repack', '-d', '-q'])
  }
}

/** An empty line ends the header of a bundle; its pack is behind it. */
function packOf(path: string): Buffer {
  const bundle = readFileSync(path)
  return bundle.subarray(bundle.indexOf('\n\n') + 2)
}

/** Packs of whole objects, as entries have them, as one. @see gitformat-pack(5) */
function joinPacks(packs: Buffer[]): Buffer {
  const header = Buffer.from('PACK\0\0\0\u0002\0\0\0\0', 'latin1')
  header.writeUInt32BE(
    packs.reduce((sum, pack) => sum + pack.readUInt32BE(8), 0),
    8,
  )
  const joined = Buffer.concat([header, ...packs.map((pack) => pack.subarray(12, -20))])
  return Buffer.concat([joined, createHash('sha1').update(joined).digest()])
}

/** The load's files, and the blob that each of them is. */
function blobsOf(git: StockGit): Map<string, string> {
  const blobs = new Map<string, string>()
  for (const { ref, folder } of homes) {
    if (git.text(['for-each-ref', ref]) === '') continue
    const entries = git.run(['ls-tree', '-r', '-z', ref]).toString('utf8').split('\0')
    for (const entry of entries.filter(Boolean)) {
      // `<mode> blob <id>TAB<path>`
      const [, , blob = ''] = entry.slice(0, entry.indexOf('\t')).split(' ')
      const path = entry.slice(entry.indexOf('\t') + 1)
      if (path.startsWith(folder)) blobs.set(path.slice(folder.length), blob)
    }
  }
  return blobs
}

const { folder, fetchesMost } = workerData as Rebuild
const git = stockGit()
try {
  const entries = list(join(folder, 'log')).length
  if (entries > fetchesMost) replayLarge(git, folder)
  else replay(git, folder, undefined, gcEvery)
  finish(git, 'main')
  parentPort?.postMessage({ entries, blobs: blobsOf(git) })
} finally {
  git.remove()
}
