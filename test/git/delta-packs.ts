/** Packs with deltas, made by stock git. */
import type { StockGit } from './stock-git.ts'

/** A pack with long chains of deltas, their bases told by distance. */
export function deltaPack(git: StockGit, versions = 40): Buffer {
  return packAll(git, ['--delta-base-offset'], versions)
}

/** The same, the bases told by name. */
export function refDeltaPack(git: StockGit): Buffer {
  return packAll(git, [], 40)
}

function packAll(git: StockGit, options: readonly string[], versions: number): Buffer {
  const names = writeVersions(git, versions)
  const args = ['pack-objects', '--stdout', '--quiet', '--no-reuse-delta', '--depth=40', ...options]
  return git.run([...args, '--window=50', '--threads=1'], names)
}

/** Writes versions of one long file, each with its tree and commit. @returns the names of all objects */
function writeVersions(git: StockGit, count: number): string {
  const lines = Array.from({ length: 400 }, (_, line) => `line ${line}: ${line * line}\n`)
  const names: string[] = []
  for (let version = 0, parent = ''; version < count; version++) {
    lines[(version * 37) % 400] = `changed in version ${version}\n`
    const blob = git.text(['hash-object', '-w', '--stdin'], lines.join(''))
    const rows = Array.from({ length: 30 }, (_, row) => `100644 blob ${blob}\tfile-${row}\n`)
    const tree = git.text(['mktree'], rows.join(''))
    const above = parent === '' ? [] : ['-p', parent]
    parent = git.text(['commit-tree', tree, ...above, '-m', `version ${version}`])
    names.push(`${blob} file`, tree, parent)
  }
  return `${names.join('\n')}\n`
}
