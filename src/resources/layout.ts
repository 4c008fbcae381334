/** Where projects and stages live in a repository. Each format has its layout; what they have in common stands in `place.ts`. */
import { ServiceError } from '../errors.ts'
import type { Oid } from '../git/objects.ts'
import type { Draft, View } from '../repository/repository.ts'
import type { Level, Scope, StageName } from './resources.ts'

export interface Layout {
  /** Whether a tree of this layout says so in its root's `metadata.yaml`. */
  readonly isUsingDirectoryStructure: boolean
  /** The branch that holds a scope. */
  branchOf(view: View, scope: Scope): string
  /**
   * The tip of that branch. A stage that is a folder is not looked for: that takes a tree.
   * @throws project_not_found, stage_not_found
   */
  findTip(view: View, scope: Scope): Oid
  /** The way from the root of a tree to something in a scope. */
  pathOf(scope: Scope, segments: readonly string[]): string[]
  /** The stages there are, in the order of their names. */
  listStages(view: View): Promise<StageName[]>
  /** Makes a stage that is not there. @returns the commit that holds it */
  createStage(draft: Draft, stage: StageName, message: string): Promise<Oid>
  /** Removes a stage, which stays reachable. @throws stage_not_found */
  deleteStage(draft: Draft, stage: StageName, message: string): Promise<Oid | null>
}

/** Folders at the root of a branch that are the service's own. */
export const ownFolder = '.configuration-service'
export const stagesFolder = '.keptn-stages'

/** The chain of what was deleted. @see docs/entry-format.md, "Deletion commit" */
export const deletedRef = 'refs/meta/deleted'

export const branchRef = (branch: string) => `refs/heads/${branch}`

/** The refusal for what is not there. */
export function notFound(what: Level | 'resource'): ServiceError {
  const noun = `${what.charAt(0).toUpperCase()}${what.slice(1)}`
  return new ServiceError(`${what}_not_found`, `${noun} not found`)
}

export function levelOf({ stage, service }: Scope): Level {
  return service !== undefined ? 'service' : stage !== undefined ? 'stage' : 'project'
}

/** The tip of the default branch. @throws project_not_found */
export function projectTip(view: View): Oid {
  const tip = view.refs.get(branchRef(view.defaultBranch))
  if (tip === undefined) throw notFound('project')
  return tip
}
