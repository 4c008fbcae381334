/** Finds the servers that tests need: in `.servers/bin` of the repository first, then in the PATH. */
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's root, whether this runs from `test/` or from `dist/test/`. */
export const repositoryRoot = findRoot()

/** Where `npm run servers` puts what no package of the system has. */
export const serversFolder = join(repositoryRoot, '.servers', 'bin')

/** Debian puts servers into sbin, which an ordinary user's PATH lacks. */
const systemFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/** The path of a program, or null where it is not installed. */
export function findProgram(name: string): string | null {
  const folders = [serversFolder, ...(process.env.PATH ?? '').split(delimiter), ...systemFolders]
  return folders.map((folder) => join(folder, name)).find(isExecutable) ?? null
}

/** The path of a program that must be there. @throws where it is not installed */
export function needProgram(name: string): string {
  const path = findProgram(name)
  if (path === null) throw new Error(`${name} is not installed (npm run servers)`)
  return path
}

/**
 * Tells whether a suite can run. Where a program is absent it says loudly, once, that the suite is skipped, which
 * `test/run.ts` counts; with CI=true an absent program is an error instead, since green must mean that everything ran.
 * @param suite the name that the skip line shows
 * @throws with CI=true, naming what is absent
 */
export function requireServers(suite: string, ...programs: string[]): boolean {
  const absent = programs.filter((name) => findProgram(name) === null)
  if (absent.length === 0) return true
  const verb = absent.length === 1 ? 'is' : 'are'
  const line = `SKIPPED ${suite}: ${absent.join(', ')} ${verb} not installed (npm run servers)`
  if (process.env.CI === 'true') throw new Error(line)
  console.log(line)
  return false
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

function findRoot(): string {
  const here = fileURLToPath(new URL('.', import.meta.url))
  return join(here, here.includes('/dist/test/') ? '../../..' : '../..')
}
