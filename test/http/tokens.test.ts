/** Every route with every kind of token: who is let in, who is sent away, and as what. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ServiceError } from '../../src/errors.ts'
import type { Principal, Role } from '../../src/http/authentication.ts'
import { createRoutes } from '../../src/http/routes.ts'
import type { Resources } from '../../src/resources/resources.ts'
import { fresh, type RunningApp, send, startApp } from './app-harness.ts'

const project = '/project/p'
const stage = `${project}/stage/dev`
const service = `${stage}/service/carts`
const commit = 'c'.repeat(40)
const files = { resources: [{ resourceURI: 'a', resourceContent: 'YQ==' }] }
const change = { changes: [{ action: 'put', resourceURI: 'a', resourceContent: 'YQ==' }] }

/** What each route needs on its project, written down apart from the code; `list` shows each caller what is theirs. */
const needed: [method: string, path: string, needs: Role | 'list', body?: unknown][] = [
  ['GET', '/project', 'list'],
  ['POST', '/project', 'admin', { projectName: 'p' }],
  ['PUT', '/project', 'admin', { projectName: 'p' }],
  ['PUT', project, 'admin', { projectName: 'p' }],
  ['DELETE', project, 'admin'],
  ['GET', `${project}/stage`, 'read'],
  ['POST', `${project}/stage`, 'admin', { stageName: 'dev' }],
  ['DELETE', stage, 'admin'],
  ['POST', `${project}/undelete`, 'admin'],
  ['POST', `${stage}/undelete`, 'admin'],
  ['GET', `${stage}/service`, 'read'],
  ['POST', `${stage}/service`, 'admin', { serviceName: 'carts' }],
  ['DELETE', service, 'admin'],
  ['POST', `${project}/commits`, 'write', change],
  ...[project, stage, service].flatMap((scope): typeof needed => [
    ['GET', `${scope}/resource`, 'read'],
    ['POST', `${scope}/resource`, 'write', files],
    ['PUT', `${scope}/resource`, 'write', files],
    ['DELETE', `${scope}/resource?resourceURI=a`, 'write'],
    ['GET', `${scope}/resource/a`, 'read'],
    ['PUT', `${scope}/resource/a`, 'write', { resourceContent: 'YQ==' }],
    ['DELETE', `${scope}/resource/a`, 'write'],
    ['GET', `${scope}/history`, 'read'],
    ['GET', `${scope}/archive`, 'read'],
    ['GET', `${scope}/diff?from=${commit}`, 'read'],
    ['POST', `${scope}/restore`, 'write', { gitCommitID: commit }],
  ]),
]

const ranks: readonly Role[] = ['read', 'write', 'admin']
const people = new Map<string, Principal>()
for (const role of ranks) {
  for (const [where, covers] of [
    ['p', (name?: string) => name === 'p'],
    ['other', (name?: string) => name === 'other'],
    ['all', () => true],
  ] as const) {
    people.set(`${role} on ${where}`, {
      name: `${role}-${where}`,
      may: (asked, name) => ranks.indexOf(asked) <= ranks.indexOf(role) && covers(name),
    })
  }
}

/** Who is let in finds no project, or an empty list. */
const reached = new ServiceError('project_not_found', 'reached')
const everything = new Proxy({} as Resources, {
  has: () => true,
  get: (_, name) =>
    name === 'listProjects'
      ? async () => ({ items: [], nextPageKey: '0', totalCount: 0, proof: fresh })
      : () => Promise.reject(reached),
})

const test = suite<{ app: RunningApp }>('tokens at every route')

test.before(async (context) => {
  context.app = await startApp(everything, { authenticate: (token) => people.get(token) })
})
test.after(({ app }) => app.close())

function expected(needs: Role | 'list', token: string | undefined): 'in' | 401 | 403 {
  if (token === undefined || !people.has(token)) return 401
  const [role = '', , where] = token.split(' ')
  if (needs === 'list') return 'in'
  const mayHere = where !== 'other' && ranks.indexOf(role as Role) >= ranks.indexOf(needs)
  return mayHere ? 'in' : 403
}

test('the table has every route there is', () => {
  assert.is(needed.length, createRoutes().length)
})

test('each lets in whom it should, and nobody else', async ({ app }) => {
  const wrong: string[] = []
  for (const [method, path, needs, body] of needed) {
    for (const token of [undefined, 'nobody', ...people.keys()]) {
      const headers = token === undefined ? {} : { 'x-token': token }
      const { status } = await send(app.port, method, `/v1${path}`, { headers, json: body })
      const got = status === 401 || status === 403 ? status : 'in'
      if (got === 'in' && status !== 404 && !(needs === 'list' && status === 200))
        wrong.push(`${method} ${path} as ${token}: ${status}, which says nothing of the door`)
      if (got !== expected(needs, token))
        wrong.push(`${method} ${path} as ${token}: ${got}, not ${expected(needs, token)}`)
    }
  }
  assert.equal(wrong, [])
})

test.run()
