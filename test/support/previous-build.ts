/** N-1 of the gates: the build before this one, made from this repository's history, as a program of its own. */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { removeFolder } from './processes.ts'
import { repositoryRoot } from './programs.ts'
import { run, tryRun } from './run.ts'

/** The release before this tree's, the newest that knows no format 2. Nothing else names it. */
export const previous = {
  name: 'v0.1.7',
  commit: 'eb04f64aff37b392c50b194e5cd573ffc268df5d',
} as const

export interface PreviousBuild {
  /** Its tag. */
  name: string
  /** A checkout that is built, with its own packages. */
  folder: string
  /** What node runs. */
  program: string
}

/**
 * Builds N-1 where that was not done before, which takes half a minute and needs the registry of npm.
 * @param root of the repository, this one unless told
 * @throws where the history of the repository does not reach back to it
 */
export async function previousBuild(root = repositoryRoot): Promise<PreviousBuild> {
  const builds = join(root, '.servers', 'builds')
  const folder = join(builds, previous.commit)
  if (!existsSync(folder)) {
    mkdirSync(builds, { recursive: true })
    // Beside its final place, so that one rename makes it whole; who comes second at it throws its own away.
    const draft = mkdtempSync(join(builds, 'draft-'))
    try {
      await build(root, draft)
      renameSync(draft, folder)
    } catch (error) {
      if (!existsSync(folder)) throw error
    } finally {
      removeFolder(draft)
    }
  }
  return { name: previous.name, folder, program: join(folder, 'dist', 'src', 'main.js') }
}

async function build(root: string, folder: string): Promise<void> {
  const { name, commit } = previous
  const known = await tryRun(['git', 'cat-file', '-e', `${commit}^{commit}`], {
    cwd: root,
  })
  if (known.exit !== 0) {
    throw new Error(
      `N-1, ${name} (${commit}), is not in the history of this checkout; in a shallow clone: git fetch --unshallow`,
    )
  }
  const archive = join(folder, 'source.tar')
  await run(['git', 'archive', `--output=${archive}`, commit], { cwd: root })
  await run(['tar', '--extract', `--file=${archive}`], { cwd: folder })
  rmSync(archive)
  await run(['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: folder })
  await run(['npm', 'run', 'build'], { cwd: folder })
}
