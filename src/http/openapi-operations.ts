/** What each operation does, for people; the routes, and who may use them, come from the route table. */
import { z } from 'zod'
import {
  batchAnswer,
  diffAnswer,
  fileAnswer,
  filesAnswer,
  historyAnswer,
  projectsAnswer,
  servicesAnswer,
  stagesAnswer,
  writeAnswer,
} from './answer-schemas.ts'
import {
  commitsBody,
  projectBody,
  resourceBody,
  resourcesBody,
  restoreBody,
  serviceBody,
  stageBody,
} from './bodies.ts'
import { archiveType } from './read-states.ts'

export interface Operation {
  summary: string
  /** Names of the parameters besides those of the path. */
  parameters: readonly ParameterName[]
  body?: Body
  /** Status of success to what it holds; null for nothing. */
  answers: Readonly<Record<number, Content | null>>
  /** Statuses of refusal; every operation has 500. */
  refusals: readonly number[]
}

export interface Body {
  /** Name of the schema in the document. */
  name: string
  schema: z.ZodType
  example: unknown
  /** Whether the bytes of a file are taken as well. */
  bytes?: true
}

export interface Content {
  name?: string
  schema?: z.ZodType
  example?: unknown
  /** Of what is no JSON. */
  type?: string
}

export type ParameterName =
  | 'resourceURIQuery'
  | 'resourceURIRequired'
  | 'gitCommitID'
  | 'commitID'
  | 'pageSize'
  | 'nextPageKey'
  | 'raw'
  | 'verbose'
  | 'fromRequired'
  | 'to'
  | 'resolve'
  | 'ifMatch'
  | 'ifNoneMatch'
  | 'ifAbsent'
  | 'maxStale'
  | 'idempotencyKey'
  | 'commitMessage'
  | 'keptnUser'

const commit = '3f786850e387550fdab836ed7e6dc881de23001b'
const metadata = { upstreamURL: '', version: commit }
const base64 = 'LS0tCnZlcnNpb246IDAuMi4wCg=='

const one: Content = {
  name: 'File',
  schema: fileAnswer,
  example: { resourceContent: base64, resourceURI: 'slo.yaml', metadata },
}
const written: Content = {
  name: 'Written',
  schema: writeAnswer,
  example: { commitID: commit, metadata, version: commit },
}
const files: Content = {
  name: 'Files',
  schema: filesAnswer,
  example: { nextPageKey: '0', resources: [{ resourceURI: '/slo.yaml', metadata }], totalCount: 1 },
}
const history: Content = {
  name: 'History',
  schema: historyAnswer,
  example: {
    nextPageKey: '0',
    commits: [
      {
        commitID: commit,
        author: { name: 'keptn', email: 'keptn@keptn.sh' },
        date: '2026-01-02T03:04:05.000Z',
        message: 'raise the threshold',
      },
    ],
  },
}
const fileList: Body = {
  name: 'ResourcesBody',
  schema: resourcesBody,
  example: { resources: [{ resourceURI: 'slo.yaml', resourceContent: base64 }], message: 'slo' },
}
const file: Body = {
  name: 'ResourceBody',
  schema: resourceBody,
  example: { resourceContent: base64, message: 'raise the threshold' },
  bytes: true,
}
const filesOrFile: Content = {
  name: 'FilesOrFile',
  schema: z.union([filesAnswer, fileAnswer]),
  example: files.example,
}
const fileListOrFile: Body = {
  name: 'ResourcesOrResourceBody',
  schema: z.union([resourcesBody, resourceBody]),
  example: fileList.example,
  bytes: true,
}
const project: Body = {
  name: 'ProjectBody',
  schema: projectBody,
  example: { projectName: 'sockshop' },
}
const stage: Body = { name: 'StageBody', schema: stageBody, example: { stageName: 'dev' } }
const service: Body = {
  name: 'ServiceBody',
  schema: serviceBody,
  example: { serviceName: 'carts' },
}

const paging = ['pageSize', 'nextPageKey', 'maxStale'] as const
const differing: Content = {
  name: 'Differences',
  schema: diffAnswer,
  example: {
    nextPageKey: '0',
    changes: [{ resourceURI: '/slo.yaml', change: 'modified', before: commit, after: commit }],
    totalCount: 1,
  },
}
const batchDone: Content = {
  name: 'BatchDone',
  schema: batchAnswer,
  example: { dryRun: true, changes: [{ stageName: 'dev', resourceURI: '/a', change: 'deleted' }] },
}
const batch: Body = {
  name: 'Batch',
  schema: commitsBody,
  example: {
    changes: [
      { action: 'put', stageName: 'dev', resourceURI: 'slo.yaml', resourceContent: base64 },
      {
        action: 'move',
        stageName: 'dev',
        resourceURI: 'slo.yaml',
        to: { stageName: 'prod', resourceURI: 'slo.yaml' },
      },
    ],
  },
}
const restoring: Body = {
  name: 'Restore',
  schema: restoreBody,
  example: { gitCommitID: commit, resourceURI: 'slo.yaml' },
}
const atCommit = ['gitCommitID', 'commitID'] as const
const writing = ['idempotencyKey', 'commitMessage', 'keptnUser'] as const
const readRefusals = [400, 401, 403, 404, 503]
const writeRefusals = [400, 401, 403, 404, 408, 409, 413, 415, 422, 503]

/** Every operation, by its id in the route table. */
export const operations: Readonly<Record<string, Operation>> = {
  getProjects: list('Lists projects', {
    name: 'Projects',
    schema: projectsAnswer,
    example: { nextPageKey: '0', projects: [{ projectName: 'sockshop' }] },
  }),
  createProject: change('Makes a project', project),
  updateProject: change(
    'Says whether a project is there; with `migrate`, moves it to format 2',
    project,
  ),
  updateProjectNamed: change('As `PUT /v1/project`: the name in the body counts', project),
  deleteProject: change('Deletes a project; its history stays in the bucket'),
  undeleteProject: change(
    'Brings a deleted project back as it was, with its stages and all of its history',
  ),
  getStages: list('Lists the stages of a project', {
    name: 'Stages',
    schema: stagesAnswer,
    example: { nextPageKey: '0', stages: [{ stageName: 'dev' }], totalCount: 1 },
  }),
  createStage: change('Makes a stage, which begins with the files of the project', stage),
  deleteStage: change('Deletes a stage; its history stays'),
  getServices: list('Lists the services of a stage', {
    name: 'Services',
    schema: servicesAnswer,
    example: { nextPageKey: '0', services: [{ serviceName: 'carts' }], totalCount: 1 },
  }),
  undeleteStage: change(
    'Brings back the stage of that name that was deleted last, with its history',
  ),
  createCommits: {
    summary: 'Does changes of several scopes together or not at all',
    parameters: writing,
    body: batch,
    answers: { 200: batchDone },
    refusals: [...writeRefusals, 412],
  },
  createService: change('Makes a service', service),
  deleteService: change('Deletes a service and its files'),
  ...filesOf('Project', 'a project'),
  ...filesOf('Stage', 'a stage'),
  ...filesOf('Service', 'a service'),
  livez: probe('Says that the process lives'),
  readyz: { ...probe('Says whether requests may come'), parameters: ['verbose'], refusals: [503] },
  startupz: {
    ...probe('Says whether the process has come up'),
    parameters: ['verbose'],
    refusals: [503],
  },
  health: { ...probe("Keptn's health check"), answers: { 200: null } },
  metrics: probe("Metrics in Prometheus' form"),
  openapi: {
    ...probe('This document'),
    answers: { 200: { type: 'application/json' } },
  },
  swaggerUi: { ...probe('A viewer of this document'), answers: { 200: { type: 'text/html' } } },
  swaggerUiRedirect: { ...probe('Leads to the viewer'), answers: { 301: null } },
  swaggerUiFile: {
    ...probe('A file of the viewer, or `swagger.yaml`: this document as YAML'),
    answers: { 200: { type: '*/*' } },
    refusals: [404],
  },
}

function filesOf(level: string, scope: string): Record<string, Operation> {
  const single = ['ifMatch', 'ifAbsent', ...writing] as const
  const refusals = [...writeRefusals, 412]
  return {
    [`get${level}Resources`]: {
      summary: `Lists the files of ${scope}, or with \`resourceURI\` reads one of them`,
      parameters: ['resourceURIQuery', 'resolve', ...atCommit, ...paging, 'raw', 'ifNoneMatch'],
      answers: { 200: filesOrFile, 304: null },
      refusals: readRefusals,
    },
    [`create${level}Resources`]: {
      summary: `Writes files of ${scope} in one commit; with \`resourceURI\`, one of them`,
      parameters: ['resourceURIQuery', 'raw', ...single],
      body: fileListOrFile,
      answers: { 201: written },
      refusals,
    },
    [`update${level}Resources`]: {
      summary: `Writes files of ${scope} in one commit; with \`resourceURI\`, one of them`,
      parameters: ['resourceURIQuery', 'raw', ...single],
      body: fileListOrFile,
      answers: { 200: written },
      refusals,
    },
    [`delete${level}ResourceNamed`]: {
      summary: `Deletes a file, a chart or a folder of ${scope}`,
      parameters: ['resourceURIRequired', ...single],
      answers: { 200: written },
      refusals,
    },
    [`get${level}Resource`]: {
      summary: `Reads a file of ${scope}`,
      parameters: [...atCommit, 'resolve', 'raw', 'ifNoneMatch', 'maxStale'],
      answers: { 200: one, 304: null },
      refusals: readRefusals,
    },
    [`update${level}Resource`]: {
      summary: `Writes a file of ${scope}`,
      parameters: ['raw', ...single],
      body: file,
      answers: { 200: written },
      refusals,
    },
    [`delete${level}Resource`]: {
      summary: `Deletes a file, a chart or a folder of ${scope}`,
      parameters: single,
      answers: { 200: written },
      refusals,
    },
    [`get${level}History`]: {
      summary: `Lists the commits that changed ${scope}, or one file of it, newest first`,
      parameters: ['resourceURIQuery', ...atCommit, ...paging],
      answers: { 200: history },
      refusals: readRefusals,
    },
    [`get${level}Archive`]: {
      summary: `Reads all files of ${scope} as one \`.tar.gz\`, with its sha256 in \`Repr-Digest\``,
      parameters: [...atCommit, 'ifNoneMatch', 'maxStale'],
      answers: { 200: { type: archiveType }, 304: null },
      refusals: readRefusals,
    },
    [`get${level}Diff`]: {
      summary: `Lists the files of ${scope} that differ between two commits`,
      parameters: ['fromRequired', 'to', ...paging],
      answers: { 200: differing },
      refusals: readRefusals,
    },
    [`restore${level}`]: {
      summary: `Makes ${scope}, or a file or folder of it, what it was in a commit`,
      parameters: writing,
      body: restoring,
      answers: { 200: written },
      refusals: writeRefusals,
    },
  }
}

function list(summary: string, content: Content): Operation {
  return { summary, parameters: paging, answers: { 200: content }, refusals: readRefusals }
}

function change(summary: string, body?: Body): Operation {
  const parameters = writing
  const answers = { 204: null }
  return { summary, parameters, answers, refusals: writeRefusals, ...(body && { body }) }
}

function probe(summary: string): Operation {
  return { summary, parameters: [], answers: { 200: { type: 'text/plain' } }, refusals: [] }
}
