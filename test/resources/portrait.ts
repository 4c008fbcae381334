/** All that the service answers of a project, to compare before and after something that must not change it. */
import { createHash } from 'node:crypto'
import { parse } from 'yaml'
import type { Oid } from '../../src/git/objects.ts'
import { parseServiceName, parseStageName } from '../../src/resources/names.ts'
import { parseResourcePath } from '../../src/resources/paths.ts'
import type { Resources, Scope } from '../../src/resources/resources.ts'
import { projectScope, readContext, refusal } from './fixture.ts'

/** What each scope answers, by `stage/service`. */
export type Portrait = Record<string, unknown>

const everything = { pageSize: 100_000 }

/** The project, its stages and their services. */
export async function scopesOf(resources: Resources, project = 'p'): Promise<Scope[]> {
  const whole = projectScope(project)
  const scopes: Scope[] = [whole]
  const stages = await resources.listStages(whole.project, everything, readContext())
  for (const { name } of stages.items) {
    const stage = { ...whole, stage: parseStageName(name) }
    scopes.push(stage)
    const services = await resources.listServices(stage, everything, readContext())
    for (const { name: service } of services.items) {
      scopes.push({ ...stage, service: parseServiceName(service) })
    }
  }
  return scopes
}

/** What is there now: lists, files and archives of all scopes. */
export async function portrait(resources: Resources, project = 'p'): Promise<Portrait> {
  const scopes = await scopesOf(resources, project)
  const shown: Portrait = {}
  const whole = projectScope(project)
  const stages = await resources.listStages(whole.project, everything, readContext())
  shown.stages = stages.items
  for (const scope of scopes) shown[nameOf(scope)] = await portraitOf(resources, scope)
  return shown
}

/** What some scopes were at a commit; a refusal where one was not there. */
export async function portraitAt(
  resources: Resources,
  at: Oid,
  scopes: readonly Scope[],
): Promise<Portrait> {
  const shown: Portrait = {}
  for (const scope of scopes) {
    const refused = await refusal(resources.listFiles(scope, everything, readContext({ at })))
    shown[nameOf(scope)] = refused === 'done' ? await portraitOf(resources, scope, at) : refused
  }
  return shown
}

async function portraitOf(resources: Resources, scope: Scope, at?: Oid): Promise<unknown> {
  const context = readContext(at === undefined ? {} : { at })
  const { items, totalCount } = await resources.listFiles(scope, everything, context)
  const files: Record<string, string> = {}
  const read = async (path: string) => {
    const { content, oid } = await resources.readFile(scope, parseResourcePath(path), context)
    files[path] = `${oid} ${createHash('sha256').update(content).digest('hex')}`
    return content
  }
  for (const { path } of items) {
    const content = await read(path)
    if (path === '/metadata.yaml' && scope.stage === undefined) {
      files[path] = JSON.stringify({ ...parse(content.toString()), isUsingDirectoryStructure: '' })
    }
    const chart = /^(.*\/helm\/[^/]+)\/Chart\.yaml$/.exec(path)
    if (chart !== null) await read(`${chart[1]}.tgz`)
  }
  const { stage } = scope
  const services =
    stage === undefined || scope.service !== undefined
      ? []
      : (await resources.listServices({ ...scope, stage }, everything, context)).items
  return { files, totalCount, services }
}

function nameOf({ stage, service }: Scope): string {
  return `${stage ?? ''}/${service ?? ''}`
}
