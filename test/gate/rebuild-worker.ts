/** Rebuilds one project by stock git, in a thread of its own, since git is waited for there. */
import { parentPort, workerData } from 'node:worker_threads'
import { finish, replay } from '../git/replay.ts'
import { type StockGit, stockGit } from '../git/stock-git.ts'

/** Where the load has its files: as a branch of its own in format 1, and as folders of the default branch in format 2. */
const homes = [
  { ref: 'refs/heads/production', folder: 'carts/' },
  { ref: 'refs/heads/main', folder: '.keptn-stages/production/carts/' },
]
/** What an entry brings is small: git's housekeeping after each would be most of the work. */
const gcEvery = 1_000

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

const git = stockGit()
try {
  let entries = 0
  replay(git, workerData as string, () => entries++, gcEvery)
  finish(git, 'main')
  parentPort?.postMessage({ entries, blobs: blobsOf(git) })
} finally {
  git.remove()
}
