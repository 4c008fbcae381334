/**
 * Keptn's own clients, each as the calls that it makes and what it has to find: an SLO that is not the one that was pinned, or a
 * remediation that is not found, would be a sequence gone wrong, even where every status is 200.
 * @see docs/keptn-wire.md, section 1
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { queryEscape } from '../http/gateway.ts'
import { type Answered, jsonOf, type Sent, send } from '../support/send.ts'

export interface KeptnClientsOptions {
  /** Keptn's gateway, for users and execution planes. */
  gatewayUrl: string
  /** The Service itself, for what runs beside it. */
  serviceUrl: string
  /** Of the names of all projects. */
  prefix: string
  /** How long after a sequence was triggered what it pinned is read again; in Keptn it is a quarter of an hour. */
  delayMs: number
}

export interface Outcome {
  client: string
  /** Sequences that were gone through. */
  sequences: number
  /** Pins that were read again after the delay, and once more in the end. */
  pinsRead: number
  /** What went wrong, in sentences. */
  failures: string[]
}

export interface KeptnClients {
  /** Lets each end its sequence, and reads everything that was pinned once more. */
  stop(): Promise<Outcome[]>
}

/** What a sequence pinned: a place at a commit, and what it held. */
interface Pin {
  path: string
  commit: string
  content: string
  atMs: number
  wasRead: boolean
}

interface Client {
  name: string
  /** Of its own project. */
  prepare(keptn: Keptn): Promise<void>
  /** One sequence. @returns what it pinned @throws a sentence for an outcome that is not the right one */
  sequence(keptn: Keptn, number: number): Promise<Pick<Pin, 'path' | 'commit' | 'content'>[]>
}

const pauseMs = 1_000
/** A project has many sequences; those that are remembered to the end. */
const pinsMost = 300

/** Begins all four; they go on until they are stopped. */
export async function startKeptnClients(options: KeptnClientsOptions): Promise<KeptnClients> {
  let stopped = false
  const running: Promise<Outcome>[] = []
  for (const client of [evaluation, delivery, remediation, execution]) {
    const keptn = createKeptn(options, `${options.prefix}-${client.name}`)
    await client.prepare(keptn)
    running.push(loop(client, keptn, options.delayMs, () => stopped))
  }
  return {
    stop() {
      stopped = true
      return Promise.all(running)
    },
  }
}

async function loop(
  client: Client,
  keptn: Keptn,
  delayMs: number,
  isStopped: () => boolean,
): Promise<Outcome> {
  const outcome: Outcome = { client: client.name, sequences: 0, pinsRead: 0, failures: [] }
  const pins: Pin[] = []
  const attempt = async (work: () => Promise<void>) => {
    await work().catch((error: Error) => outcome.failures.push(error.message))
  }
  const again = async (pin: Pin) => {
    pin.wasRead = true
    outcome.pinsRead++
    await attempt(async () => same(await keptn.read(pin.path, pin.commit), pin.content, pin.path))
  }
  while (!isStopped()) {
    await attempt(async () => {
      const pinned = await client.sequence(keptn, ++outcome.sequences)
      for (const pin of pinned) pins.push({ ...pin, atMs: performance.now(), wasRead: false })
    })
    const isDue = ({ wasRead, atMs }: Pin) => !wasRead && performance.now() - atMs >= delayMs
    for (const pin of pins.filter(isDue)) await again(pin)
    if (pins.length > pinsMost) pins.splice(0, pins.length - pinsMost)
    await sleep(pauseMs)
  }
  for (const pin of pins) await again(pin)
  return outcome
}

/** A user, a stage's service, and its resources, by the calls of go-utils. */
interface Keptn {
  project: string
  /** In the cluster. @throws unless the status is one of those */
  call(sent: Sent, ...expected: number[]): Promise<Answered>
  /** From outside, through the gateway. @throws likewise */
  callOutside(sent: Sent, ...expected: number[]): Promise<Answered>
  /** Uploads files as `keptn add-resource` does. @returns the commit */
  upload(scope: string, files: Record<string, string>): Promise<string>
  /** What a place (`scope/resource/name`) holds at a commit, or now. @throws unless it is found */
  read(path: string, commit?: string): Promise<string>
  /** Likewise; undefined for 404. */
  find(path: string, commit?: string): Promise<string | undefined>
}

const stage = '/stage/production'
const service = `${stage}/service/carts`

const place = (scope: string, name: string) => `${scope}/resource/${queryEscape(name)}`
const at = (commit?: string) => (commit === undefined ? '' : `?gitCommitID=${commit}`)

function createKeptn(options: KeptnClientsOptions, project: string): Keptn {
  const { gatewayUrl, serviceUrl } = options
  const expecting =
    (base: string, prefix: string) =>
    async (sent: Sent, ...expected: number[]) => {
      const path = `${prefix}${sent.path}`
      const headers = { 'content-type': 'application/json' }
      const answer = await send(base, { headers, timeoutMs: 30_000, ...sent, path })
      if (expected.includes(answer.status)) return answer
      throw new Error(`${sent.method} ${path}: ${answer.status} ${answer.body}`)
    }
  const call = expecting(serviceUrl, '/v1')
  const callOutside = expecting(gatewayUrl, '/api/resource-service/v1')
  const keptn: Keptn = {
    project,
    call,
    callOutside,
    async upload(scope, files) {
      const resources = Object.entries(files).map(([resourceURI, content]) => ({
        resourceURI,
        resourceContent: Buffer.from(content).toString('base64'),
      }))
      const sent: Sent = {
        method: 'POST',
        path: `/project/${project}${scope}/resource`,
        body: JSON.stringify({ resources }),
      }
      return jsonOf<{ commitID: string }>(await callOutside(sent, 201)).commitID
    },
    async find(path, commit) {
      const url = `/project/${project}${path}${at(commit)}`
      return contentOf(await call({ method: 'GET', path: url }, 200, 404))
    },
    async read(path, commit) {
      const held = await keptn.find(path, commit)
      if (held === undefined) throw new Error(`${path} at ${commit ?? 'now'} is not found`)
      return held
    },
  }
  return keptn
}

function contentOf(answer: Answered): string | undefined {
  if (answer.status === 404) return undefined
  const { resourceContent = '' } = jsonOf<{ resourceContent?: string }>(answer)
  return Buffer.from(resourceContent, 'base64').toString('utf8')
}

function same(held: string | undefined, expected: string, what: string): void {
  if (held !== expected) throw new Error(`${what} holds '${held}', not '${expected}'`)
}

/** What shipyard-controller does for `keptn create project` and `keptn create service`. */
async function createProject({ call, project }: Keptn, shipyard: string): Promise<void> {
  const post = (path: string, body: object, ...expected: number[]) =>
    call({ method: 'POST', path, body: JSON.stringify(body) }, ...expected)
  await post('/project', { projectName: project }, 204)
  const resourceContent = Buffer.from(shipyard).toString('base64')
  const resources = [{ resourceURI: 'shipyard.yaml', resourceContent }]
  await post(`/project/${project}/resource`, { resources }, 201)
  await post(`/project/${project}/stage`, { stageName: 'production' }, 204)
  await post(`/project/${project}${stage}/service`, { serviceName: 'carts' }, 204)
}

/** What shipyard-controller reads when a sequence is triggered. @returns the commit that the sequence is pinned to */
async function trigger(keptn: Keptn, shipyard: string): Promise<string> {
  same(await keptn.read(place('', 'shipyard.yaml')), shipyard, 'shipyard.yaml')
  const path = `/project/${keptn.project}${place(stage, 'metadata.yaml')}`
  const { metadata } = jsonOf<{ metadata: { version: string } }>(
    await keptn.call({ method: 'GET', path }, 200),
  )
  return metadata.version
}

const shipyardOf = (number: number) =>
  `apiVersion: spec.keptn.sh/0.2.3\nkind: Shipyard\nmetadata:\n  name: shipyard-${number}\n`

/** lighthouse: the SLO of the service and the SLI that is nearest, at the commit of the sequence. */
const evaluation: Client = {
  name: 'evaluation',
  async prepare(keptn) {
    await createProject(keptn, shipyardOf(0))
    await keptn.upload(stage, { 'dynatrace/sli.yaml': 'indicators: of the stage\n' })
  },
  async sequence(keptn, number) {
    const slo = `objectives:\n  - sli: response_time_p95\n    pass: <${number}\n`
    await keptn.upload(service, { 'slo.yaml': slo })
    const commit = await trigger(keptn, shipyardOf(0))
    // The user goes on; the sequence must not notice.
    await keptn.upload(service, { 'slo.yaml': `${slo}# not yet\n` })
    const path = place(service, 'slo.yaml')
    same(await keptn.read(path, commit), slo, 'the SLO that was used')
    const levels = [service, stage, ''].map((scope) => place(scope, 'dynatrace/sli.yaml'))
    const sli = await firstOf(levels, (level) => keptn.find(level, commit))
    same(sli, 'indicators: of the stage\n', 'the SLI that was used')
    return [{ path, commit, content: slo }]
  },
}

/** shipyard-controller: a project comes, changes, and goes. */
const delivery: Client = {
  name: 'delivery',
  prepare: (keptn) => createProject(keptn, shipyardOf(0)),
  async sequence(keptn, number) {
    const { call, project } = keptn
    const shipyard = shipyardOf(number)
    const body = JSON.stringify({ resourceContent: Buffer.from(shipyard).toString('base64') })
    const path = `/project/${project}/resource/shipyard.yaml`
    await call({ method: 'PUT', path, body }, 200)
    const commit = await trigger(keptn, shipyard)
    const passing = { ...keptn, project: `${project}-${number}` }
    await createProject(passing, shipyard)
    const again = JSON.stringify({ projectName: passing.project })
    await call({ method: 'POST', path: '/project', body: again }, 409)
    await call({ method: 'DELETE', path: `/project/${passing.project}${stage}/service/carts` }, 204)
    await call({ method: 'DELETE', path: `/project/${passing.project}` }, 204)
    const gone = `/project/${passing.project}/resource/shipyard.yaml`
    await call({ method: 'GET', path: gone }, 404)
    const metadata = place(stage, 'metadata.yaml')
    return [{ path: metadata, commit, content: await keptn.read(metadata, commit) }]
  },
}

/** remediation-service: the remediation of a problem, at the commit of the sequence. */
const remediation: Client = {
  name: 'remediation',
  prepare: (keptn) => createProject(keptn, shipyardOf(0)),
  async sequence(keptn, number) {
    const actions = `remediations:\n  - problemType: Response time degradation\n    action: scale-${number}\n`
    const commit = await keptn.upload(service, { 'remediation.yaml': actions })
    await keptn.upload(service, { 'remediation.yaml': 'remediations: []\n' })
    const path = place(service, 'remediation.yaml')
    const found = await keptn.read(path, commit)
    const [, action] = /problemType: Response time degradation\n +action: (\S+)/.exec(found) ?? []
    same(action, `scale-${number}`, 'the remediation that was found')
    return [{ path, commit, content: actions }]
  },
}

/** An execution plane: what a job needs, from outside, listed and then fetched, its configuration from the nearest level. */
const execution: Client = {
  name: 'execution',
  async prepare(keptn) {
    await createProject(keptn, shipyardOf(0))
    await keptn.upload(stage, { 'job/config.yaml': 'apiVersion: v2\n' })
  },
  async sequence({ callOutside, project, upload }, number) {
    const get = (path: string, ...expected: number[]) =>
      callOutside({ method: 'GET', path: `/project/${project}${path}` }, ...expected)
    // The gateway decodes a path once.
    const outside = (scope: string, name: string) => place(scope, queryEscape(name))
    const script = `http.get('/carts/${number}')\n`
    const commit = await upload(service, { 'files/load.js': script, 'files/other.js': '//\n' })
    const levels = [service, stage, ''].map((scope) => outside(scope, 'job/config.yaml'))
    const config = await firstOf(levels, async (level) => contentOf(await get(level, 200, 404)))
    same(config, 'apiVersion: v2\n', 'the configuration of the job')
    const { resources } = jsonOf<{ resources: { resourceURI: string }[] }>(
      await get(`${service}/resource?pageSize=50`, 200),
    )
    const files = resources.filter(({ resourceURI }) => resourceURI.startsWith('/files/'))
    same(files.map(({ resourceURI }) => resourceURI).join(), '/files/load.js,/files/other.js', '/')
    const path = `${outside(service, '/files/load.js')}${at(commit)}`
    same(contentOf(await get(path, 200)), script, 'the file of the job')
    return [{ path: place(service, 'files/load.js'), commit, content: script }]
  },
}

async function firstOf(
  paths: string[],
  find: (path: string) => Promise<string | undefined>,
): Promise<string | undefined> {
  for (const path of paths) {
    const found = await find(path)
    if (found !== undefined) return found
  }
  return undefined
}
