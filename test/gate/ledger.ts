/**
 * What a client was told, line by line in a file: each request that was sent, and how it ended. Whatever was acknowledged has to
 * be there in the end, once, through every replica and in the bucket.
 */
import { readFileSync } from 'node:fs'
import { Agent } from 'node:http'
import { send } from '../support/send.ts'

/** One request. */
export interface LedgerLine {
  id: string
  kind: 'post' | 'get' | 'put' | 'delete' | 'long' | 'slow'
  project: string
  file: string
  /** What a write wrote; null for a delete. */
  content?: string | null
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
  /** Of each project, what each file must hold; null: nothing. */
  files: Map<string, Map<string, string | null>>
}

export function readLedger(path: string): Ledger {
  const texts = readFileSync(path, 'utf8').split('\n').filter(Boolean)
  const lines = texts.map((text) => JSON.parse(text) as LedgerLine)
  const written = lines.filter(({ kind, failure }) => kind !== 'get' && failure === undefined)
  const files: Ledger['files'] = new Map()
  for (const { project, file, content = null } of written) {
    if (!files.has(project)) files.set(project, new Map())
    files.get(project)?.set(file, content)
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
    [...files].map(([file, content]) => ({ project, file, content })),
  )
  const worker = async () => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      const { project, file, content } = next
      const { status, body } = await send(url, {
        method: 'GET',
        path: `/v1/project/${project}${scope}/resource/${encodeURIComponent(file)}`,
        headers: { accept: 'application/octet-stream' },
        agent,
      })
      const held = status === 404 ? null : status === 200 ? body.toString('utf8') : undefined
      if (held !== content) wrong.push(`${project}/${file} at ${url}: ${status}`)
    }
  }
  try {
    await Promise.all(Array.from({ length: 8 }, worker))
  } finally {
    agent.destroy()
  }
  return wrong
}
