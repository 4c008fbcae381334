/**
 * A foreign repository, opened for reading: a bare one, a clone (a volume of Keptn is one for each project), or a bundle. What it says
 * in files that steer git (settings, hooks, alternates, grafts, caches) is not taken over: its refs are copied into a repository of
 * ours, which borrows its objects.
 */
import { constants } from 'node:fs'
import { copyFile, lstat, mkdir, open, readdir, realpath, writeFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { fromByteString } from '../git/bytes.ts'
import { type Oid, parseOid } from '../git/objects.ts'
import { isRefName } from '../git/ref-name.ts'
import type { Git } from './git.ts'
import { Refusal } from './refusal.ts'

export type SourceKind = 'bare repository' | 'clone' | 'bundle'

export interface Source {
  kind: SourceKind
  /** A repository of ours that has its refs and reads its objects. */
  view: string
  /** Branches and tags, by full name. */
  refs: Map<string, Oid>
  /** Names of other refs. */
  otherRefs: string[]
  /** The branch that its HEAD names, or a remote's; null where that tells nothing. */
  head: string | null
  /** Of its packs, about. */
  bytes: number
}

export interface SourceOptions {
  git: Git
  /** A folder for what is made of it; absent yet. */
  view: string
  /** Take the branches from `refs/remotes/<remote>/`. */
  remote: string | undefined
}

const bundleSignature = /^# v[23] git bundle\n/
const mostRefBytes = 4_096

/** The name that a project has by the place of its source. */
export function nameOfSource(path: string): string {
  return basename(path).replace(/\.(?:git|bundle)$/, '')
}

/**
 * Opens what lies at a path.
 * @throws Refusal where it is no repository, or one that only works together with files elsewhere
 */
export async function openSource(path: string, options: SourceOptions): Promise<Source> {
  const { git, view } = options
  const place = await realpath(resolve(path)).catch(() => {
    throw new Refusal(`${path} is not there`)
  })
  await git.init(view)
  const found = await lstat(place)
  if (found.isFile()) return openBundle(place, found.size, options)
  const kind = (await kindOf(join(place, '.git'))) === null ? 'bare repository' : 'clone'
  const folder = kind === 'clone' ? join(place, '.git') : place
  await checkWhole(folder, path)
  await copyRefs(folder, view)
  await writeFile(join(view, 'objects/info/alternates'), `${join(folder, 'objects')}\n`)
  const listed = await listRefs(git, view)
  const { branches, head } = branchesOf(listed, options.remote)
  return {
    kind,
    view,
    ...sorted(listed.refs, branches, options.remote),
    head,
    bytes: await packBytes(folder),
  }
}

async function openBundle(
  path: string,
  bytes: number,
  { git, view, remote }: SourceOptions,
): Promise<Source> {
  if (remote !== undefined) throw new Refusal('a bundle has no remote branches')
  const file = await open(path)
  const { buffer } = await file.read({ buffer: Buffer.alloc(16) }).finally(() => file.close())
  if (!bundleSignature.test(buffer.toString('latin1'))) {
    throw new Refusal(`${path} is neither a repository nor a bundle`)
  }
  const { output } = await git.run(view, ['bundle', 'unbundle', path])
  const listed = new Map<string, Oid>()
  for (const line of lines(output, '\n')) {
    listed.set(fromByteString(line.slice(41)), oidOf(line.slice(0, 40)))
  }
  const head = listed.get('HEAD')
  listed.delete('HEAD')
  const isHead = [...listed].filter(([name, oid]) => isBranch(name) && oid === head)
  const heads = isHead.map(([name]) => name.slice(headsPrefix.length))
  const [only = null] = heads.length === 1 ? heads : heads.filter(isUsualDefault)
  for (const name of listed.keys()) checkName(name)
  return { kind: 'bundle', view, ...sorted(listed, branchesIn(listed)), head: only, bytes }
}

/** Refuses a repository whose objects are elsewhere, or are not all there. */
async function checkWhole(folder: string, path: string): Promise<void> {
  const [head, objects, refs] = await Promise.all(
    ['HEAD', 'objects', 'refs'].map((name) => kindOf(join(folder, name))),
  )
  const dotGit = await kindOf(folder)
  if (dotGit === 'file') {
    throw new Refusal(`${path} is a work tree of a repository elsewhere: import that repository`)
  }
  if (head === null || objects === null) {
    throw new Refusal(`${path} is neither a repository nor a bundle`)
  }
  const isOwn = dotGit === 'folder' && head === 'file' && objects === 'folder' && refs === 'folder'
  const links = ['objects/pack', 'objects/info', 'packed-refs']
  const kinds = await Promise.all(links.map((name) => kindOf(join(folder, name))))
  const packs = await readdir(join(folder, 'objects/pack'), { withFileTypes: true }).catch(() => [])
  if (!isOwn || kinds.includes('link') || packs.some((entry) => entry.isSymbolicLink())) {
    throw new Refusal(
      `${path} consists of links to files elsewhere: clone it first, and import the clone`,
    )
  }
  const elsewhere: [string, string][] = [
    ['objects/info/alternates', 'borrows objects from another repository'],
    ['commondir', 'is a work tree of a repository elsewhere'],
    ['shallow', 'is a shallow clone, its history is cut off'],
    ['reftable', 'keeps its refs in a form that only newer versions of git read'],
  ]
  for (const [name, what] of elsewhere) {
    if ((await kindOf(join(folder, name))) !== null) {
      throw new Refusal(`${path} ${what} (${name}): make a full clone of it, and import that`)
    }
  }
  if (packs.some(({ name }) => name.endsWith('.promisor'))) {
    throw new Refusal(`${path} is a partial clone, objects are missing: make a full clone of it`)
  }
}

async function packBytes(folder: string): Promise<number> {
  const place = join(folder, 'objects/pack')
  const names = await readdir(place).catch(() => [])
  const sizes = await Promise.all(names.map((name) => lstat(join(place, name))))
  return sizes.reduce((sum, { size }) => sum + size, 0)
}

async function kindOf(path: string): Promise<'file' | 'folder' | 'link' | 'other' | null> {
  const found = await lstat(path).catch(() => null)
  if (found === null) return null
  if (found.isSymbolicLink()) return 'link'
  if (found.isFile()) return 'file'
  return found.isDirectory() ? 'folder' : 'other'
}

/** Copies refs as they lie, loose and packed; what is no plain file is no ref. */
async function copyRefs(from: string, to: string): Promise<void> {
  await mkdir(join(to, 'objects/info'), { recursive: true })
  for (const name of ['HEAD', 'packed-refs']) {
    if ((await kindOf(join(from, name))) !== 'file') continue
    await copyFile(join(from, name), join(to, name), constants.COPYFILE_FICLONE)
  }
  const entries = await readdir(join(from, 'refs'), { withFileTypes: true, recursive: true })
  for (const entry of entries) {
    const path = join(entry.parentPath ?? entry.path, entry.name)
    const name = path.slice(from.length + 1)
    if (entry.isDirectory() || entry.name.endsWith('.lock')) continue
    const found = await lstat(path)
    if (!found.isFile() || found.size > mostRefBytes) throw new Refusal(`${name} is no ref`)
    await mkdir(join(to, name, '..'), { recursive: true })
    await copyFile(path, join(to, name))
  }
}

/** A remote's HEAD may name a branch that is gone there. */
const harmless = /^warning: ignoring dangling symref /

const headsPrefix = 'refs/heads/'
const isBranch = (name: string) => name.startsWith(headsPrefix)
const isTag = (name: string) => name.startsWith('refs/tags/')
const isUsualDefault = (branch: string) => branch === 'main' || branch === 'master'

interface Listed {
  refs: Map<string, Oid>
  /** What symbolic refs stand for, by full name. */
  links: Map<string, string>
}

/** Lists refs as git sees them. @throws Refusal for one that git cannot read, so that no stage is lost without a word */
async function listRefs(git: Git, view: string): Promise<Listed> {
  const format = '%(refname)%00%(objectname)%00%(symref)'
  const { output, said } = await git.run(view, ['for-each-ref', `--format=${format}`])
  const unread = said.split('\n').filter((line) => line !== '' && !harmless.test(line))
  if (unread.length > 0) throw new Refusal(`git cannot read every ref: ${unread.join('; ')}`)
  const refs = new Map<string, Oid>()
  const links = new Map<string, string>()
  for (const line of lines(output, '\n')) {
    const [name = '', oid = '', link = ''] = line.split('\0').map(fromByteString)
    checkName(name)
    refs.set(name, oidOf(oid))
    if (link !== '') links.set(name, link)
  }
  const head = await git.run(view, ['symbolic-ref', '--quiet', 'HEAD']).catch(() => null)
  if (head !== null) links.set('HEAD', fromByteString(head.output.toString('latin1').trim()))
  return { refs, links }
}

/** Which branches the project gets, by their short names, and which of them is the default one. */
function branchesOf(
  { refs, links }: Listed,
  remote: string | undefined,
): { branches: Map<string, Oid>; head: string | null } {
  if (remote !== undefined) {
    const prefix = `refs/remotes/${remote}/`
    const head = links.get(`${prefix}HEAD`)?.slice(prefix.length) ?? null
    const remotes = [...refs].filter(([name]) => name.startsWith(prefix) && !links.has(name))
    if (remotes.length === 0) throw new Refusal(`there are no branches of remote ${remote}`)
    return {
      branches: new Map(remotes.map(([name, oid]) => [name.slice(prefix.length), oid])),
      head,
    }
  }
  const branches = branchesIn(refs)
  for (const name of refs.keys()) {
    const [, from, branch = ''] = /^refs\/remotes\/([^/]+)\/(.+)$/.exec(name) ?? []
    if (from === undefined || branch === 'HEAD' || branches.has(branch)) continue
    throw new Refusal(
      `branch ${branch} is here only as remote ${from} has it: say --remote ${from} to take the branches as they were when that was last fetched`,
    )
  }
  const head = links.get('HEAD')
  return { branches, head: head && isBranch(head) ? head.slice(headsPrefix.length) : null }
}

function branchesIn(refs: ReadonlyMap<string, Oid>): Map<string, Oid> {
  const branches = [...refs].filter(([name]) => isBranch(name))
  return new Map(branches.map(([name, oid]) => [name.slice(headsPrefix.length), oid]))
}

/** Branches and tags as the project's refs; the rest by name, what a remote's branches were taken for not among it. */
function sorted(
  listed: ReadonlyMap<string, Oid>,
  branches: ReadonlyMap<string, Oid>,
  remote?: string,
): Pick<Source, 'refs' | 'otherRefs'> {
  const heads = Array.from(branches, ([name, oid]) => [headsPrefix + name, oid] as const)
  const tags = [...listed].filter(([name]) => isTag(name))
  const used = remote === undefined ? headsPrefix : `refs/remotes/${remote}/`
  const others = [...listed.keys()].filter((name) => !isTag(name) && !name.startsWith(used))
  return { refs: new Map([...heads, ...tags]), otherRefs: others }
}

function checkName(name: string): void {
  if (!isRefName(name)) throw new Refusal(`${JSON.stringify(name)} is no name of a ref`)
}

function oidOf(text: string): Oid {
  const oid = parseOid(text)
  if (oid !== null) return oid
  throw new Refusal(`${text} is no SHA-1: repositories of other hashes cannot be imported`)
}

/** Text of git's, bytes as they are, a record each. */
function lines(output: Buffer, end: string): string[] {
  return output
    .toString('latin1')
    .split(end)
    .filter((line) => line !== '')
}
