/**
 * Projects, stages, services and their files: Keptn's nouns, laid out in Git (`docs/design.md`, section 9). In format 1 a stage is a
 * branch forked from the default branch, in format 2 a folder of it; a service is a folder of its stage in both.
 *
 * What comes in is checked (`names.ts`, `paths.ts`), so nothing below asks again. Refusals are `ServiceError`s of 4xx. All files
 * of one call change together, or none.
 */
import type { Identity, Oid } from '../git/objects.ts'
import type { Outcome, ProjectName, Proof } from '../repository/repository.ts'

declare const stageBrand: unique symbol
export type StageName = string & { readonly [stageBrand]: true }
declare const serviceBrand: unique symbol
export type ServiceName = string & { readonly [serviceBrand]: true }
declare const pathBrand: unique symbol
/** A file's path inside its scope: normal, no leading slash, every segment checked. */
export type ResourcePath = string & { readonly [pathBrand]: true }

/** The three levels at which files live; a service needs a stage. */
export interface Scope {
  project: ProjectName
  stage?: StageName
  service?: ServiceName
}

export interface ReadContext {
  signal?: AbortSignal
  timeoutMs: number
  maxStaleSeconds?: number
  /** As of this commit. */
  at?: Oid
}

export interface FileReadContext extends ReadContext {
  /** What a service lacks is looked for in its stage, what a stage lacks in its project. */
  inherits?: boolean
}

/** Where a file was found. */
export type Level = 'project' | 'stage' | 'service'

export interface WriteContext {
  timeoutMs: number
  principal: string
  author: Identity
  /** Whom the principal says it acts for (`X-Keptn-User`): a label at the end of the commit message. */
  onBehalfOf?: string
  /** The caller's commit message; else one that names the request is made. */
  message?: string
  idempotency?: { key: string; digest: string }
  /** Size of the request's body. */
  sizeBytes: number
}

/** Conditions on the one file that a write names. */
export interface Precondition {
  /** `If-Match`: ids of the file or chart tree, the part of the tag before the dot; `'*'` for any that exists. */
  match?: Oid[] | '*'
  /** `If-None-Match: *`: only where nothing is there. */
  absent?: boolean
}

export interface FileAnswer {
  content: Buffer
  /** Of the blob; of the tree for a re-made Helm archive. */
  oid: Oid
  /** Head of the branch that holds the scope, or the commit that was asked for: Keptn's `version`. */
  commit: Oid
  /** Where it was found; only for a read that may inherit. */
  level?: Level
  proof: Proof
}

/** All files of a scope in one `.tar.gz`, the same bytes for the same tree. */
export interface ArchiveAnswer {
  content: Buffer
  /** Of the scope's tree. */
  oid: Oid
  commit: Oid
  proof: Proof
}

/** A file that two commits hold differently; ids of blobs, null for none. */
export interface FileChange {
  /** With a leading slash, below the scope. */
  path: string
  kind: 'added' | 'deleted' | 'modified'
  before: Oid | null
  after: Oid | null
}

export interface Page<Item> {
  items: Item[]
  /** What to ask for next, `'0'` at the end. */
  nextPageKey: string
  /** Of all pages; null where it is not known. */
  totalCount: number | null
  proof: Proof
}

export interface PageRequest {
  /** 0 or more; default 20. */
  pageSize?: number
  pageKey?: string
}

export interface FileItem {
  /** With a leading slash, below the scope. */
  path: string
  commit: Oid
}

/** A project, stage or service in a list. */
export interface ScopeItem {
  name: string
  /** As its `metadata.yaml` says, milliseconds since the epoch. */
  createdAtMs?: number
}

export interface HistoryItem {
  commit: Oid
  author: Identity
  /** Milliseconds since the epoch. */
  dateMs: number
  message: string
}

export interface FileWrite {
  path: ResourcePath
  content: Buffer
}

/** Something in a scope. */
export interface Located {
  scope: Scope
  path: ResourcePath
}

/** One of the changes of a batch; each sees what those before it did. */
export type Change =
  | (Located & { kind: 'put'; content: Buffer })
  | (Located & { kind: 'delete' })
  /** Of a file, a chart or a folder, to where nothing is. */
  | (Located & { kind: 'move'; to: Located })

/** What a batch would change, path by path below the project or the stage. */
export type Preview = readonly (FileChange & { stage?: StageName })[]

export interface Batch {
  /** All of one project. */
  changes: readonly Change[]
  /** Heads that a stage, or the project where none is named, must have. */
  expected: readonly { scope: Scope; head: Oid }[]
}

export interface Resources {
  createProject(project: ProjectName, context: WriteContext): Promise<Outcome>
  /** Keptn's PUT /project: says only whether it exists, there is nothing to update. */
  updateProject(project: ProjectName, context: WriteContext): Promise<Outcome>
  /** Moves a project to format 2, where it is not: Keptn's `migrate: true`. */
  migrateProject(project: ProjectName, context: WriteContext): Promise<Outcome>
  deleteProject(project: ProjectName, context: WriteContext): Promise<Outcome>
  /** Brings a deleted project back as it was. */
  undeleteProject(project: ProjectName, context: WriteContext): Promise<Outcome>
  createStage(
    scope: Required<Pick<Scope, 'project' | 'stage'>>,
    context: WriteContext,
  ): Promise<Outcome>
  deleteStage(
    scope: Required<Pick<Scope, 'project' | 'stage'>>,
    context: WriteContext,
  ): Promise<Outcome>
  createService(scope: Required<Scope>, context: WriteContext): Promise<Outcome>
  deleteService(scope: Required<Scope>, context: WriteContext): Promise<Outcome>

  listProjects(page: PageRequest, context: ReadContext): Promise<Page<ScopeItem>>
  listStages(
    project: ProjectName,
    page: PageRequest,
    context: ReadContext,
  ): Promise<Page<ScopeItem>>
  listServices(
    scope: Required<Pick<Scope, 'project' | 'stage'>>,
    page: PageRequest,
    context: ReadContext,
  ): Promise<Page<ScopeItem>>

  listFiles(scope: Scope, page: PageRequest, context: ReadContext): Promise<Page<FileItem>>
  readFile(scope: Scope, path: ResourcePath, context: FileReadContext): Promise<FileAnswer>
  /** @throws invalid_request for more than 10,000 files or 32 MiB */
  readArchive(scope: Scope, context: ReadContext): Promise<ArchiveAnswer>
  /** What changed in a scope between a commit and the one that is read at; a scope that one of them lacks counts as empty there. */
  diff(scope: Scope, from: Oid, page: PageRequest, context: ReadContext): Promise<Page<FileChange>>
  /** Writes files of one scope in one commit; the last of two for one path wins. An empty list changes nothing. */
  writeFiles(
    scope: Scope,
    files: FileWrite[],
    /** HTTP status of success: 201 for POST, 200 for PUT; the log keeps it. */
    status: 200 | 201,
    context: WriteContext,
    precondition?: Precondition,
  ): Promise<Outcome>
  /** Deletes a file, a chart, or a folder with all it holds. */
  deleteFile(
    scope: Scope,
    path: ResourcePath,
    context: WriteContext,
    precondition?: Precondition,
  ): Promise<Outcome>
  /**
   * Does changes of several scopes together: one commit for the project and for each stage that is a branch. The outcome names
   * the commit that holds the first change.
   */
  changeFiles(project: ProjectName, batch: Batch, context: WriteContext): Promise<Outcome>
  /** Says what a batch would do, and does not do it; the outcome where it would be refused. */
  previewChanges(
    project: ProjectName,
    batch: Batch,
    context: WriteContext,
  ): Promise<Outcome | Preview>
  /** Makes a scope, or a file, a chart or a folder of it, what it was in a commit. */
  restore(
    scope: Scope,
    from: { commit: Oid; path?: ResourcePath },
    context: WriteContext,
  ): Promise<Outcome>
  /** Brings back the stage of that name that was deleted last, with its history. */
  undeleteStage(
    scope: Required<Pick<Scope, 'project' | 'stage'>>,
    context: WriteContext,
  ): Promise<Outcome>
  /** Commits that changed the scope, or one file or folder of it, newest first, along first parents. */
  history(
    scope: Scope,
    page: PageRequest & { path?: ResourcePath },
    context: ReadContext,
  ): Promise<Page<HistoryItem>>
}
