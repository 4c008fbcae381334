/** Reads of lists, page by page, and of history. */
import { ServiceError } from '../errors.ts'
import type { Page, ScopeItem } from '../resources/resources.ts'
import { type Answer, json } from './answer.ts'
import type { Call } from './call.ts'
import { type Handler, pageRequest, readContext, scopeOf, type Tools } from './call.ts'
import { addFreshness } from './freshness.ts'

export const listProjects: Handler = async (call, tools) => {
  const { page, context } = asked(call, tools)
  const found = await tools.resources.listProjects(page, context)
  const { principal } = call
  if (principal === null || principal.may('read')) {
    return answerPage(call, tools, found, { projects: found.items.map(named('projectName')) })
  }
  // Of the others not even the number is told.
  const items = found.items.filter(({ name }) => principal.may('read', name))
  const visible = { ...found, items, totalCount: null }
  return answerPage(call, tools, visible, { projects: items.map(named('projectName')) })
}

export const listStages: Handler = async (call, tools) => {
  const { page, context } = asked(call, tools)
  const found = await tools.resources.listStages(scopeOf(call).project, page, context)
  return answerPage(call, tools, found, { stages: found.items.map(named('stageName')) })
}

export const listServices: Handler = async (call, tools) => {
  const { page, context } = asked(call, tools)
  const { project, stage } = scopeOf(call)
  if (stage === undefined) throw new Error('services are listed in a stage')
  const found = await tools.resources.listServices({ project, stage }, page, context)
  return answerPage(call, tools, found, { services: found.items.map(named('serviceName')) })
}

export const listFiles: Handler = async (call, tools) => {
  if (call.match.query.has('resolve')) {
    throw new ServiceError('invalid_request', 'resolve is for one file: name it by resourceURI')
  }
  const { page, context } = asked(call, tools)
  const found = await tools.resources.listFiles(scopeOf(call), page, context)
  const resources = found.items.map(({ path, commit }) => ({
    resourceURI: path,
    metadata: { upstreamURL: '', version: commit },
  }))
  return answerPage(call, tools, found, { resources })
}

export const readHistory: Handler = async (call, tools) => {
  const { page, context } = asked(call, tools)
  const path = call.match.resource?.path
  const within = path === undefined ? page : { ...page, path }
  const found = await tools.resources.history(scopeOf(call), within, context)
  const commits = found.items.map(({ commit, author, dateMs, message }) => ({
    commitID: commit,
    author: { name: author.name, email: author.email },
    date: new Date(dateMs).toISOString(),
    message,
  }))
  return answerPage(call, tools, { ...found, totalCount: null }, { commits })
}

function asked(call: Call, { settings }: Tools) {
  return { page: pageRequest(call), context: readContext(call, settings) }
}

function named(key: string) {
  return ({ name, createdAtMs }: ScopeItem) =>
    createdAtMs === undefined
      ? { [key]: name }
      : { [key]: name, creationDate: new Date(createdAtMs).toISOString() }
}

/** An answer that is a page, in Keptn's order of keys and with its habit to leave out a count of nothing. */
export function answerPage(
  call: Call,
  { settings }: Tools,
  page: Page<unknown>,
  items: Record<string, unknown[]>,
): Answer {
  const counted = page.totalCount ? { totalCount: page.totalCount } : {}
  const rendered = json(200, { nextPageKey: page.nextPageKey, ...items, ...counted })
  const bounded = readContext(call, settings).maxStaleSeconds !== undefined
  addFreshness(rendered.headers, page.proof, bounded)
  return rendered
}
