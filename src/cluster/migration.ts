import type { Draft } from '../repository/repository.ts'

/**
 * The step between two neighbouring formats of a project's tree (design: `docs/design.md`, section 6). Each function depends on
 * its draft alone, and is evaluated again whenever another writer was first.
 */
export interface Migration {
  /** The format that `up` leads to; `down` leads to the one before it. */
  readonly format: number
  /** As its file: 0002-directory-structure. */
  readonly name: string
  /** What an entry in this format says of who may read and write the project. */
  readonly minReader: number
  readonly minWriter: number
  /** Why there is no way back, for people; null where there is one. */
  readonly irreversible: string | null
  /** Adds what old builds do not notice; run twice it changes nothing the second time. */
  expand(draft: Draft): Promise<void>
  /** Rewrites the project in one evaluation, `draft.setFormat` included. */
  up(draft: Draft): Promise<void>
  down(draft: Draft): Promise<void>
}
