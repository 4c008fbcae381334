/**
 * What clients do, done at a replica: by its repositories alone, where a project is one branch with files at its root, or through
 * its resources, where a project has stages and a format that migrations change.
 */

import type { Oid } from '../../src/git/objects.ts'
import type {
  Outcome,
  ProjectName,
  Proof,
  ReadOptions,
  Repositories,
  WriteRequest,
} from '../../src/repository/repository.ts'
import { parseStageName } from '../../src/resources/names.ts'
import { parseResourcePath } from '../../src/resources/paths.ts'
import type { Precondition, Resources, Scope, WriteContext } from '../../src/resources/resources.ts'
import { oidOf } from './bundles.ts'
import { answered, type BareChange, type Change, change, kindOf, read, readAt } from './changes.ts'
import { digestOf } from './clients.ts'
import type { Answer } from './linearizability.ts'
import type { Replica } from './replicas.ts'

/** One write as its client sends it. */
export interface Write {
  project: string
  /** Stands in the commit's message. */
  id: string
  action: Change
  keyed: boolean
  timeoutMs: number
  /** Told of each evaluation. */
  onEvaluate(): void
}

export interface ReadAnswer {
  value: Answer
  proof: Proof
}

export interface Acting {
  write(replica: Replica, write: Write): Promise<Outcome>
  read(
    replica: Replica,
    project: string,
    file: string,
    options: { timeoutMs: number; maxStaleSeconds?: number; at?: Oid },
  ): Promise<ReadAnswer>
}

const author = { name: 'Somebody', email: 'somebody@example.org' }
const principal = 'somebody'
const sizeBytes = 100

const idempotencyOf = ({ id, keyed }: Write) =>
  keyed ? { idempotency: { key: id, digest: digestOf(id) } } : {}

/** On repositories alone. */
export const bare: Acting = {
  write({ repositories }, write) {
    const action = write.action as BareChange
    return repositories.write(write.project as ProjectName, {
      kind: kindOf[action.kind],
      async evaluate(draft) {
        write.onEvaluate()
        return change(draft, action, write.id)
      },
      ...idempotencyOf(write),
      ...{ principal, author, sizeBytes, timeoutMs: write.timeoutMs },
    })
  },
  read({ repositories }, project, file, options) {
    const { at } = options
    const work: ReadOptions = at === undefined ? { ...options, mayBeStale: true } : options
    return answered(
      repositories.read(
        project as ProjectName,
        (view) => (at === undefined ? read(view, file) : readAt(view, at, file)),
        work,
      ),
    )
  },
}

/** Through resources: `stage/file` is a file of a stage. */
export const served: Acting = {
  write(replica, write) {
    const { project, action, id, timeoutMs } = write
    const resources = resourcesOf(replica, watched(replica.repositories, write.onEvaluate))
    const context = {
      ...{ principal, author, sizeBytes, timeoutMs, message: id },
      ...idempotencyOf(write),
    }
    return perform(resources, project as ProjectName, action, context)
  },
  async read(replica, project, file, options) {
    const { scope, path } = locate(project as ProjectName, file)
    const reading = resourcesOf(replica, replica.repositories).readFile(scope, path, options)
    return answered(reading.then(({ content, proof }) => ({ value: `= ${content}`, proof })))
  },
}

function resourcesOf(replica: Replica, repositories: Repositories): Resources {
  const resources = replica.resourcesOver?.(repositories)
  if (!resources) throw new Error(`${replica.actor.name} has no resources`)
  return resources
}

function watched(repositories: Repositories, onEvaluate: () => void): Repositories {
  return {
    ...repositories,
    write: (project, request) =>
      repositories.write(project, {
        ...request,
        evaluate(draft) {
          onEvaluate()
          return request.evaluate(draft)
        },
      } satisfies WriteRequest),
  }
}

function perform(
  resources: Resources,
  project: ProjectName,
  action: Change,
  context: WriteContext,
): Promise<Outcome> {
  if (action.kind === 'create') return resources.createProject(project, context)
  if (action.kind === 'delete') return resources.deleteProject(project, context)
  if (action.kind === 'undelete') return resources.undeleteProject(project, context)
  if (action.kind === 'stage' || action.kind === 'unstage') {
    const scope = { project, stage: parseStageName(action.stage) }
    const work = action.kind === 'stage' ? 'createStage' : 'deleteStage'
    return resources[work](scope, context)
  }
  const { scope, path } = locate(project, action.file)
  if (action.kind === 'remove') return resources.deleteFile(scope, path, context)
  const content = Buffer.from(action.value)
  const condition = preconditionOf(action.expected)
  return resources.writeFiles(scope, [{ path, content }], 200, context, condition)
}

function preconditionOf(expected: string | null | undefined): Precondition {
  if (expected === undefined) return {}
  if (expected === null) return { absent: true }
  return { match: [oidOf('blob', Buffer.from(expected)) as Oid] }
}

function locate(
  project: ProjectName,
  file: string,
): { scope: Scope; path: ReturnType<typeof parseResourcePath> } {
  const [name = '', stage] = file.split('/').reverse()
  const path = parseResourcePath(name)
  return stage === undefined
    ? { scope: { project }, path }
    : { scope: { project, stage: parseStageName(stage) }, path }
}
