/** What a project holds, asked of the API and asked of stock git, in the same words. */
import { createHash } from 'node:crypto'
import type { Agent } from 'node:http'
import type { StockGit } from '../git/stock-git.ts'
import { jsonOf, send } from '../support/send.ts'

/** The commit of each branch, and each branch's files as `<blob id> <path>`, sorted. */
export interface ProjectState {
  heads: Record<string, string>
  files: Record<string, string[]>
}

interface Listed {
  nextPageKey: string
  resources?: { resourceURI: string; metadata: { version: string } }[]
  stages?: { stageName: string }[]
}

const readsAtOnce = 8

/** Asks the service: stages, then every file of every branch, each read as bytes. */
export async function stateOfApi(at: {
  url: string
  project: string
  agent: Agent
}): Promise<ProjectState> {
  const state: ProjectState = { heads: {}, files: {} }
  const base = `/v1/project/${at.project}`
  const stages = await listAll(at, `${base}/stage`)
  if (stages === null) return state
  const scopes = stages.flatMap((page) => page.stages ?? []).map(({ stageName }) => stageName)
  for (const [branch, scope] of [
    ['main', base],
    ...scopes.map((stage) => [stage, `${base}/stage/${stage}`]),
  ] as [string, string][]) {
    const pages = (await listAll(at, `${scope}/resource`)) ?? []
    const listed = pages.flatMap((page) => page.resources ?? [])
    const versions = new Set(listed.map(({ metadata }) => metadata.version))
    if (versions.size !== 1) throw new Error(`${scope} has the heads ${[...versions]}`)
    state.heads[branch] = [...versions][0] as string
    const paths = listed.map(({ resourceURI }) => resourceURI.replace(/^\//, ''))
    const files = await readAll(paths, (path) => blobOf(at, scope, path))
    state.files[branch] = files.sort()
  }
  return state
}

/** The name that Git gives to what the API answers for one file. */
export async function blobOf(
  at: { url: string; agent: Agent },
  scope: string,
  path: string,
  query = '',
): Promise<string> {
  const { status, body } = await send(at.url, {
    method: 'GET',
    path: `${scope}/resource/${encodeURIComponent(path)}${query}`,
    headers: { accept: 'application/octet-stream' },
    agent: at.agent,
  })
  if (status !== 200) throw new Error(`${scope}: ${path} is listed, and answered ${status}`)
  const oid = createHash('sha1').update(`blob ${body.length}\0`).update(body).digest('hex')
  return `${oid} ${path}`
}

/** Asks stock git. */
export function stateOfGit(git: StockGit): ProjectState {
  const state: ProjectState = { heads: {}, files: {} }
  const refs = git.text(['for-each-ref', '--format=%(objectname) %(refname)', 'refs/heads'])
  for (const line of refs.split('\n').filter(Boolean)) {
    const branch = line.slice(41).replace('refs/heads/', '')
    state.heads[branch] = line.slice(0, 40)
    const entries = git.run(['ls-tree', '-r', '-z', `refs/heads/${branch}`]).toString('utf8')
    const files = entries.split('\0').filter(Boolean)
    // `<mode> blob <id>TAB<path>`
    state.files[branch] = files.map((entry) => entry.slice(12).replace('\t', ' ')).sort()
  }
  return state
}

/** @returns all pages, or null where there is no such project */
async function listAll(at: { url: string; agent: Agent }, path: string): Promise<Listed[] | null> {
  const pages: Listed[] = []
  for (let key = ''; key !== '0'; key = pages.at(-1)?.nextPageKey ?? '0') {
    const query = `?pageSize=1500${key === '' ? '' : `&nextPageKey=${key}`}`
    const answer = await send(at.url, { method: 'GET', path: path + query, agent: at.agent })
    if (answer.status === 404) return null
    if (answer.status !== 200) throw new Error(`${path} answered ${answer.status}`)
    pages.push(jsonOf<Listed>(answer))
  }
  return pages
}

async function readAll<T, R>(items: readonly T[], read: (item: T) => Promise<R>): Promise<R[]> {
  const left = [...items]
  const done: R[] = []
  const worker = async () => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) done.push(await read(item))
  }
  await Promise.all(Array.from({ length: readsAtOnce }, worker))
  return done
}
