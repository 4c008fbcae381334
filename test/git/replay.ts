/** Recovery as the README tells it: a project's folder of the bucket, replayed by stock git with no line of ours. */
import { copyFileSync, existsSync, readdirSync, utimesSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { StockGit } from './stock-git.ts'

/**
 * Rebuilds a project's repository.
 * @param folder holds `log/` and perhaps `packs/`, as the bucket does
 * @param onEntry called after each entry that was fetched, with its sequence
 * @param gcEvery only the fetch of every so many entries finds something to do for `gc --auto`, which takes its time
 * @throws Error where git is not content
 */
export function replay(
  git: StockGit,
  folder: string,
  onEntry: (seq: number, path: string) => void = () => {},
  gcEvery = 1,
): void {
  git.run(['config', 'gc.pruneExpire', 'never'])
  git.run(['config', 'gc.autoDetach', 'false'])
  addPacks(git, join(folder, 'packs'))
  for (const path of list(join(folder, 'log'))) {
    const seq = Number(basename(path, '.bundle'))
    // A fetch runs `gc --auto`, which with 1 finds something to do; a tenth of its time goes into asking.
    const gc = seq % gcEvery === 0 ? 'gc.auto=1' : 'maintenance.auto=false'
    git.run(['-c', gc, 'fetch', '--quiet', '--prune', path, '+refs/*:refs/*'])
    onEntry(seq, path)
  }
}

/** Ends a replay: points HEAD at the default branch and has everything checked. */
export function finish(git: StockGit, defaultBranch: string): void {
  git.run(['symbolic-ref', 'HEAD', `refs/heads/${defaultBranch}`])
  git.run(['fsck', '--strict'])
}

/** The files of a folder, sorted, as paths. */
export function list(folder: string): string[] {
  return readdirSync(folder)
    .sort()
    .map((name) => join(folder, name))
}

/** Beside the repository's own packs, indexed, and so old that a careless gc would prune them. */
export function addPacks(git: StockGit, folder: string): void {
  const longAgo = Date.now() / 1000 - 40 * 86_400
  for (const path of existsSync(folder) ? list(folder) : []) {
    const place = join(git.dir, `objects/pack/pack-${basename(path)}`)
    copyFileSync(path, place)
    utimesSync(place, longAgo, longAgo)
    git.run(['index-pack', place])
  }
}
