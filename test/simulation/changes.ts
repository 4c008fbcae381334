/** The actions of `linearizability.ts`, done on a real project: one branch, files at its root. */
import { isRefusal, ServiceError } from '../../src/errors.ts'
import type { Oid, Tree } from '../../src/git/objects.ts'
import type { Draft, Outcome, Proof, View, WriteKind } from '../../src/repository/repository.ts'
import type { Action, Answer } from './linearizability.ts'

export const branch = 'main'
const ref = 'refs/heads/main'

export type Change = Exclude<Action, { kind: 'read' }>
/** Those of a project that has no stages. */
export type BareChange = Exclude<Change, { kind: 'stage' | 'unstage' }>

export const kindOf: Record<BareChange['kind'], WriteKind> = {
  create: 'create',
  delete: 'delete',
  undelete: 'create',
  put: 'commit',
  remove: 'commit',
}

/** @param message of the commit, by which the audit finds it again */
export async function change(draft: Draft, action: BareChange, message: string): Promise<Outcome> {
  if (action.kind === 'create') return create(draft, message)
  if (action.kind === 'delete') return drop(draft)
  if (action.kind === 'undelete') return revive(draft)
  const files = await filesOf(draft)
  const held = files.get(action.file)
  if (action.kind === 'put') return put(draft, { action, message, files, held: held?.oid })
  if (!held) throw new ServiceError('resource_not_found', `no file ${action.file}`)
  files.delete(action.file)
  return { status: 200, commit: commit(draft, files, message) }
}

function create(draft: Draft, message: string): Outcome {
  if (draft.exists) throw new ServiceError('project_exists', 'it exists')
  draft.begin({ format: 1, defaultBranch: 'main' })
  return { status: 201, commit: commit(draft, new Map(), message) }
}

function drop(draft: Draft): Outcome {
  if (!draft.exists) return { status: 204 }
  draft.deleteAll()
  return { status: 200 }
}

async function revive(draft: Draft): Promise<Outcome> {
  if (draft.exists) throw new ServiceError('project_exists', 'it exists')
  if (await draft.revive()) return { status: 200 }
  throw new ServiceError('project_not_found', 'there never was one')
}

async function put(
  draft: Draft,
  at: {
    action: Extract<Action, { kind: 'put' }>
    message: string
    files: Map<string, { mode: string; oid: Oid }>
    held: Oid | undefined
  },
): Promise<Outcome> {
  const { expected, file, value } = at.action
  if (expected !== undefined) {
    const held = at.held ? String(await draft.readBlob(at.held)) : null
    if (held !== expected) throw new ServiceError('precondition_failed', 'it changed')
  }
  const oid = draft.writeBlob(Buffer.from(value))
  const tip = draft.refs.get(ref)
  if (oid === at.held && tip) return { status: 200, commit: tip }
  at.files.set(file, { mode: '100644', oid })
  return { status: 200, commit: commit(draft, at.files, at.message) }
}

function commit(
  draft: Draft,
  files: Map<string, { mode: string; oid: Oid }>,
  message: string,
): Oid {
  return draft.commit(branch, { tree: draft.writeTree(files), message })
}

async function filesOf(
  view: View,
): Promise<Map<string, Tree extends ReadonlyMap<string, infer E> ? E : never>> {
  const tip = view.refs.get(ref)
  if (!view.exists || !tip) throw new ServiceError('project_not_found', 'no such project')
  return new Map(await view.readTree((await view.readCommit(tip)).tree))
}

/** Reads one file. @throws project_not_found, resource_not_found */
export async function read(view: View, file: string): Promise<Answer> {
  return contentOf(view, await filesOf(view), file)
}

/** Reads one file as of a commit. @throws commit_not_found, resource_not_found */
export async function readAt(view: View, commit: Oid, file: string): Promise<Answer> {
  if (!(await view.hasCommit(commit))) throw new ServiceError('commit_not_found', commit)
  return contentOf(view, await view.readTree((await view.readCommit(commit)).tree), file)
}

async function contentOf(view: View, files: Tree, file: string): Promise<Answer> {
  const held = files.get(file)
  if (!held) throw new ServiceError('resource_not_found', `no file ${file}`)
  return `= ${await view.readBlob(held.oid)}`
}

/** What a reader is told: a refusal is an answer, a failure is none. */
export async function answered(work: Promise<{ value: Answer; proof: Proof }>) {
  try {
    return await work
  } catch (error) {
    if (!isRefusal(error)) throw error
    return { value: error.code, proof: fresh }
  }
}

const fresh: Proof = { ageSeconds: 0, stale: false, immutable: false }

/** How a write's outcome reads in the history. */
export function answerOf(outcome: Outcome): Answer {
  return outcome.status < 300 ? 'done' : (outcome.code ?? `status ${outcome.status}`)
}
