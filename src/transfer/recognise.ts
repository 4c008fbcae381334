/** What a repository is to Keptn: its default branch, its structure, its stages; and what of it will not be served. */
import { refListMaxBytes, refListSizeBytes } from '../git/bundle.ts'
import { fromByteString } from '../git/bytes.ts'
import { type Oid, parseOid, submoduleMode, type TreeEntry } from '../git/objects.ts'
import { branchRef, stagesFolder } from '../resources/layout.ts'
import { maxMetadataBytes, metadataFile, readMetadata } from '../resources/metadata.ts'
import { isStageName } from '../resources/names.ts'
import { isFile, isFolder } from '../resources/tree.ts'
import type { Git } from './git.ts'
import { Refusal } from './refusal.ts'
import type { Source } from './source.ts'

export interface Recognised {
  /** 1: stages are branches; 2: they are folders of the default branch. */
  format: 1 | 2
  defaultBranch: string
  stages: string[]
  /** What a person should know of it, a sentence each. */
  notes: string[]
}

const noOid = '0'.repeat(40) as Oid
const usualDefaults = ['main', 'master']
const shipyardFile = 'shipyard.yaml'

/**
 * Recognises the layout by the tip of the default branch.
 * @param options.anyLayout take what is no project of Keptn as one whose stages are branches
 * @throws Refusal, GitError where an object cannot be read
 */
export async function recognise(
  git: Git,
  source: Source,
  options: { defaultBranch: string | undefined; anyLayout: boolean },
): Promise<Recognised> {
  checkRoom(source.refs)
  const notes: string[] = []
  const branches = [...source.refs.keys()].flatMap((ref) =>
    ref.startsWith(branchRef('')) ? [ref.slice(branchRef('').length)] : [],
  )
  const defaultBranch = findDefault(source, branches, options.defaultBranch)
  if (source.head !== null && source.head !== defaultBranch) {
    notes.push(`the default branch is ${defaultBranch}; HEAD was at ${source.head}`)
  }
  const tip = source.refs.get(branchRef(defaultBranch)) as Oid
  const root = await listTree(git, source.view, tip, [])
  const isDirectories = await saysDirectories(git, source.view, root.get(metadataFile))
  const there = root.get(stagesFolder)
  const signs = [root.get(metadataFile), root.get(shipyardFile)].filter((one) => one && isFile(one))
  if (signs.length === 0 && !(there && isFolder(there))) {
    const sentence = `branch ${defaultBranch} has neither ${metadataFile} nor ${shipyardFile} nor ${stagesFolder}/: this is no project of Keptn`
    if (!options.anyLayout) throw new Refusal(`${sentence} (--any-layout takes it all the same)`)
    notes.push(sentence)
  } else if (!root.has(metadataFile)) {
    notes.push(`branch ${defaultBranch} has no ${metadataFile}: its time of creation is not known`)
  }
  const stages = isDirectories
    ? await stagesInFolders(git, source, { defaultBranch, tip, there, notes })
    : await stagesInBranches(git, source, { defaultBranch, branches, there, notes })
  await countLinks(git, source, notes)
  tellOthers(source, notes)
  return { format: isDirectories ? 2 : 1, defaultBranch, stages, notes }
}

function checkRoom(refs: ReadonlyMap<string, Oid>): void {
  const meta = ['refs/meta/transaction', 'refs/meta/deleted'].map((name) => [name, noOid] as const)
  const sizeBytes = refListSizeBytes(new Map([...refs, ...meta]))
  if (sizeBytes <= refListMaxBytes) return
  const tags = [...refs.keys()].filter((name) => name.startsWith('refs/tags/')).length
  throw new Refusal(
    `${refs.size} refs (${tags} of them tags) take ${sizeBytes} bytes in a list that has room for ${refListMaxBytes}: delete some in a copy, or say --no-tags`,
  )
}

/**
 * HEAD of a clone is at whatever stage Keptn wrote to last, and so may that of a bundle be, so there it counts only at a usual
 * default branch.
 */
function findDefault(
  { kind, head }: Source,
  branches: readonly string[],
  wanted: string | undefined,
): string {
  if (branches.length === 0) throw new Refusal('it has no branches')
  if (wanted !== undefined) {
    if (branches.includes(wanted)) return wanted
    throw new Refusal(`it has no branch ${wanted}`)
  }
  const usual = usualDefaults.filter((name) => branches.includes(name))
  const isSure = head !== null && branches.includes(head)
  if (isSure && (kind === 'bare repository' || usual.includes(head) || branches.length === 1))
    return head
  const [only, another] = usual
  if (only !== undefined && another === undefined) return only
  throw new Refusal(
    `which branch is the project's own (not a stage's) cannot be told: say --default-branch <one of ${branches.slice(0, 10).join(', ')}>`,
  )
}

async function saysDirectories(git: Git, view: string, entry: TreeEntry | undefined) {
  if (entry === undefined || !isFile(entry)) return false
  const { output: size } = await git.run(view, ['cat-file', '-s', entry.oid])
  if (Number(size.toString()) > maxMetadataBytes) return false
  const { output } = await git.run(view, ['cat-file', 'blob', entry.oid])
  return readMetadata(output).isUsingDirectoryStructure
}

async function stagesInFolders(
  git: Git,
  { view, refs }: Source,
  place: { defaultBranch: string; tip: Oid; there: TreeEntry | undefined; notes: string[] },
): Promise<string[]> {
  const { defaultBranch, tip, there, notes } = place
  const folders =
    there && isFolder(there)
      ? [...(await listTree(git, view, tip, [`${stagesFolder}/`]))]
          .filter(([, entry]) => isFolder(entry))
          .map(([name]) => name.slice(stagesFolder.length + 1))
      : []
  const isStage = (name: string) => isStageName(name) && name !== defaultBranch
  tellNames(
    notes,
    `folders of ${stagesFolder}/ that are no stages`,
    folders.filter((name) => !isStage(name)),
  )
  const others = [...refs.keys()].filter(
    (ref) => ref.startsWith(branchRef('')) && ref !== branchRef(defaultBranch),
  )
  tellNames(
    notes,
    'branches that are kept and are no stages, as stages are folders',
    others.map((ref) => ref.slice(branchRef('').length)),
  )
  return folders.filter(isStage).sort()
}

async function stagesInBranches(
  git: Git,
  { view, refs }: Source,
  place: {
    defaultBranch: string
    branches: string[]
    there: TreeEntry | undefined
    notes: string[]
  },
): Promise<string[]> {
  const { defaultBranch, branches, there, notes } = place
  if (there && isFolder(there)) {
    notes.push(
      `${stagesFolder}/ is there, but ${metadataFile} does not say isUsingDirectoryStructure: stages are branches`,
    )
  }
  const others = branches.filter((name) => name !== defaultBranch)
  const stages = others.filter(isStageName)
  tellNames(
    notes,
    'branches that are kept and can be no stages',
    others.filter((name) => !isStageName(name)),
  )
  const input = stages.map((name) => `${refs.get(branchRef(name))}:${metadataFile}\n`).join('')
  const { output } = await git.run(view, ['cat-file', '--batch-check'], { input })
  const found = output.toString('latin1').split('\n')
  tellNames(
    notes,
    `stages without ${metadataFile}`,
    stages.filter((_, at) => !/^[0-9a-f]{40} blob /.test(found[at] ?? '')),
  )
  return stages.sort()
}

/** Symbolic links and submodules stay in the history, and the API answers 404 for them. */
async function countLinks(git: Git, { view, refs }: Source, notes: string[]): Promise<void> {
  let count = 0
  const tips = [...refs].filter(([ref]) => ref.startsWith(branchRef(''))).map(([, oid]) => oid)
  for (const tip of new Set(tips)) {
    const tree = await listTree(git, view, tip, ['-r'])
    for (const { mode } of tree.values()) if (mode === '120000' || mode === submoduleMode) count++
  }
  if (count > 0) notes.push(`${count} symbolic links and submodules are kept, and not served`)
}

function tellOthers({ otherRefs, kind }: Source, notes: string[]): void {
  const folders = new Map<string, number>()
  for (const name of otherRefs) {
    const [folder = ''] = /^refs\/[^/]+/.exec(name) ?? []
    folders.set(folder, (folders.get(folder) ?? 0) + 1)
  }
  for (const [folder, count] of folders) notes.push(`left out: ${count} refs under ${folder}/`)
  if (kind === 'clone')
    notes.push('only what is committed was taken, not the files of the work tree')
}

const namesTold = 20

function tellNames(notes: string[], what: string, names: readonly string[]): void {
  if (names.length === 0) return
  const more = names.length > namesTold ? ` and ${names.length - namesTold} more` : ''
  notes.push(`${what}: ${names.slice(0, namesTold).join(', ')}${more}`)
}

/** @param words more of `git ls-tree`: a path, or `-r` */
async function listTree(git: Git, view: string, tip: Oid, words: string[]) {
  const [flag = ''] = words.filter((word) => word.startsWith('-'))
  const paths = words.filter((word) => word !== flag)
  const args = ['ls-tree', '-z', ...(flag === '' ? [] : [flag]), tip, ...paths]
  const { output } = await git.run(view, args)
  const tree = new Map<string, TreeEntry>()
  for (const row of output.toString('latin1').split('\0')) {
    const tab = row.indexOf('\t')
    const [mode = '', , oid = ''] = row.slice(0, tab).split(' ')
    const known = parseOid(oid)
    if (known !== null) tree.set(fromByteString(row.slice(tab + 1)), { mode, oid: known })
  }
  return tree
}
