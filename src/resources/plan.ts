/** What a request makes of a folder, told before the request is queued, so that evaluating it again costs little. */
import { ServiceError } from '../errors.ts'

export interface FolderPlan {
  kind: 'folder'
  /** Whether all that it held before goes. */
  replaces: boolean
  entries: Map<string, FolderPlan | FilePlan | Gone>
}

export interface FilePlan {
  kind: 'file'
  content: Buffer
  /** Default: the mode that it has already, or an ordinary file's. */
  mode?: '100644' | '100755'
}

/** A file, if there is one, that goes. */
interface Gone {
  kind: 'gone'
}

/** The contents of all files that are planned. */
export function* contentsOf(plan: FolderPlan): Generator<Buffer> {
  for (const planned of plan.entries.values()) {
    if (planned.kind === 'file') yield planned.content
    else if (planned.kind === 'folder') yield* contentsOf(planned)
  }
}

export function emptyPlan(replaces = false): FolderPlan {
  return { kind: 'folder', replaces, entries: new Map() }
}

/**
 * Plans one file; a later one for the same path wins.
 * @throws invalid_request where the plan needs a folder there, or a file on the way
 */
export function planFile(plan: FolderPlan, path: string, file: Omit<FilePlan, 'kind'>): void {
  const { parent, name } = descend(plan, path)
  const there = parent.entries.get(name)
  if (there?.kind === 'folder') throw clash(path, `${path}/${anyFile(there)}`)
  parent.entries.set(name, { kind: 'file', ...file })
}

/**
 * Plans a folder whose content replaces all that was there, planned or stored, and the file that stood for it.
 * @param options.path where the folder comes
 * @param options.archive the file's path, in the same folder
 * @throws invalid_request as `planFile`
 */
export function planReplacedFolder(
  plan: FolderPlan,
  content: FolderPlan,
  { path, archive }: { path: string; archive: string },
): void {
  const { parent, name } = descend(plan, path)
  if (parent.entries.get(name)?.kind === 'file') throw clash(archive, path)
  const archiveName = archive.slice(archive.lastIndexOf('/') + 1)
  const there = parent.entries.get(archiveName)
  if (there?.kind === 'folder') throw clash(archive, `${archive}/${anyFile(there)}`)
  parent.entries.set(archiveName, { kind: 'gone' })
  parent.entries.set(name, { ...content, replaces: true })
}

function descend(plan: FolderPlan, path: string): { parent: FolderPlan; name: string } {
  const segments = path.split('/')
  const name = segments.pop() as string
  let parent = plan
  for (const [index, segment] of segments.entries()) {
    const next = parent.entries.get(segment) ?? emptyPlan()
    if (next.kind !== 'folder') throw clash(segments.slice(0, index + 1).join('/'), path)
    parent.entries.set(segment, next)
    parent = next
  }
  return { parent, name }
}

/** The path of some file of a folder, to name it. */
function anyFile(plan: FolderPlan): string {
  for (const [name, entry] of plan.entries) {
    if (entry.kind === 'file') return name
    if (entry.kind === 'folder') return `${name}/${anyFile(entry)}`
  }
  return ''
}

function clash(one: string, other: string): ServiceError {
  const sentence = `${one} and ${other} cannot both be written: one is a folder of the other`
  return new ServiceError('invalid_request', sentence)
}
