import { ServiceError } from '../../src/errors.ts'
import type { Oid } from '../../src/git/objects.ts'
import type { Draft, Outcome, View, WriteRequest } from '../../src/repository/repository.ts'

const author = { name: 'someone', email: 'someone@example.com' }

/** A request with everything that a test does not care about. */
export function request(
  evaluate: (draft: Draft) => Promise<Outcome>,
  changed: Partial<WriteRequest> = {},
): WriteRequest {
  return {
    kind: 'commit',
    evaluate,
    principal: '',
    author,
    sizeBytes: 100,
    timeoutMs: 25_000,
    ...changed,
  }
}

/** Creates the project, with an empty default branch. */
export function createProject(changed: Partial<WriteRequest> = {}): WriteRequest {
  const evaluate = async (draft: Draft): Promise<Outcome> => {
    if (draft.exists) throw new ServiceError('project_exists', 'Project already exists')
    draft.begin({ format: 1, defaultBranch: 'main' })
    draft.commit('main', { tree: draft.writeTree([]), message: 'created' })
    return { status: 204 }
  }
  return request(evaluate, { kind: 'create', ...changed })
}

export function deleteProject(changed: Partial<WriteRequest> = {}): WriteRequest {
  const evaluate = async (draft: Draft): Promise<Outcome> => {
    if (draft.exists) draft.deleteAll()
    return { status: 204 }
  }
  return request(evaluate, { kind: 'delete', ...changed })
}

/** Puts one file at the root of the default branch; nothing changes where it is the same. */
export function putFile(
  name: string,
  content: string | Buffer,
  changed: Partial<WriteRequest> = {},
): WriteRequest {
  const bytes = Buffer.from(content)
  const evaluate = async (draft: Draft): Promise<Outcome> => {
    const { tip, entries } = await rootOf(draft)
    const oid = draft.writeBlob(bytes)
    if (entries.get(name)?.oid === oid) return { status: 200, commit: tip }
    entries.set(name, { mode: '100644', oid })
    const tree = draft.writeTree(entries)
    return { status: 200, commit: draft.commit('main', { tree, message: `put ${name}` }) }
  }
  return request(evaluate, { sizeBytes: bytes.length, ...changed })
}

export function deleteFile(name: string, changed: Partial<WriteRequest> = {}): WriteRequest {
  const evaluate = async (draft: Draft): Promise<Outcome> => {
    const { entries } = await rootOf(draft)
    if (!entries.delete(name)) throw new ServiceError('resource_not_found', 'Resource not found')
    const tree = draft.writeTree(entries)
    return { status: 200, commit: draft.commit('main', { tree, message: `delete ${name}` }) }
  }
  return request(evaluate, changed)
}

/** Reads one file of the default branch as text; null where the project or the file is absent. */
export async function fileOf(view: View, name: string, at?: Oid): Promise<string | null> {
  if (!view.exists) return null
  const commit = await view.readCommit(at ?? (view.refs.get('refs/heads/main') as Oid))
  const entry = (await view.readTree(commit.tree)).get(name)
  return entry ? (await view.readBlob(entry.oid)).toString('utf8') : null
}

async function rootOf(view: View) {
  const tip = view.refs.get('refs/heads/main')
  if (!tip) throw new ServiceError('project_not_found', 'Project not found')
  const { tree } = await view.readCommit(tip)
  return { tip, entries: new Map(await view.readTree(tree)) }
}
