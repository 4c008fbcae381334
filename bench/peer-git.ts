/** A bare repository on this disk and one clone of it: what a service does that keeps a clone and pushes each write. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { stockGit } from '../test/git/stock-git.ts'
import { makeFolder, removeFolder } from '../test/support/processes.ts'
import { writerFile, yamlFile } from './files.ts'

export interface GitPeer {
  /** The folder of the clone. */
  clone: string
  /** Files that are in it, one a writer. */
  paths: readonly string[]
  /** Commits that the bare repository holds. */
  commits(): number
  remove(): void
}

/**
 * Makes both, with a first commit that holds a file for each writer.
 * @param options.isDurable the bare repository flushes everything to the disk before it says that it has it (`core.fsync=all`);
 *   the clone does not need to, as it could be cloned again
 */
export function makeGitPeer(writers: number, { isDurable }: { isDurable: boolean }): GitPeer {
  const bare = stockGit()
  const clone = makeFolder('clone')
  const inClone = (...words: string[]) => bare.run(['-C', clone, ...words])
  // Nothing collects garbage beside the writes.
  bare.run(['config', 'receive.autoGC', 'false'])
  if (isDurable) bare.run(['config', 'core.fsync', 'all'])
  bare.run(['-c', 'init.defaultBranch=main', 'clone', '--quiet', bare.dir, clone])
  const settings = { 'gc.auto': '0', 'maintenance.auto': 'false', 'push.default': 'current' }
  const author = { 'user.name': 'Author', 'user.email': 'author@example.org' }
  for (const [name, value] of Object.entries({ ...settings, ...author })) {
    inClone('config', name, value)
  }
  const paths = Array.from({ length: writers }, (_, at) => writerFile(at))
  for (const path of paths) {
    mkdirSync(dirname(join(clone, path)), { recursive: true })
    writeFileSync(join(clone, path), yamlFile('first'))
  }
  inClone('add', '.')
  inClone('commit', '--quiet', '--message=first')
  inClone('push', '--quiet')
  return {
    clone,
    paths,
    commits: () => Number(bare.text(['rev-list', '--count', 'main'])),
    remove() {
      bare.remove()
      removeFolder(clone)
    },
  }
}
