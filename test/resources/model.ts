/** A project as maps of files, and random steps that change it: what the service is compared with. It knows nothing of Git. */
import { buffer } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { pack } from 'tar-stream'
import type { Scope } from '../../src/resources/resources.ts'
import { projectScope, serviceScope, stageScope } from './fixture.ts'

/** By path, without a leading slash. */
export type Files = Map<string, string>

export interface State {
  format: 1 | 2
  project: Files
  stages: Map<string, Files>
}

export type Step = FileStep | ScopeStep | { kind: 'convert' }

type FileStep =
  | { kind: 'put'; scope: number; files: [string, string][] }
  | { kind: 'chart'; scope: number; version: number }
  | { kind: 'remove'; scope: number; path: string }

type ScopeStep =
  | { kind: 'createStage'; stage: string }
  | { kind: 'deleteStage'; stage: string }
  | { kind: 'createService' | 'deleteService'; stage: string; service: string }

const stageNames = ['dev', 'prod', 'Ü-1']
const serviceNames = ['carts', 'a', 'metadata.yaml']
const anyPath = fc.constantFrom(
  'a',
  'a/b',
  'a/b/c',
  'carts/x',
  'x.yaml',
  'helm/x/y',
  '.keptn-stages/z',
)
const anyScope = fc.nat({ max: 11 })

export const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      scope: anyScope,
      files: fc.uniqueArray(fc.tuple(anyPath, fc.constantFrom('', 'one', 'two', 'three')), {
        minLength: 1,
        maxLength: 2,
        selector: ([path]) => path,
      }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('chart' as const),
      scope: anyScope,
      version: fc.nat({ max: 1 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('remove' as const),
      scope: anyScope,
      path: fc.oneof(anyPath, fc.constantFrom('carts', 'helm/x.tgz', 'a/metadata.yaml')),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('createStage' as const, 'createStage' as const, 'deleteStage' as const),
      stage: fc.constantFrom(...stageNames),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('createService' as const, 'deleteService' as const),
      stage: fc.constantFrom(...stageNames),
      service: fc.constantFrom(...serviceNames),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ kind: 'convert' as const }) },
)

const chartFiles = (version: number): [string, string][] => [
  ['helm/x/Chart.yaml', `version: ${version}\n`],
  ['helm/x/templates/a.yaml', 'kind: Deployment\n'],
]

export async function archiveOf(version: number): Promise<Buffer> {
  const tar = pack()
  for (const [path, content] of chartFiles(version)) tar.entry({ name: path.slice(5) }, content)
  tar.finalize()
  return gzipSync(await buffer(tar))
}

/** Where a step goes: any scope that is there, or one that may be missing. */
export function scopeOf({ stages }: State, index: number): Scope {
  const all: Scope[] = [projectScope()]
  for (const stage of [...stages.keys(), 'prod']) {
    all.push(stageScope(stage))
    for (const service of serviceNames.slice(0, 2)) all.push(serviceScope(stage, service))
  }
  return all[index % all.length] as Scope
}

const holds = (files: Files, folder: string) =>
  [...files.keys()].some((path) => path.startsWith(`${folder}/`))

/** Why a file cannot stand at a path, if so. */
function clashes(files: Files, path: string): boolean {
  const segments = path.split('/')
  const parents = segments.slice(1).map((_, index) => segments.slice(0, index + 1).join('/'))
  return holds(files, path) || parents.some((parent) => files.has(parent))
}

/** The files that a scope is part of, and its folder among them; a code where it is not there. */
function find(state: State, { stage, service }: Scope): { files: Files; prefix: string } | string {
  const files = stage === undefined ? state.project : state.stages.get(stage)
  if (files === undefined) return 'stage_not_found'
  if (service === undefined) return { files, prefix: '' }
  return holds(files, service) ? { files, prefix: `${service}/` } : 'service_not_found'
}

function replace(files: Files, by: Files): string {
  files.clear()
  for (const [path, content] of by) files.set(path, content)
  return 'done'
}

/** Does a step in the model. @returns `done`, or the code of the refusal */
export function play(state: State, step: Step): string {
  if (step.kind === 'put' || step.kind === 'chart' || step.kind === 'remove') {
    return playFiles(state, step)
  }
  if (step.kind === 'convert') {
    state.format = state.format === 1 ? 2 : 1
    return 'done'
  }
  const { stage } = step
  const files = state.stages.get(stage)
  if (step.kind === 'createStage') {
    if (files !== undefined) return 'stage_exists'
    state.stages.set(stage, new Map(state.format === 1 ? state.project : [['metadata.yaml', '?']]))
    return 'done'
  }
  if (files === undefined) return 'stage_not_found'
  if (step.kind === 'deleteStage') {
    state.stages.delete(stage)
    return 'done'
  }
  const { service } = step
  if (step.kind === 'createService') {
    if (holds(files, service)) return 'service_exists'
    if (files.has(service)) return 'conflict'
    files.set(`${service}/metadata.yaml`, '?')
    return 'done'
  }
  if (!holds(files, service)) return 'service_not_found'
  for (const path of [...files.keys()]) if (path.startsWith(`${service}/`)) files.delete(path)
  return 'done'
}

function playFiles(state: State, step: FileStep): string {
  const scope = scopeOf(state, step.scope)
  const reserved = (path: string) => path.startsWith('.keptn-stages') && scope.stage === undefined
  if (step.kind === 'remove' && reserved(step.path)) return 'invalid_request'
  if (step.kind === 'put') {
    if (step.files.some(([path]) => reserved(path))) return 'invalid_request'
    const planned: Files = new Map()
    for (const [path, content] of step.files) {
      if (clashes(planned, path)) return 'invalid_request'
      planned.set(path, content)
    }
  }
  const found = find(state, scope)
  if (typeof found === 'string') return found
  const { files, prefix } = found
  const next: Files = new Map(files)
  if (step.kind === 'remove') {
    const path = prefix + step.path.replace(/\.tgz$/, '')
    for (const held of files.keys()) {
      if (held === prefix + step.path || held.startsWith(`${path}/`)) next.delete(held)
    }
    return next.size === files.size ? 'resource_not_found' : replace(files, next)
  }
  const writes = step.kind === 'put' ? step.files : chartFiles(step.version)
  if (step.kind === 'chart') {
    for (const path of files.keys()) if (path.startsWith(`${prefix}helm/x/`)) next.delete(path)
  }
  for (const [path, content] of writes) {
    if (clashes(next, prefix + path)) return 'conflict'
    next.set(prefix + path, content)
  }
  return replace(files, next)
}

export const copyOf = ({ format, project, stages }: State): State => ({
  format,
  project: new Map(project),
  stages: new Map([...stages].map(([name, files]) => [name, new Map(files)])),
})
