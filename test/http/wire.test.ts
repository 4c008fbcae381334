/**
 * Keptn's wire, line by line (W1 to W20 of the list of its clients' expectations), over the built program on the file store:
 * straight, under each prefix, and through nginx with the rules of Keptn's gateway, with the escapes that clients really send.
 */
import { randomUUID } from 'node:crypto'
import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { requireServers, type Server } from '../support/servers.ts'
import { type Service, startService } from '../support/service.ts'
import { type Received, send } from './app-harness.ts'
import { makeChart, readChart } from './charts.ts'
import { type Access, direct, outside, queryEscape, startGateway } from './gateway.ts'

const test = suite("Keptn's wire")
const withGateway = requireServers("Keptn's wire through its gateway", 'nginx')
let service: Service
let gateway: Server | undefined
/** Straight, and through the gateway. */
let accesses: Access[] = []
/** The same, under every prefix. */
let everyAccess: Access[] = []

test.before(async () => {
  service = await startService()
  accesses = [direct(service.port)]
  const prefixes = ['/resource-service/v1', '/configuration-service/v1']
  everyAccess = [...accesses, ...prefixes.map((base) => direct(service.port, base))]
  if (!withGateway) return
  gateway = await startGateway(service.port)
  accesses.push(outside(gateway.port))
  everyAccess.push(outside(gateway.port), outside(gateway.port, 'configuration-service'))
})
test.after(async () => {
  await gateway?.stop()
  await service.dispose()
})

/** Every call of go-utils says so, those without a body too. */
const headers = { 'content-type': 'application/json' }
const b64 = (text: string) => Buffer.from(text).toString('base64')

function inCluster(method: string, path: string, json?: unknown): Promise<Received> {
  return send(service.port, method, `/v1${path}`, { headers, json })
}

/** Makes a project, with a stage and a service unless told. @returns its name */
async function makeProject(stages: Record<string, string[]> = { dev: ['carts'] }): Promise<string> {
  const name = `p-${randomUUID().slice(0, 8)}`
  await expect(204, inCluster('POST', '/project', { projectName: name }))
  for (const [stageName, services] of Object.entries(stages)) {
    await expect(204, inCluster('POST', `/project/${name}/stage`, { stageName }))
    for (const serviceName of services) {
      const path = `/project/${name}/stage/${stageName}/service`
      await expect(204, inCluster('POST', path, { serviceName }))
    }
  }
  return name
}

async function expect(status: number, answer: Promise<Received>): Promise<Received> {
  const got = await answer
  assert.is(got.status, status, `${got.status} ${got.text}`)
  return got
}

/** What a client does with the files of one scope. */
function filesOf(access: Access, scope: string) {
  const call = (method: string, path: string, json?: unknown) =>
    send(access.port, method, `${access.base}${scope}/resource${path}`, { headers, json })
  return {
    raw: call,
    post: (files: Record<string, string>, path = '') => call('POST', path, listOf(files)),
    putAll: (files: Record<string, string>) => call('PUT', '', listOf(files)),
    list: (query = '') => call('GET', query),
    get: (uri: string, query = '') => call('GET', `/${access.escape(uri)}${query}`),
    put: (uri: string, text: string) =>
      call('PUT', `/${access.escape(uri)}`, { resourceContent: b64(text), resourceURI: uri }),
    remove: (uri: string) => call('DELETE', `/${access.escape(uri)}`),
  }
}

function listOf(files: Record<string, string>) {
  const resources = Object.entries(files).map(([resourceURI, text]) => ({
    resourceURI,
    resourceContent: b64(text),
  }))
  return { resources }
}

function textOf(got: Received): string {
  assert.is(got.status, 200, `${got.status} ${got.text}`)
  return Buffer.from(got.json.resourceContent, 'base64').toString()
}

const namesIn = (got: Received): string[] =>
  got.json.resources.map(({ resourceURI }: { resourceURI: string }) => resourceURI)

const scopesOf = (project: string) => [
  `/project/${project}`,
  `/project/${project}/stage/dev`,
  `/project/${project}/stage/dev/service/carts`,
]

test('W1: health is 200 and empty, and the document is where Keptn has it', async () => {
  const health = await expect(200, send(service.port, 'GET', '/health'))
  assert.is(health.text, '')
  const yaml = await expect(200, send(service.port, 'GET', '/swagger-ui/swagger.yaml'))
  assert.match(yaml.text, /^openapi: 3.1.0/)
})

test('W2, W11: a slash in a name is %2F in the cluster and %252F from outside, and means the same', async () => {
  const project = await makeProject()
  for (const scope of scopesOf(project)) {
    for (const access of everyAccess) {
      const files = filesOf(access, scope)
      const uri = `webhook/${randomUUID()}.yaml`
      await expect(201, files.post({ [uri]: 'a' }))
      const got = await files.get(uri)
      assert.is(textOf(got), 'a', access.name)
      assert.is(got.json.resourceURI, uri.replace('/', '%2F'))
      await expect(200, files.put(uri, 'b'))
      assert.is(textOf(await files.get(uri)), 'b')
      await expect(200, files.remove(uri))
      await expect(404, files.get(uri))
    }
  }
})

test('W2: a slash that is not escaped is no route', async () => {
  const project = await makeProject()
  const [near] = accesses
  await filesOf(near as Access, `/project/${project}`).post({ 'a/b': 'x' })
  for (const access of accesses) {
    const path = `${access.base}/project/${project}/resource/a/b`
    const got = await send(access.port, 'GET', path, { headers })
    assert.is(got.status, 404, access.name)
    assert.is(got.text, '404 page not found')
  }
})

test('W2, W3: every character survives every way in, on write and on read', async () => {
  const project = await makeProject()
  const names = [
    'plain.yaml',
    'with space.yaml',
    'a+b.yaml',
    'ä/ö ü.yaml',
    '漢字.yaml',
    "it's (a) *star*!.yaml",
    'q?=&#;,@:$.yaml',
    '[x]{y}|z^`.yaml',
    'a..b/x~/.hidden',
    '🚀.yaml',
  ]
  for (const access of accesses) {
    const files = filesOf(access, `/project/${project}/stage/dev/service/carts`)
    await expect(201, files.post(Object.fromEntries(names.map((name) => [name, `list ${name}`]))))
    for (const name of names) {
      assert.is(textOf(await files.get(name)), `list ${name}`, `${access.name} ${name}`)
      await expect(200, files.put(name, `one ${name}`))
      assert.is(textOf(await files.get(name)), `one ${name}`)
    }
    const listed = namesIn(await files.list('?pageSize=100'))
    assert.equal(listed, [...names, 'metadata.yaml'].map((name) => `/${name}`).sort(compareText))
  }
})

test('W2: a percent sign must be escaped twice in a path, as in Keptn, and once in a parameter', async () => {
  const project = await makeProject()
  for (const access of accesses) {
    const files = filesOf(access, `/project/${project}`)
    for (const name of ['100%.txt', 'a%2Bb.yaml', '%']) {
      await expect(201, files.post({ [name]: name }))
      assert.is(textOf(await files.raw('GET', `/${queryEscape(queryEscape(name))}`)), name)
      const parameter = `?resourceURI=${queryEscape(name)}`
      assert.is(textOf(await files.raw('GET', parameter)), name, access.name)
    }
  }
})

test('W3: a plus in a path is a space, in a body it is a plus', async () => {
  const project = await makeProject()
  for (const access of accesses) {
    const files = filesOf(access, `/project/${project}`)
    await expect(201, files.post({ 'a b.yaml': 'space', 'a+b.yaml': 'plus' }))
    assert.is(textOf(await files.raw('GET', '/a+b.yaml')), 'space', access.name)
    const plus = access.name.startsWith('gateway') ? '/a%252Bb.yaml' : '/a%2Bb.yaml'
    assert.is(textOf(await files.raw('GET', plus)), 'plus', access.name)
  }
})

test('W4: a leading slash makes no difference, at a commit neither', async () => {
  const project = await makeProject()
  for (const access of accesses) {
    const files = filesOf(access, `/project/${project}/stage/dev/service/carts`)
    const wrote = await expect(201, files.post({ '/files/x': 'x' }))
    for (const uri of ['files/x', '/files/x', '//files//x', './files/./x']) {
      assert.is(textOf(await files.get(uri)), 'x', `${access.name} ${uri}`)
      assert.is(textOf(await files.get(uri, `?gitCommitID=${wrote.json.commitID}`)), 'x')
    }
    await expect(200, files.put('/files/x', 'y'))
    assert.is(textOf(await files.get('files/x')), 'y')
  }
})

test('W5: a trailing slash is no list, a slash too many before resource is one', async () => {
  const project = await makeProject()
  for (const access of accesses) {
    const trailing = await send(access.port, 'GET', `${access.base}/project/${project}/resource/`)
    assert.is(trailing.status, 404, access.name)
    const double = `${access.base}/project/${project}//resource`
    const posted = await send(access.port, 'POST', double, { headers, json: listOf({ cli: 'x' }) })
    assert.is(posted.status, 201, access.name)
    assert.ok(namesIn(await send(access.port, 'GET', `${double}?`)).includes('/cli'))
  }
})

test('W6: what is no route is 404 in plain text', async () => {
  for (const [method, path] of [
    ['GET', '/v1/event'],
    ['GET', '/nothing'],
    ['PUT', '/v1/project/p/stage/s'],
    ['POST', '/v1/project/p/resource/x'],
  ] as const) {
    const got = await expect(404, send(service.port, method, path, { headers }))
    assert.is(got.text, '404 page not found')
    assert.match(got.headers['content-type'] ?? '', /^text\/plain/)
  }
})

test('W7: projects, stages and services are made, updated and deleted with 204', async () => {
  const project = `p-${randomUUID().slice(0, 8)}`
  const stage = `/project/${project}/stage`
  for (const [method, path, json] of [
    ['POST', '/project', { projectName: project, stages: null, gitCredentials: null }],
    ['PUT', '/project', { projectName: project }],
    ['POST', stage, { stageName: 'dev' }],
    ['POST', `${stage}/dev/service`, { serviceName: 'carts' }],
    ['DELETE', `${stage}/dev/service/carts`, undefined],
    ['DELETE', `${stage}/dev`, undefined],
    ['DELETE', `/project/${project}`, undefined],
    ['DELETE', `/project/${project}`, undefined],
  ] as const) {
    const got = await expect(204, inCluster(method, path, json))
    assert.is(got.text, '', `${method} ${path}`)
  }
})

test('W7: bad names are refused in the words of Keptn', async () => {
  const project = await makeProject()
  const stage = `/project/${project}/stage`
  for (const [path, key] of [
    ['/project', 'projectName'],
    [stage, 'stageName'],
    [`${stage}/dev/service`, 'serviceName'],
  ] as const) {
    for (const [name, message] of [
      ['a b', 'name must not contain whitespaces'],
      ['a/b', "name must not contain '/'"],
      ['', 'name must not be empty'],
    ]) {
      const got = await expect(400, inCluster('POST', path, { [key]: name }))
      assert.equal(got.json, { code: 400, message })
    }
  }
})

test('W8: JSON is read whatever the type says, unknown fields are ignored', async () => {
  const project = await makeProject()
  const path = `/v1/project/${project}/resource`
  for (const type of ['application/json', 'text/plain', 'application/x-www-form-urlencoded', '']) {
    const json = { ...listOf({ a: type }), stages: null, x: { y: [1] } }
    await expect(201, send(service.port, 'POST', path, { headers: { 'content-type': type }, json }))
  }
  for (const body of ['{', '', 'null', '[]', '"x"']) {
    const got = await expect(400, send(service.port, 'POST', path, { headers, body }))
    assert.match(got.json.message, /^Invalid request format/)
  }
  for (const content of ['a', 'YQ', '_w==', 'Y Q==', 'YQ==x']) {
    const json = { resourceContent: content }
    const got = await expect(400, send(service.port, 'PUT', `${path}/a`, { headers, json }))
    assert.is(got.json.message, 'resource content is not base64 encoded')
  }
})

test('W8: a list without resources commits nothing and answers as if it had', async () => {
  const project = await makeProject()
  const files = filesOf(direct(service.port), `/project/${project}`)
  const head = (await files.get('metadata.yaml')).json.metadata.version
  for (const json of [{}, { resources: null }, { resources: [] }]) {
    const got = await expect(201, files.raw('POST', '', json))
    assert.is(got.json.commitID, head)
  }
})

test('W8: bodies may be larger than a megabyte', async () => {
  const project = await makeProject()
  const text = 'x'.repeat(3 * 1024 * 1024)
  for (const access of accesses) {
    const files = filesOf(access, `/project/${project}`)
    await expect(201, files.post({ [`large ${access.name}`]: text }))
    assert.ok(textOf(await files.get(`large ${access.name}`)) === text)
  }
})

test('W9: the name in the body counts when a project is updated', async () => {
  const project = await makeProject()
  await expect(204, inCluster('PUT', '/project/whatever', { projectName: project }))
  const got = await expect(404, inCluster('PUT', `/project/${project}`, { projectName: 'none' }))
  assert.equal(got.json, { code: 404, message: 'Project not found' })
})

test('W10: errors are a code and a message, in JSON', async () => {
  for (const access of accesses) {
    const got = await filesOf(access, '/project/none').get('x')
    assert.is(got.status, 404)
    assert.equal(got.json, { code: 404, message: 'Project not found' })
    assert.is(got.headers['content-type'], 'application/json; charset=utf-8')
  }
})

test('W11: a file is its content, its name and its version; an empty one has content too', async () => {
  const project = await makeProject()
  for (const access of accesses) {
    const files = filesOf(access, `/project/${project}/stage/dev`)
    const wrote = await expect(201, files.post({ 'a.yaml': 'a', empty: '' }))
    const got = await expect(200, files.get('a.yaml'))
    assert.equal(got.json, {
      resourceContent: b64('a'),
      resourceURI: 'a.yaml',
      metadata: { upstreamURL: '', version: wrote.json.commitID },
    })
    assert.is((await files.get('empty')).json.resourceContent, '')
    await files.post({ 'other.yaml': access.name })
    const later = await files.get('a.yaml')
    assert.is.not(later.json.metadata.version, wrote.json.commitID, 'the head, not the last change')
    const asked = await files.get('a.yaml', `?gitCommitID=${wrote.json.commitID}`)
    assert.is(asked.json.metadata.version, wrote.json.commitID)
  }
})

test('W12: lists are paged by decimal offsets that are strings', async () => {
  const project = await makeProject()
  for (const access of accesses) {
    const files = filesOf(access, `/project/${project}/stage/dev/service/carts`)
    const many = Array.from({ length: 44 }, (_, i) => `f${String(i).padStart(2, '0')}.yaml`)
    await files.post(Object.fromEntries(many.map((name) => [name, 'x'])))
    const first = await expect(200, files.list())
    assert.equal(Object.keys(first.json), ['nextPageKey', 'resources', 'totalCount'])
    assert.is(first.json.nextPageKey, '20')
    assert.is(first.json.totalCount, 45)
    assert.is(first.json.resources.length, 20)
    assert.match(first.json.resources[0].metadata.version, /^[0-9a-f]{40}$/)
    const second = await files.list('?nextPageKey=20')
    const third = await files.list('?nextPageKey=40&pageSize=20')
    assert.is(third.json.nextPageKey, '0')
    const all = [first, second, third].flatMap(namesIn)
    assert.equal(
      all,
      [...many, 'metadata.yaml'].map((name) => `/${name}`),
    )

    assert.is(namesIn(await files.list('?pageSize=1000')).length, 45)
    const none = await expect(200, files.list('?pageSize=0'))
    assert.equal(none.json.resources, [])
    assert.is(none.json.totalCount, 45)
    const beyond = await expect(200, files.list('?nextPageKey=1000'))
    assert.equal(beyond.json.resources, [])
    assert.is(beyond.json.nextPageKey, '0')
    assert.is(namesIn(await files.list('?pageSize=&nextPageKey=&gitCommitID=')).length, 20)
    await expect(400, files.list('?pageSize=abc'))
    await expect(400, files.list('?pageSize=%zz'))
    await expect(400, files.list('?pageSize=%ff'))
  }
})

test('W13: the metadata of a scope is one of its files', async () => {
  const project = await makeProject()
  for (const access of accesses) {
    const own = `s-${randomUUID().slice(0, 8)}`
    const path = `/project/${project}/stage/dev/service`
    await expect(204, inCluster('POST', path, { serviceName: own }))
    const files = filesOf(access, `${path}/${own}`)
    assert.equal(namesIn(await files.list()), ['/metadata.yaml'])
    await files.post({ a: 'a' })
    assert.is((await files.list()).json.totalCount, 2)
    assert.match(textOf(await files.get('metadata.yaml')), new RegExp(`servicename: ${own}`))
  }
})

test('W15, W16: every write answers its commit, and is made whether the file is there or not', async () => {
  const project = await makeProject()
  for (const scope of scopesOf(project)) {
    for (const access of accesses) {
      const files = filesOf(access, scope)
      const uri = `${randomUUID()}/a.yaml`
      const answers = [
        await expect(200, files.put(uri, 'put')),
        await expect(201, files.post({ [uri]: 'post' })),
        await expect(200, files.putAll({ [uri]: 'put all' })),
        await expect(200, files.remove(uri)),
      ]
      for (const { json } of answers) {
        assert.match(json.commitID, /^[0-9a-f]{40}$/)
        const { commitID: version } = json
        assert.equal(json, { commitID: version, metadata: { upstreamURL: '', version }, version })
      }
      assert.is(new Set(answers.map(({ json }) => json.commitID)).size, 4)
    }
  }
})

test('W17: a commit may be asked for, an empty one is none, an unknown one is never a missing file', async () => {
  const project = await makeProject()
  for (const access of accesses) {
    const files = filesOf(access, `/project/${project}/stage/dev/service/carts`)
    const old = (await files.post({ 'slo.yaml': `old ${access.name}` })).json.commitID
    await files.post({ 'slo.yaml': 'new' })
    assert.is(textOf(await files.get('slo.yaml', `?gitCommitID=${old}`)), `old ${access.name}`)
    assert.is(textOf(await files.get('slo.yaml', '?gitCommitID=')), 'new')
    assert.is(textOf(await files.get('slo.yaml', '?disableUpstreamSync=true')), 'new')
    const unknown = 'f'.repeat(40)
    const got = await expect(400, files.get('slo.yaml', `?gitCommitID=${unknown}`))
    assert.is(
      got.json.message,
      `could not check out ${unknown}: no such commit in project ${project}`,
    )
    const malformed = await expect(400, files.get('slo.yaml', '?gitCommitID=main'))
    assert.not.match(malformed.json.message, /not found/i)
    await expect(404, files.get('none.yaml', `?gitCommitID=${old}`))
  }
})

test('W18: a stage begins with the files of its project, and holds the folders of its services', async () => {
  const project = await makeProject({})
  for (const access of accesses) {
    await filesOf(access, `/project/${project}`).post({ 'shipyard.yaml': access.name })
    const stageName = `stage-${randomUUID().slice(0, 8)}`
    await inCluster('POST', `/project/${project}/stage`, { stageName })
    const path = `/project/${project}/stage/${stageName}`
    await inCluster('POST', `${path}/service`, { serviceName: 'carts' })
    await filesOf(access, `${path}/service/carts`).post({ 'jmeter/load.jmx': 'load' })
    const stage = filesOf(access, path)
    const listed = namesIn(await stage.list())
    assert.ok(listed.includes('/shipyard.yaml'))
    // As jmeter-service finds the files of a service.
    assert.ok(listed.includes('/carts/jmeter/load.jmx'))
    assert.is(textOf(await stage.get('/carts/jmeter/load.jmx')), 'load')
    // As shipyard-controller finds the commit of a sequence.
    const metadata = await expect(200, stage.get('metadata.yaml'))
    assert.match(metadata.json.metadata.version, /^[0-9a-f]{40}$/)
  }
})

test('W19: a service must be there before its files', async () => {
  const project = await makeProject()
  for (const access of accesses) {
    const service = filesOf(access, `/project/${project}/stage/dev/service/none`)
    const got = await expect(404, service.post({ a: 'a' }))
    assert.is(got.json.message, 'Service not found')
    const stage = filesOf(access, `/project/${project}/stage/none`)
    assert.is((await expect(404, stage.put('a', 'a'))).json.message, 'Stage not found')
    const other = filesOf(access, '/project/none')
    assert.is((await expect(404, other.remove('a'))).json.message, 'Project not found')
  }
})

test('W20: a chart is unpacked, listed as files, and packed again', async () => {
  const project = await makeProject()
  for (const access of accesses) {
    const files = filesOf(access, `/project/${project}/stage/dev/service/carts`)
    const chart = await makeChart('anything', { 'Chart.yaml': 'name: carts\n', 'templates/a': 'x' })
    const resources = [{ resourceURI: 'helm/carts.tgz', resourceContent: chart.toString('base64') }]
    const wrote = await expect(201, files.raw('POST', '', { resources }))
    const listed = namesIn(await files.list())
    assert.ok(listed.includes('/helm/carts/Chart.yaml'))
    assert.not.ok(listed.includes('/helm/carts.tgz'))
    const packed = await expect(200, files.get('helm/carts.tgz'))
    const again = await files.get('helm/carts.tgz')
    assert.is(again.text, packed.text, 'the same bytes each time')
    const inside = await readChart(Buffer.from(packed.json.resourceContent, 'base64'))
    assert.is(inside['carts/Chart.yaml'], 'name: carts\n')
    await expect(200, files.remove('helm/carts.tgz'))
    await expect(404, files.get('helm/carts.tgz'))
    const version = wrote.json.commitID
    const before = await expect(200, files.get('helm/carts.tgz', `?gitCommitID=${version}`))
    assert.is(before.json.resourceContent, packed.json.resourceContent)
    await expect(201, files.raw('POST', '', { resources }))
    await expect(200, files.remove('helm/carts'))
    await expect(404, files.get('helm/carts.tgz'))
  }
})

test('statuses: what is there already is 409, what is missing 404, in the words of Keptn', async () => {
  const project = await makeProject()
  const stage = `/project/${project}/stage`
  for (const [method, path, json, status, message] of [
    ['POST', '/project', { projectName: project }, 409, 'Project already exists'],
    ['POST', stage, { stageName: 'dev' }, 409, 'Stage already exists'],
    ['POST', `${stage}/dev/service`, { serviceName: 'carts' }, 409, 'Service already exists'],
    ['POST', '/project/none/stage', { stageName: 'dev' }, 404, 'Project not found'],
    ['POST', `${stage}/none/service`, { serviceName: 'x' }, 404, 'Stage not found'],
    ['DELETE', `${stage}/dev/service/none`, undefined, 404, 'Service not found'],
    ['DELETE', `/project/${project}/resource/none`, undefined, 404, 'Resource not found'],
    ['GET', `/project/${project}/resource/none`, undefined, 404, 'Resource not found'],
  ] as const) {
    const got = await inCluster(method, path, json)
    assert.is(got.status, status, `${method} ${path}`)
    assert.equal(got.json, { code: status, message })
  }
})

test('the job executor finds its files with a leading slash, escaped twice', async () => {
  const project = await makeProject()
  for (const access of accesses) {
    const files = filesOf(access, `/project/${project}/stage/dev/service/carts`)
    await files.post({ 'job/config.yaml': 'actions', 'locust/a.py': 'a', 'locust/b.py': 'b' })
    const matching = namesIn(await files.list()).filter((name) => name.startsWith('/locust/'))
    assert.equal(matching, ['/locust/a.py', '/locust/b.py'])
    for (const name of matching) {
      const path = `/${queryEscape(queryEscape(name))}`
      assert.is(textOf(await files.raw('GET', path)).length, 1)
    }
  }
})

test('no upstream and no credentials are needed, and an unknown project says so', async () => {
  const projectName = `p-${randomUUID().slice(0, 8)}`
  await expect(204, inCluster('POST', '/project', { projectName }))
  const got = await expect(404, inCluster('GET', '/project/never/resource/shipyard.yaml'))
  assert.equal(got.json, { code: 404, message: 'Project not found' })
})

test('no spelling of a path leaves its scope or enters what is Git', async () => {
  const project = await makeProject()
  const victim = await makeProject()
  const bad = [
    'x/..',
    '../x',
    'a/../../x',
    `../${victim}/metadata.yaml`,
    '~',
    '~root/x',
    'a/~x',
    'a\\b',
    'a\0b',
    '.git/config',
    'a/.GIT/x',
    'git~1',
    '.git./x',
    '.git ',
    '.gitmodules',
    '.configuration-service/x',
    '.keptn-stages/x/y',
  ]
  for (const access of accesses) {
    const files = filesOf(access, `/project/${project}`)
    const before = (await files.list()).text
    for (const uri of bad) {
      for (const got of [
        await files.get(uri),
        await files.put(uri, 'x'),
        await files.remove(uri),
        await files.post({ good: 'x', [uri]: 'x' }),
      ]) {
        const reads = got.status === 404 && /^\.(?:configuration-service|keptn-stages)/.test(uri)
        if (reads) continue
        assert.is(got.status, 400, `${access.name} ${uri} ${got.text}`)
        assert.match(got.json.message, /^invalid resource uri/)
      }
    }
    assert.is((await files.list()).text, before, 'nothing was written')
  }
  const stage = `/project/${project}/stage`
  for (const stageName of ['..', 'a..b', 'x.lock', 'a~b', 'a^b', '-a', 'a\\b', 'main']) {
    const got = await inCluster('POST', stage, { stageName })
    assert.is(got.status, stageName === 'main' ? 409 : 400, stageName)
  }
})

test('unchanged content makes no commit, and answers the one that is there', async () => {
  const project = await makeProject()
  for (const access of accesses) {
    const files = filesOf(access, `/project/${project}`)
    const first = await expect(201, files.post({ a: access.name }))
    const again = await expect(201, files.post({ a: access.name }))
    const third = await expect(200, files.put('a', access.name))
    assert.is(again.json.commitID, first.json.commitID)
    assert.is(third.json.commitID, first.json.commitID)
  }
})

test('migrate moves one project to stages as folders, and every file stays where it was', async () => {
  const projectName = await makeProject()
  for (const access of accesses) {
    const files = filesOf(access, `/project/${projectName}/stage/dev/service/carts`)
    const written = await expect(201, files.post({ [access.name]: 'objectives: []' }))
    const before = namesIn(await files.list())
    await expect(204, inCluster('PUT', '/project', { projectName, migrate: true }))
    assert.equal(namesIn(await files.list()), before)
    for (const query of ['', `?gitCommitID=${written.json.commitID}`]) {
      assert.is(textOf(await files.get(access.name, query)), 'objectives: []')
    }
  }
})

test('lists honour a commit, hide .git segments alone, and refuse what is no page', async () => {
  const project = await makeProject()
  for (const access of accesses) {
    const files = filesOf(access, `/project/${project}/stage/dev/service/carts`)
    const old = await expect(201, files.post({ '.github/x': 'x', '.gitignore': 'y', 'a.git': 'z' }))
    await files.post({ later: access.name })
    for (const name of ['gitCommitID', 'commitID']) {
      const got = await files.list(`?${name}=${old.json.commitID}`)
      const expected = ['/.github/x', '/.gitignore', '/a.git', '/metadata.yaml']
      assert.equal(
        namesIn(got).filter((one) => one !== '/later'),
        expected,
      )
    }
    for (const query of ['pageSize=-1', 'nextPageKey=abc', 'nextPageKey=-1', 'pageSize=1.5']) {
      await expect(400, files.list(`?${query}`))
    }
    await files.remove('later')
  }
})

test('commitID is gitCommitID', async () => {
  const project = await makeProject()
  for (const access of accesses) {
    const files = filesOf(access, `/project/${project}`)
    const old = (await files.post({ 'webhook.yaml': `old ${access.name}` })).json.commitID
    await files.post({ 'webhook.yaml': 'new' })
    assert.is(textOf(await files.get('webhook.yaml', `?commitID=${old}`)), `old ${access.name}`)
  }
})

test('a folder is no file', async () => {
  const project = await makeProject()
  for (const access of accesses) {
    const files = filesOf(access, `/project/${project}`)
    await files.post({ 'folder/a': 'a' })
    const got = await expect(404, files.get('folder'))
    assert.is(got.json.message, 'Resource not found')
    assert.is((await files.put('folder', 'x')).status, 409)
    assert.is((await files.put('folder/a/b', 'x')).status, 409)
    assert.is((await files.post({ x: '', 'x/y': '' })).status, 400)
  }
})

test('a stage is deleted, and its history stays readable', async () => {
  const project = await makeProject()
  const stage = filesOf(direct(service.port), `/project/${project}/stage/dev`)
  const { commitID } = (await expect(201, stage.post({ a: 'a' }))).json
  await expect(204, inCluster('DELETE', `/project/${project}/stage/dev`))
  await expect(404, stage.get('a'))
  await expect(404, inCluster('DELETE', `/project/${project}/stage/dev`))
  const files = filesOf(direct(service.port), `/project/${project}`)
  assert.is(textOf(await files.get('a', `?gitCommitID=${commitID}`)), 'a')
})

test('projects, stages and services are listed', async () => {
  const project = await makeProject({ dev: ['carts', 'db'], prod: [] })
  const stages = await expect(200, inCluster('GET', `/project/${project}/stage?pageSize=1`))
  assert.is(stages.json.totalCount, 2)
  assert.is(stages.json.stages[0].stageName, 'dev')
  assert.is.not(stages.json.nextPageKey, '0')
  const services = await expect(200, inCluster('GET', `/project/${project}/stage/dev/service`))
  const names = services.json.services.map(
    ({ serviceName }: { serviceName: string }) => serviceName,
  )
  assert.equal(names, ['carts', 'db'])
  const found: string[] = []
  for (let key = ''; key !== '0'; ) {
    const page = await expect(200, inCluster('GET', `/project?pageSize=3&nextPageKey=${key}`))
    found.push(...page.json.projects.map((one: { projectName: string }) => one.projectName))
    key = page.json.nextPageKey
  }
  assert.is(found.filter((name) => name === project).length, 1)
})

test('a list with one bad element writes nothing, and names it', async () => {
  const project = await makeProject()
  for (const access of accesses) {
    const files = filesOf(access, `/project/${project}`)
    const good = { resourceURI: 'good', resourceContent: '' }
    for (const bad of [
      { resourceURI: '../x', resourceContent: '' },
      { resourceURI: '', resourceContent: '' },
      { resourceContent: '' },
      { resourceURI: 'x', resourceContent: '%' },
      { resourceURI: 1 },
      null,
    ]) {
      const got = await expect(400, files.raw('POST', '', { resources: [good, bad] }))
      assert.match(got.json.message, 'resources[1]')
    }
    await expect(404, files.get('good'))
  }
})

test('a hostile or broken archive is refused with its reason, and nothing is written', async () => {
  const project = await makeProject()
  const chart = async (top: string, files: Record<string, string>) => await makeChart(top, files)
  const whole = await chart('a', { 'Chart.yaml': 'x' })
  const archives: [why: string, archive: Buffer][] = [
    ['no archive', Buffer.from('hello')],
    ['empty', Buffer.alloc(0)],
    ['half', whole.subarray(0, whole.length / 2)],
    ['up', await chart('..', { x: 'x' })],
    ['up inside', await chart('a', { '../../x': 'x' })],
    ['absolute', await chart('/etc', { passwd: 'x' })],
    ['git', await chart('a', { '.git/config': 'x' })],
  ]
  for (const access of accesses) {
    const files = filesOf(access, `/project/${project}`)
    for (const [why, archive] of archives) {
      const resourceContent = archive.toString('base64')
      const got = await files.raw('PUT', `/${access.escape('helm/x.tgz')}`, { resourceContent })
      assert.is(got.status, 400, `${why}: ${got.text}`)
      assert.ok(got.json.message.length > 10)
    }
    await expect(404, files.get('helm/x.tgz'))
  }
})

test('who writes is the author, and history tells', async () => {
  const project = await makeProject()
  const path = `/v1/project/${project}/resource`
  const said = { ...headers, 'x-keptn-user': 'joe@example.com', 'x-commit-message': 'because' }
  await expect(201, send(service.port, 'POST', path, { headers: said, json: listOf({ a: 'a' }) }))
  const got = await expect(200, inCluster('GET', `/project/${project}/history?resourceURI=a`))
  assert.is(got.json.commits.length, 1)
  assert.equal(got.json.commits[0].author, { name: 'joe@example.com', email: 'joe@example.com' })
  assert.is(got.json.commits[0].message.trim(), 'because')
})

test('a condition is about the file, whatever else was committed', async () => {
  const project = await makeProject()
  const path = `/v1/project/${project}/resource/a`
  const put = (text: string, condition: Record<string, string>) =>
    send(service.port, 'PUT', path, {
      headers: { ...headers, ...condition },
      json: { resourceContent: b64(text) },
    })
  await expect(200, put('1', { 'if-none-match': '*' }))
  await expect(412, put('2', { 'if-none-match': '*' }))
  const read = await expect(200, send(service.port, 'GET', path))
  const raw = await expect(200, send(service.port, 'GET', `${path}?raw`))
  const tag = read.headers.etag as string
  await filesOf(direct(service.port), `/project/${project}`).post({ other: 'x' })
  await expect(200, put('2', { 'if-match': `W/${tag}` }))
  await expect(412, put('3', { 'if-match': tag }))
  await expect(412, put('3', { 'if-match': raw.headers.etag as string }))
  await expect(412, put('3', { 'if-match': '"foreign"' }))
  const missing = { headers: { ...headers, 'if-match': '*' }, json: {} }
  await expect(412, send(service.port, 'PUT', `${path}b`, missing))
  assert.is((await send(service.port, 'GET', `${path}?raw`)).text, '2')
})

test('while the bucket is away a read says that it could not check out, or how stale it is', async () => {
  const project = await makeProject()
  const files = filesOf(direct(service.port), `/project/${project}`)
  await files.post({ there: 'x' })
  const store = join(service.folder, 'data', 'store')
  renameSync(store, `${store}.away`)
  const [there, absent, list] = await Promise.all([
    files.get('there'),
    files.get('absent'),
    files.list(),
  ])
  renameSync(`${store}.away`, store)
  assert.is(textOf(there), 'x')
  assert.match(String(there.headers.warning), /^110 /)
  assert.is(there.headers['x-configuration-stale'], 'true')
  assert.ok(Number(there.headers.age) >= 0)
  for (const got of [absent, list]) {
    assert.is(got.status, 503, got.text)
    assert.match(got.json.message, new RegExp(`^could not check out ${project}: `))
    assert.not.match(got.json.message, /not found/i)
    assert.ok(Number(got.headers['retry-after']) >= 1)
  }
  await expect(404, files.get('absent'))
})

test('a keyed request is made once, through whatever way its retry comes', async () => {
  const project = await makeProject()
  const key = { ...headers, 'idempotency-key': randomUUID() }
  const post = (access: Access, text: string) =>
    send(access.port, 'POST', `${access.base}/project/${project}/resource`, {
      headers: key,
      json: listOf({ keyed: text }),
    })
  const [near] = everyAccess
  const first = await expect(201, post(near as Access, 'a'))
  await filesOf(near as Access, `/project/${project}`).post({ keyed: 'b' })
  for (const access of everyAccess) {
    const again = await expect(201, post(access, 'a'))
    assert.is(again.json.commitID, first.json.commitID, access.name)
    await expect(422, post(access, 'c'))
  }
  const now = await filesOf(near as Access, `/project/${project}`).get('keyed')
  assert.is(textOf(now), 'b')
})

function compareText(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

test.run()
