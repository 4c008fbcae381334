/** Clients of a gateway who write and read single files, keyed and not, and write down what they were told. */
import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Chance, chanceOf } from '../support/chance.ts'
import { type Answered, send } from '../support/send.ts'
import { count, type Journal, type Write } from './journal.ts'
import { createOutages, type Outages } from './outages.ts'

export type Kind = 'read' | 'write' | 'keyed write'

export interface Clients {
  readonly journal: Journal
  /** Until told to stop; a keyed write that is open then is still sent until it is answered. */
  run(client: number): Promise<void>
  /** Reads every file once, of one replica. */
  readAll(replica: string): Promise<void>
  /**
   * Sends one request, over a connection of its own, whether the clients were stopped or not.
   * @param replica which one; through the gateway unless told
   * @returns whether it was answered well
   */
  sendOne(kind: Kind, replica?: string): Promise<boolean>
  /** How long clients had to wait for a good answer. */
  readonly outages: Outages
  /** No new request from now on. @param giveUpMs open keyed writes are given up after so long */
  stop(giveUpMs: number): void
  close(): void
}

const files = ['a.yaml', 'b.yaml', 'c.yaml', 'd/e.yaml', 'd/f.yaml', 'g.yaml']
/** A file that fits into no entry. */
const largeBytes = 90_000

/** Nothing that a client was told, or not told: the write may have taken effect, and may yet. */
const open = 'open'
/** How a request reaches the service: through the gateway, over the clients' own connections, unless told. */
interface Way {
  replica?: string
  via?: Agent
}

type Outcome = { commit: string } | 'refused' | typeof open

/**
 * Makes the clients, who do nothing yet.
 * @param options.projects those that they use
 * @param options.timeoutMs past it a client has gone, milliseconds
 * @param options.pathOf how a file is asked for at the gateway; as of a replica unless told
 * @param options.pauseMs longest pause between two requests, milliseconds, default 20
 * @param options.keyedShare of the writes, 0 to 1, default 0.5
 */
export function createClients(options: {
  url: string
  journal: Journal
  seed: number
  projects: readonly string[]
  timeoutMs: number
  pathOf?: (project: string, file: string) => string
  pauseMs?: number
  keyedShare?: number
}): Clients {
  const { url, journal, seed, projects, timeoutMs, pauseMs = 20, keyedShare = 0.5 } = options
  const { pathOf = replicaPath } = options
  const agent = new Agent({ keepAlive: true })
  const outages = createOutages()
  let stopped = false
  let giveUpAtMs = Number.POSITIVE_INFINITY
  let number = 0

  function newWrite(chance: Chance, how: { keyed: boolean; isLarge: boolean }): Write {
    const one: Write = {
      id: `${how.isLarge ? 'large' : 'write'} ${++number}`,
      project: chance.pick(projects),
      file: chance.pick(files),
      keyed: how.keyed,
      invokedAt: performance.now(),
      returnedAt: Number.POSITIVE_INFINITY,
      refused: false,
      sends: 0,
    }
    journal.writes.push(one)
    return one
  }

  /** @returns whether it was acknowledged */
  async function write(chance: Chance): Promise<boolean> {
    const isLarge = chance.happens(0.02)
    const one = newWrite(chance, { isLarge, keyed: chance.happens(keyedShare) })
    for (;;) {
      const outcome = await tryWrite(one)
      if (outcome !== open || !one.keyed) return one.commit !== undefined
      if (performance.now() > giveUpAtMs) {
        count(journal, 'keyed write given up')
        return false
      }
      await sleep(chance.between(20, 200))
    }
  }

  /** Sends a write once, and notes what came of it. */
  async function tryWrite(one: Write, way: Way = {}): Promise<Outcome> {
    const outcome = await sendWrite(one, way)
    if (outcome === 'refused') one.refused = one.sends === 1
    else if (outcome !== open) {
      one.returnedAt = performance.now()
      one.commit = outcome.commit
    }
    return outcome
  }

  async function sendWrite(one: Write, { replica, via = agent }: Way): Promise<Outcome> {
    const { id, project, file, keyed } = one
    one.sends++
    const label = `${keyed ? 'keyed ' : ''}write`
    const key: Record<string, string> = keyed ? { 'idempotency-key': id } : {}
    const answer = await send(replica ?? url, {
      method: 'PUT',
      path: (replica === undefined ? pathOf : replicaPath)(project, file),
      headers: { 'content-type': 'application/octet-stream', 'x-commit-message': id, ...key },
      body: contentOf(id),
      agent: via,
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

  async function read(
    at: { project: string; file: string },
    { replica, via = agent }: Way = {},
  ): Promise<boolean> {
    const { project, file } = at
    const id = `read ${++number}`
    const invokedAt = performance.now()
    const answer = await send(replica ?? url, {
      method: 'GET',
      path: (replica === undefined ? pathOf : replicaPath)(project, file),
      headers: { accept: 'application/octet-stream' },
      agent: via,
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

  const ownChance = chanceOf(seed + 1_000_000)
  const anyFile = (chance: Chance) => ({
    project: chance.pick(projects),
    file: chance.pick(files),
  })

  return {
    journal,
    outages,
    async run(client) {
      const chance = chanceOf(seed + client)
      while (!stopped) {
        outages.begin(client)
        const isGood = chance.happens(0.5) ? await read(anyFile(chance)) : await write(chance)
        if (isGood) outages.end(client)
        await sleep(chance.between(0, pauseMs))
      }
    },
    async sendOne(kind, replica) {
      const via = new Agent({ keepAlive: false })
      const way = { via, ...(replica !== undefined && { replica }) }
      try {
        if (kind === 'read') return await read(anyFile(ownChance), way)
        const one = newWrite(ownChance, { keyed: kind === 'keyed write', isLarge: false })
        await tryWrite(one, way)
        return one.commit !== undefined
      } finally {
        via.destroy()
      }
    },
    async readAll(replica) {
      for (const project of projects) {
        for (const file of files) {
          if (!(await read({ project, file }, { replica }))) {
            journal.violations.push(`${project}/${file} cannot be read at ${replica} in the end`)
          }
        }
      }
    },
    stop(giveUpMs) {
      stopped = true
      outages.close()
      giveUpAtMs = performance.now() + giveUpMs
    },
    close: () => agent.destroy(),
  }
}

/** Makes the projects that clients use. @throws where one cannot be made */
export async function makeProjects(url: string, projects: readonly string[]): Promise<void> {
  for (const projectName of projects) {
    const body = JSON.stringify({ projectName })
    const { status } = await send(url, { method: 'POST', path: '/v1/project', body })
    if (status !== 204) throw new Error(`${projectName} cannot be made: ${status}`)
  }
}

function replicaPath(project: string, file: string): string {
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
  return `503 ${message.replace(/project \S+/g, 'P').slice(0, 60)}`
}
