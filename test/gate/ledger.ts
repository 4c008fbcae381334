/**
 * What a client was told, line by line in a file: each request that was sent, and how it ended. Whatever was acknowledged has to
 * be there in the end, once, through every replica and in the bucket.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Agent } from 'node:http'
import { send } from '../support/send.ts'

/** One request. */
export interface LedgerLine {
  id: string
  kind: 'post' | 'get' | 'put' | 'delete' | 'long' | 'slow'
  project: string
  file: string
  /** The name that Git gives to what a write wrote; null for a delete. */
  blob?: string | null
  /** Milliseconds since the load began. */
  sentMs: number
  tookMs: number
  /** Absent where it went well. */
  failure?: string
}

export interface Ledger {
  lines: LedgerLine[]
  failures: LedgerLine[]
  /** Acknowledged writes, by their ids, which are their commits' messages. */
  acknowledged: Map<string, LedgerLine>
  /**
   * Of each project, what blob each file may be, null being none: what was acknowledged last, and what was sent since then and
   * failed, of which nobody knows whether it took effect.
   */
  files: Map<string, Map<string, (string | null)[]>>
}

/** The name that Git gives to a content. */
export function blobOf(content: Buffer | string): string {
  const length = Buffer.byteLength(content)
  return createHash('sha1').update(`blob ${length}\0`).update(content).digest('hex')
}

export function readLedger(path: string): Ledger {
  const texts = readFileSync(path, 'utf8').split('\n').filter(Boolean)
  const lines = texts.map((text) => JSON.parse(text) as LedgerLine)
  const writes = lines.filter(({ kind }) => kind !== 'get')
  const written = writes.filter(({ failure }) => failure === undefined)
  const files: Ledger['files'] = new Map()
  for (const { project, file, blob = null, failure } of writes) {
    const ofProject = files.get(project) ?? new Map<string, (string | null)[]>()
    files.set(project, ofProject)
    const before = failure === undefined ? [] : (ofProject.get(file) ?? [null])
    ofProject.set(file, [...before, blob])
  }
  return {
    lines,
    failures: lines.filter(({ failure }) => failure !== undefined),
    acknowledged: new Map(written.map((line) => [line.id, line])),
    files,
  }
}

/**
 * Reads everything back.
 * @param url of one replica
 * @param scope where the files are, beneath their project
 * @returns a sentence for each file that does not hold what was acknowledged
 */
export async function readBack(ledger: Ledger, url: string, scope: string): Promise<string[]> {
  const agent = new Agent({ keepAlive: true })
  const wrong: string[] = []
  const left = [...ledger.files].flatMap(([project, files]) =>
    [...files].map(([file, blobs]) => ({ project, file, blobs })),
  )
  const worker = async () => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      const { project, file, blobs } = next
      const { status, body } = await send(url, {
        method: 'GET',
        path: `/v1/project/${project}${scope}/resource/${encodeURIComponent(file)}`,
        headers: { accept: 'application/octet-stream' },
        agent,
      })
      const held = status === 404 ? null : status === 200 ? blobOf(body) : undefined
      if (held === undefined || !blobs.includes(held))
        wrong.push(`lost: ${project}/${file} at ${url}: ${status}`)
    }
  }
  try {
    await Promise.all(Array.from({ length: 8 }, worker))
  } finally {
    agent.destroy()
  }
  return wrong
}

/** The log itself as a witness: each acknowledged write is one commit, and there is none that nobody sent. */
export async function compareBucket(
  ledger: Ledger,
  readLog: (project: string) => Promise<{ messages: Map<string, number>; faults: string[] }>,
): Promise<string[]> {
  const wrong: string[] = []
  const sent = new Set(ledger.lines.map(({ id }) => id))
  const commits = new Map<string, number>()
  for (const project of ledger.files.keys()) {
    const { messages, faults } = await readLog(project)
    wrong.push(...faults.map((fault) => `log: ${project}: ${fault}`))
    for (const [message, count] of messages) {
      commits.set(message, (commits.get(message) ?? 0) + count)
    }
  }
  for (const id of ledger.acknowledged.keys()) {
    if (!commits.has(id)) wrong.push(`lost: ${id} was acknowledged, and is no commit`)
  }
  for (const [message, count] of commits) {
    if (!message.startsWith('load ')) continue
    if (!sent.has(message)) wrong.push(`unexpected: nobody sent ${message}`)
    if (count > 1) wrong.push(`doubled: ${message} is ${count} commits`)
  }
  return wrong
}
