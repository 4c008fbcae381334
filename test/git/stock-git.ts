/** Stock git as a referee: a bare repository in a temporary folder, and git run in it. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface StockGit {
  dir: string
  run(args: readonly string[], input?: Buffer | string): Buffer
  text(args: readonly string[], input?: Buffer | string): string
  remove(): void
}

/** Makes a bare repository that only its own settings govern. */
export function stockGit(): StockGit {
  const dir = mkdtempSync(join(tmpdir(), 'stock-git-'))
  const env = {
    PATH: process.env.PATH,
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_NAME: 'Author',
    GIT_AUTHOR_EMAIL: 'author@example.org',
    GIT_AUTHOR_DATE: '2026-11-21T12:00:00Z',
    GIT_COMMITTER_DATE: '2026-11-21T12:00:00Z',
    GIT_COMMITTER_NAME: 'Committer',
    GIT_COMMITTER_EMAIL: 'committer@example.org',
  }
  const run = (args: readonly string[], input?: Buffer | string) =>
    execFileSync('git', ['-C', dir, ...args], {
      env,
      input: input ?? '',
      stdio: ['pipe', 'pipe', 'pipe'],
      maxBuffer: 1 << 28,
    })
  run(['init', '--quiet', '--bare', '--initial-branch=main', '.'])
  return {
    dir,
    run,
    text: (args, input) => run(args, input).toString('utf8').trim(),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  }
}
