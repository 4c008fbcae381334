/** Repositories as Keptn's services leave them, made by stock git. */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { makeFolder } from '../support/processes.ts'

const env = {
  PATH: process.env.PATH,
  HOME: '/nonexistent',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'keptn',
  GIT_AUTHOR_EMAIL: 'keptn@keptn.sh',
  GIT_COMMITTER_NAME: 'keptn',
  GIT_COMMITTER_EMAIL: 'keptn@keptn.sh',
}

/** Runs git as an ordinary user would. @returns what it wrote, trimmed */
export function git(folder: string, words: readonly string[], input?: string | Buffer): string {
  const args = ['-C', folder, '-c', 'protocol.file.allow=always', ...words]
  const stdio = ['pipe', 'pipe', 'pipe'] as const
  const options = { env, input: input ?? '', stdio: [...stdio], maxBuffer: 1 << 28 }
  return execFileSync('git', args, options).toString().trim()
}

/** No two commits are the same, however fast they are made. */
let seconds = 1_646_128_800

/** Files of one commit, by path; null deletes. */
export type Files = Record<string, string | Buffer | null>

export function commitFiles(folder: string, files: Files, message: string): string {
  for (const [path, content] of Object.entries(files)) {
    const file = join(folder, path)
    if (content === null) rmSync(file)
    else {
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, content)
    }
  }
  git(folder, ['add', '--all', '--force'])
  seconds += 60
  const date = `--date=${seconds} +0000`
  git(folder, ['commit', '--quiet', '--allow-empty', date, '--message', message])
  return git(folder, ['rev-parse', 'HEAD'])
}

const service = (name: string) =>
  `servicename: ${name}\ncreationtimestamp: "2022-03-01T10:00:00Z"\n`

export function projectFiles(name: string, isDirectories: boolean): Files {
  return {
    'metadata.yaml': `projectName: ${name}\ncreationTimestamp: 2022-03-01 10:00:00.123456789 +0000 UTC\nisUsingDirectoryStructure: ${isDirectories}\n`,
    'shipyard.yaml': 'apiVersion: spec.keptn.sh/0.2.2\nkind: Shipyard\n',
  }
}

const templates = new Map<string, string>()

/** A copy of what is made only once: git takes its time. */
function copyOf(what: string, folder: string, make: (folder: string) => void): string {
  let template = templates.get(what)
  if (template === undefined) {
    template = makeFolder(what)
    make(template)
    templates.set(what, template)
  }
  cpSync(template, folder, { recursive: true })
  return folder
}

/**
 * A work tree as it lies on the volume of a Keptn pod, stages as branches: the services `carts` in `dev` and `prod`, a tag of each
 * kind, and HEAD at the stage that was written to last.
 */
export function branchProject(folder: string, name = 'sockshop'): string {
  return copyOf(`branches-${name}`, folder, (made) => makeBranches(made, name))
}

function makeBranches(folder: string, name: string): void {
  mkdirSync(folder, { recursive: true })
  git(folder, ['init', '--quiet', '--initial-branch=main'])
  commitFiles(folder, projectFiles(name, false), 'Added metadata.yaml')
  for (const stage of ['dev', 'prod']) git(folder, ['branch', stage])
  for (const stage of ['dev', 'prod']) {
    git(folder, ['checkout', '--quiet', stage])
    commitFiles(folder, { 'carts/metadata.yaml': service('carts') }, 'Added service: carts')
    commitFiles(folder, { 'carts/slo.yaml': `objectives: [${stage}]\n` }, 'Added resource')
    commitFiles(folder, { 'carts/slo.yaml': `objectives: [${stage}, 2]\n` }, 'Updated resource')
  }
  git(folder, ['tag', 'light', 'dev~1'])
  git(folder, ['tag', '--annotate', '--message', 'a release', 'v1', 'prod'])
}

/** The same project with stages as folders. */
export function directoryProject(folder: string, name = 'sockshop'): string {
  return copyOf(`folders-${name}`, folder, (made) => makeFolders(made, name))
}

function makeFolders(folder: string, name: string): void {
  mkdirSync(folder, { recursive: true })
  git(folder, ['init', '--quiet', '--initial-branch=master'])
  commitFiles(folder, projectFiles(name, true), 'Added metadata.yaml')
  for (const stage of ['dev', 'prod']) {
    const at = `.keptn-stages/${stage}`
    const metadata = `stagename: ${stage}\ncreationtimestamp: "2022-03-01T10:00:00Z"\n`
    commitFiles(folder, { [`${at}/metadata.yaml`]: metadata }, `Added stage: ${stage}`)
    commitFiles(folder, { [`${at}/carts/metadata.yaml`]: service('carts') }, 'Added service')
    commitFiles(folder, { [`${at}/carts/slo.yaml`]: `objectives: [${stage}]\n` }, 'Added')
    commitFiles(folder, { [`${at}/carts/slo.yaml`]: `objectives: [${stage}, 2]\n` }, 'Updated')
  }
  git(folder, ['tag', '--annotate', '--message', 'a release', 'v1'])
}

/** An upstream of it: a bare repository with its branches and tags. */
export function bareOf(folder: string, bare: string): string {
  git(dirname(folder), ['clone', '--quiet', '--bare', folder, bare])
  const head =
    git(folder, ['branch', '--list', 'main', '--format=%(refname)']) || 'refs/heads/master'
  git(bare, ['symbolic-ref', 'HEAD', head])
  return bare
}

/** Branches and tags with what they point at, a line each. */
export function refsOf(folder: string): string {
  const format = '%(objectname) %(refname)'
  return git(folder, ['for-each-ref', `--format=${format}`, 'refs/heads', 'refs/tags'])
}

/** Upstreams of two projects, one of each structure, and a volume with a third. */
export function makeKeptn(folder: string) {
  const work = join(folder, 'work')
  const upstream = join(folder, 'upstream')
  mkdirSync(upstream)
  const sockshop = branchProject(join(work, 'sockshop'))
  const podtato = directoryProject(join(work, 'podtato'), 'podtato')
  bareOf(sockshop, join(upstream, 'sockshop.git'))
  bareOf(podtato, join(upstream, 'podtato.git'))
  branchProject(join(folder, 'volume/sockeye'), 'sockeye')
  return { sockshop, podtato, upstream }
}
