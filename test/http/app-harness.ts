/** An app on a free port, over resources that a test makes up; and requests that are sent as they are written. */
import { createServer, type IncomingHttpHeaders, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Oid } from '../../src/git/objects.ts'
import { type AppParts, createApp } from '../../src/http/app.ts'
import { type Observer, silent } from '../../src/observe.ts'
import type { Outcome, Proof } from '../../src/repository/repository.ts'
import type { Resources } from '../../src/resources/resources.ts'

export const fresh: Proof = { ageSeconds: 0, stale: false, immutable: false }
export const commitA = 'a'.repeat(40) as Oid
export const blobB = 'b'.repeat(40) as Oid

export interface Line {
  level: string
  event: string
  [field: string]: unknown
}

export interface RunningApp {
  port: number
  lines: Line[]
  counted: { metric: string; labels: unknown }[]
  server: Server
  close(): Promise<void>
}

/** @param resources a method that is not given fails the test that reaches it */
export async function startApp(
  resources: Partial<Resources> = {},
  parts: Partial<Omit<AppParts, 'settings'>> & { settings?: Partial<AppParts['settings']> } = {},
): Promise<RunningApp> {
  const { settings, ...others } = parts
  const lines: Line[] = []
  const counted: RunningApp['counted'] = []
  const observer: Observer = {
    ...silent,
    log: (level, event, fields) => lines.push({ level, event, ...fields }),
    count: (metric, labels) => counted.push({ metric, labels }),
  }
  const app = createApp({
    resources: fake(resources),
    observer,
    health: {
      ready: () => ({ ok: true, checks: [{ name: 'store', ok: true }] }),
      started: () => ({ ok: true, checks: [] }),
    },
    metrics: async () => ({ text: 'm 1\n', contentType: 'text/plain; version=0.0.4' }),
    settings: {
      maxBodyBytes: 1024 * 1024,
      readMaxStaleSeconds: 0,
      requestTimeoutMs: 5_000,
      author: { name: 'keptn', email: 'keptn@keptn.sh' },
      publicPathPrefix: '',
      ...settings,
    },
    ...others,
  })
  const server = createServer(app.callback())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    port,
    lines,
    counted,
    server,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export interface Received {
  status: number
  headers: IncomingHttpHeaders
  bytes: Buffer
  text: string
  /** Parsed, where it is JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: a test looks for whatever should be there
  json: any
}

/** Sends a request whose path reaches the server as it stands. */
export function send(
  port: number,
  method: string,
  path: string,
  options: {
    headers?: Record<string, string | string[]>
    body?: string | Buffer | undefined
    json?: unknown
  } = {},
): Promise<Received> {
  const plain = options.json === undefined ? options.body : JSON.stringify(options.json)
  // As a string it would share one encoding with the head, whose bytes are one character each.
  const body = plain === undefined ? undefined : Buffer.from(plain)
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', port, method, path, agent: false, headers: options.headers ?? {} },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const bytes = Buffer.concat(chunks)
          const text = bytes.toString()
          const isJson = response.headers['content-type']?.startsWith('application/json')
          const json = isJson && text !== '' ? JSON.parse(text) : undefined
          const { statusCode: status = 0, headers } = response
          resolve({ status, headers, bytes, text, json })
        })
      },
    )
    sent.on('error', reject)
    if (body !== undefined) sent.setHeader('Content-Length', body.length)
    sent.end(body)
  })
}

/** Success of a write. */
export const written = (status: number): Outcome => ({ status, commit: commitA })

function fake(resources: Partial<Resources>): Resources {
  return new Proxy(resources as Resources, {
    get(target, name: keyof Resources) {
      if (name in target) return target[name]
      return () => Promise.reject(new Error(`${name} was not expected`))
    },
  })
}
