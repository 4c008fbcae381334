/** Clients of a gateway who write and read single files, keyed and not, and write down what they were told. */
import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Chance, chanceOf } from '../support/chance.ts'
import { type Answered, send } from '../support/send.ts'
import { count, type Journal, type Write } from './journal.ts'

export interface Clients {
  readonly journal: Journal
  /** Until told to stop; a keyed write that is open then is still sent until it is answered. */
  run(client: number): Promise<void>
  /** Reads every file once. */
  readAll(url: string): Promise<void>
  /** No new request from now on. @param giveUpMs open keyed writes are given up after so long */
  stop(giveUpMs: number): void
  close(): void
}

const projects = ['chaos-a', 'chaos-b'] as const
const files = ['a.yaml', 'b.yaml', 'c.yaml', 'd/e.yaml', 'd/f.yaml', 'g.yaml']
/** Keptn's own reading of time: past it a client has gone. */
const timeoutMs = 35_000
/** A file that fits into no entry. */
const largeBytes = 90_000

/** Nothing that a client was told, or not told: the write may have taken effect, and may yet. */
const open = 'open'
type Outcome = { commit: string } | 'refused' | typeof open

export function createClients(options: { url: string; journal: Journal; seed: number }): Clients {
  const { url, journal, seed } = options
  const agent = new Agent({ keepAlive: true })
  let stopped = false
  let giveUpAtMs = Number.POSITIVE_INFINITY
  let number = 0

  async function write(chance: Chance): Promise<void> {
    const isLarge = chance.happens(0.02)
    const one: Write = {
      id: `${isLarge ? 'large' : 'write'} ${++number}`,
      project: chance.pick(projects),
      file: chance.pick(files),
      keyed: chance.happens(0.5),
      invokedAt: performance.now(),
      returnedAt: Number.POSITIVE_INFINITY,
      refused: false,
      sends: 0,
    }
    journal.writes.push(one)
    for (;;) {
      const outcome = await sendWrite(one)
      if (outcome === 'refused') one.refused = one.sends === 1
      else if (outcome !== open) {
        one.returnedAt = performance.now()
        one.commit = outcome.commit
      }
      if (outcome !== open || !one.keyed) return
      if (performance.now() > giveUpAtMs) return count(journal, 'keyed write given up')
      await sleep(chance.between(20, 200))
    }
  }

  async function sendWrite(one: Write): Promise<Outcome> {
    const { id, project, file, keyed } = one
    one.sends++
    const label = `${keyed ? 'keyed ' : ''}write`
    const key: Record<string, string> = keyed ? { 'idempotency-key': id } : {}
    const answer = await send(url, {
      method: 'PUT',
      path: pathOf(project, file),
      headers: { 'content-type': 'application/octet-stream', 'x-commit-message': id, ...key },
      body: contentOf(id),
      agent,
      timeoutMs,
    }).catch((error: Error) => error)
    if (answer instanceof Error) {
      count(journal, `${label}: connection broke`)
      return open
    }
    count(journal, `${label}: ${wordsOf(answer)}`)
    if (answer.status === 200) {
      const { commitID } = JSON.parse(answer.body.toString('utf8')) as { commitID?: string }
      if (commitID !== undefined) return { commit: commitID }
    }
    if (![502, 503, 504].includes(answer.status)) {
      journal.violations.push(`${id} was answered ${answer.status} ${answer.body}`)
    }
    const isRefused = answer.status === 503 && /nothing was written/.test(answer.body.toString())
    if (isRefused && keyed) journal.violations.push(`${id} is keyed, and answered "not written"`)
    return isRefused ? 'refused' : open
  }

  async function read(from: string, project: string, file: string): Promise<boolean> {
    const id = `read ${++number}`
    const invokedAt = performance.now()
    const answer = await send(from, {
      method: 'GET',
      path: pathOf(project, file),
      headers: { accept: 'application/octet-stream' },
      agent,
      timeoutMs,
    }).catch((error: Error) => error)
    if (answer instanceof Error) {
      count(journal, 'read: connection broke')
      return false
    }
    const isStale = answer.headers['x-configuration-stale'] !== undefined
    count(journal, `read: ${isStale ? 'stale, and says so' : wordsOf(answer)}`)
    if (isStale) return false
    const returnedAt = performance.now()
    if (answer.status === 404) {
      journal.reads.push({ id, project, file, saw: null, invokedAt, returnedAt })
    } else if (answer.status === 200) {
      const [saw = ''] = answer.body.toString('utf8').split('\n', 1)
      if (answer.body.toString('utf8') !== contentOf(saw)) {
        journal.violations.push(`${id} of ${project}/${file} saw what nobody wrote: ${saw}`)
      }
      journal.reads.push({ id, project, file, saw, invokedAt, returnedAt })
    } else if (![502, 503, 504].includes(answer.status)) {
      journal.violations.push(`${id} was answered ${answer.status} ${answer.body}`)
    }
    return answer.status === 200 || answer.status === 404
  }

  return {
    journal,
    async run(client) {
      const chance = chanceOf(seed + client)
      while (!stopped) {
        if (chance.happens(0.5)) await read(url, chance.pick(projects), chance.pick(files))
        else await write(chance)
        await sleep(chance.between(0, 20))
      }
    },
    async readAll(from) {
      for (const project of projects) {
        for (const file of files) {
          if (!(await read(from, project, file))) {
            journal.violations.push(`${project}/${file} cannot be read at ${from} in the end`)
          }
        }
      }
    },
    stop(giveUpMs) {
      stopped = true
      giveUpAtMs = performance.now() + giveUpMs
    },
    close: () => agent.destroy(),
  }
}

/** Makes the projects that the clients use. */
export async function makeProjects(url: string): Promise<readonly string[]> {
  for (const projectName of projects) {
    const body = JSON.stringify({ projectName })
    const { status } = await send(url, { method: 'POST', path: '/v1/project', body })
    if (status !== 204) throw new Error(`${projectName} cannot be made: ${status}`)
  }
  return projects
}

function pathOf(project: string, file: string): string {
  return `/v1/project/${project}/resource/${encodeURIComponent(file)}`
}

/** A file says who wrote it. */
function contentOf(id: string): string {
  if (!id.startsWith('large')) return `${id}\n`
  const seed = Number(id.split(' ')[1])
  return `${id}\n${chanceOf(seed).bytes(largeBytes).toString('base64')}`
}

function wordsOf({ status, body }: Answered): string {
  if (status !== 503) return String(status)
  const { message } = JSON.parse(body.toString('utf8')) as { message: string }
  return `503 ${message.replace(/chaos-./g, 'P').slice(0, 60)}`
}
