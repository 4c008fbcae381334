/**
 * The load: an open model, that is, requests are sent when their time has come, however long others take, so that a stall of the
 * service meets as many requests as it would among people. Nothing is retried or pipelined, and whatever is not the expected
 * status, the whole answer and the right content is a failure.
 */
import { createWriteStream } from 'node:fs'
import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { chanceOf } from '../support/chance.ts'
import { type Answered, jsonOf, type Sent, send } from '../support/send.ts'
import { blobOf, type LedgerLine } from './ledger.ts'

export interface LoadSettings {
  /** Keptn's gateway, where clients from outside come in. */
  gatewayUrl: string
  /** The Service itself, where clients of the cluster come in. */
  serviceUrl: string
  /** What stands between a project and `/resource`. */
  scope: string
  projects: string[]
  /** Each of them has one long request under way all the time; its body is too large for an entry. */
  longProjects: string[]
  /** Each of them has one upload under way all the time that takes `slowMs`. */
  slowProjects: string[]
  slowMs: number
  perSecond: number
  /** Nothing but POSTs, which nobody on the way would send twice. */
  postsOnly?: boolean
  ledgerPath: string
  seed: number
}

export interface LoadSummary {
  /** When the load began, by the machine's clock. */
  startedAtMs: number
  scheduled: number
  /** Sent within three seconds of their time. */
  onTime: number
  seconds: number
}

type Request = Sent & { base: string; check(answer: Answered): string | undefined }
type Draft = Pick<LedgerLine, 'id' | 'kind' | 'project' | 'file'> & {
  /** What a write writes; null for a delete. */
  content?: string | null
}

const timeoutMs = 30_000
const fileBytes = 2_700
const longBytes = 100_000
const rewritten = 24
const perFolder = 40

/** Loads until told to stop, then waits for what is under way. */
export async function runLoad(settings: LoadSettings, stop: Promise<unknown>) {
  const { gatewayUrl, serviceUrl, scope, projects, perSecond } = settings
  const chance = chanceOf(settings.seed)
  const keeping = new Agent({ keepAlive: true })
  const closing = new Agent({ keepAlive: false })
  const ledger = createWriteStream(settings.ledgerPath)
  const startedMs = performance.now()
  const summary: LoadSummary = { startedAtMs: Date.now(), scheduled: 0, onTime: 0, seconds: 0 }
  const recent: Draft[] = []
  const resting = projects.flatMap((project) =>
    Array.from({ length: rewritten }, (_, index): Draft => {
      return { id: '', kind: 'delete', project, file: `again/${index}.yaml`, content: null }
    }),
  )
  let number = 0
  let stopped = false

  /** Sends one request and writes down how it ended. @returns whether it went well */
  async function note(draft: Draft, request: Request): Promise<boolean> {
    const sentMs = performance.now()
    const failure = await send(request.base, { ...request, timeoutMs }).then(
      request.check,
      (error) => `${error.code ?? ''} ${error.message}`,
    )
    const tookMs = Math.round(performance.now() - sentMs)
    const { content, ...told } = draft
    const line: LedgerLine = { ...told, sentMs: Math.round(sentMs - startedMs), tookMs }
    if (content !== undefined) line.blob = content === null ? null : blobOf(content)
    if (failure !== undefined) line.failure = failure
    ledger.write(`${JSON.stringify(line)}\n`)
    return failure === undefined
  }

  const outside = () => ({
    base: gatewayUrl,
    agent: chance.happens(0.5) ? keeping : closing,
  })
  const ofFiles = (project: string) =>
    `/api/resource-service/v1/project/${project}${scope}/resource`
  // The gateway decodes a path once.
  const ofFile = ({ project, file }: Draft) =>
    `${ofFiles(project)}/${encodeURIComponent(encodeURIComponent(file))}`

  const postOf = ({ id, project, file }: Draft, content: string) => ({
    method: 'POST' as const,
    path: ofFiles(project),
    headers: { 'content-type': 'application/json', 'x-commit-message': id },
    body: JSON.stringify({ resources: [{ resourceURI: file, resourceContent: base64(content) }] }),
    check: checkWrite(201),
  })

  async function post(): Promise<void> {
    const id = `load ${++number}`
    const project = chance.pick(projects)
    const content = contentOf(id)
    // A commit writes the folders of its file anew, whole: one that grows for ever would be what is measured.
    const folder = Math.floor(number / perFolder)
    const file = `load/${Math.floor(folder / perFolder)}/${folder}/${number}.yaml`
    const draft: Draft = { id, kind: 'post', project, file, content }
    const done = await note(draft, { ...outside(), ...postOf(draft, content) })
    if (!done) return
    recent.push(draft)
    if (recent.length > 100) recent.shift()
  }

  async function get(): Promise<void> {
    if (recent.length === 0) return post()
    const draft = chance.pick(recent)
    await note(
      { id: `read ${++number}`, kind: 'get', project: draft.project, file: draft.file },
      { ...outside(), method: 'GET', path: ofFile(draft), check: checkRead(draft.content) },
    )
  }

  /** Rewrites or deletes a file that nobody else touches meanwhile, so that its content is known. */
  async function rewrite(): Promise<void> {
    const at = chance.between(0, resting.length - 1)
    const [held] = resting.splice(at, 1)
    if (held === undefined) return post()
    const id = `load ${++number}`
    const deletes = held.content !== null && chance.happens(0.4)
    const content = deletes ? null : contentOf(id)
    const draft: Draft = { ...held, id, kind: deletes ? 'delete' : 'put', content }
    await note(draft, {
      ...outside(),
      method: deletes ? 'DELETE' : 'PUT',
      path: ofFile(draft),
      headers: { 'content-type': 'application/json', 'x-commit-message': id },
      ...(content !== null && { body: JSON.stringify({ resourceContent: base64(content) }) }),
      check: checkWrite(200),
    })
    resting.push(draft)
  }

  /** Two thirds POST, a fifth GET of what was just written, the rest PUT and DELETE. */
  function arrive(): Promise<void> {
    const draw = chance.fraction()
    if (settings.postsOnly || draw < 0.667) return post()
    return draw < 0.867 ? get() : rewrite()
  }

  async function long(project: string): Promise<void> {
    while (!stopped) {
      const id = `load ${++number}`
      const content = chance.bytes(longBytes).toString('base64')
      const file = `long/${number % 8}.txt`
      const draft: Draft = { id, kind: 'long', project, file, content }
      const sent = { base: gatewayUrl, agent: keeping, ...postOf(draft, content) }
      const done = await note(draft, sent)
      if (!done) await sleep(1_000)
    }
  }

  /** Straight to the Service, since the gateway takes a body whole before it passes it on. */
  async function slow(project: string, index: number): Promise<void> {
    // Not all at the same time, so that one of them has just begun at any moment.
    const turnMs = (index * settings.slowMs) / settings.slowProjects.length
    await Promise.race([sleep(turnMs), stop])
    while (!stopped) {
      const id = `load ${++number}`
      const content = contentOf(id)
      const file = `slow/${number % 8}.txt`
      const draft: Draft = { id, kind: 'slow', project, file, content }
      const done = await note(draft, {
        base: serviceUrl,
        agent: closing,
        method: 'PUT',
        path: `/v1/project/${project}${scope}/resource/${encodeURIComponent(file)}`,
        headers: { 'content-type': 'application/octet-stream', 'x-commit-message': id },
        body: content,
        sendMs: settings.slowMs,
        hurry: stop,
        check: checkWrite(200),
      })
      if (!done) await sleep(1_000)
    }
  }

  const underWay = new Set<Promise<void>>()
  const begin = (work: Promise<void>) => {
    const kept = work.finally(() => underWay.delete(kept))
    underWay.add(kept)
  }
  for (const project of settings.longProjects) begin(long(project))
  for (const [index, project] of settings.slowProjects.entries()) begin(slow(project, index))
  void stop.then(() => {
    stopped = true
  })
  while (!stopped) {
    const dueMs = startedMs + (summary.scheduled * 1_000) / perSecond
    const earlyMs = dueMs - performance.now()
    if (earlyMs > 1) await sleep(earlyMs)
    summary.scheduled++
    if (performance.now() - dueMs < 3_000) summary.onTime++
    begin(arrive())
  }
  summary.seconds = (performance.now() - startedMs) / 1_000
  await Promise.all(underWay)
  keeping.destroy()
  await new Promise((resolve) => ledger.end(resolve))
  return summary
}

function contentOf(id: string): string {
  const title = `# ${id}\n`
  return title + chanceOf(title.length).bytes(fileBytes).toString('base64').slice(0, fileBytes)
}

function base64(content: string): string {
  return Buffer.from(content).toString('base64')
}

function checkWrite(status: number) {
  return (answer: Answered) => {
    if (answer.status !== status) return describe(answer)
    const { commitID } = jsonOf<{ commitID?: string }>(answer)
    return /^[0-9a-f]{40}$/.test(commitID ?? '') ? undefined : `names the commit ${commitID}`
  }
}

function checkRead(content: string | null | undefined) {
  return (answer: Answered) => {
    if (answer.status === 404) return `stale: ${describe(answer)}`
    if (answer.status !== 200) return describe(answer)
    if (answer.headers['x-configuration-stale'] !== undefined) return 'stale, and says so'
    const { resourceContent = '' } = jsonOf<{ resourceContent?: string }>(answer)
    if (Buffer.from(resourceContent, 'base64').toString('utf8') !== content)
      return 'stale: is not what was written'
  }
}

function describe({ status, body }: Answered): string {
  return `${status} ${body.toString('utf8').slice(0, 200)}`
}
