import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { StoreError } from './store.ts'

/** An answer of the store, read whole. */
export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
}

/** Reads an answer to its end. @throws what the socket failed with */
export function readAnswer(response: IncomingMessage): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    response.on('data', (piece) => pieces.push(piece))
    response.on('end', () => {
      const body = pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces)
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body })
    })
    response.on('error', reject)
  })
}

/** The store's clock when it answered, milliseconds since the epoch. */
export function dateOf(headers: IncomingHttpHeaders): number {
  const dateMs = Date.parse(headers.date ?? '')
  return Number.isNaN(dateMs) ? Date.now() : dateMs
}

/** The error code in an answer's XML (`NoSuchKey`), or `HTTP 503` where it has none. */
export function codeOf({ status, body }: Answer): string {
  return element(body, 'Code') ?? `HTTP ${status}`
}

/** Turns an answer that is no success into the error that tells what it proves. */
export function answerError(what: string, answer: Answer): StoreError {
  const reason = codeOf(answer)
  const sentence = sentenceOf(reason, answer)
  return new StoreError(`${what}: ${reason}: ${sentence}`, {
    definite: provesNoEffect(answer.status, reason),
    reason,
  })
}

/**
 * Tells whether an answer proves that a request had no effect and never will. Servers and proxies answer 408, 429 and 5xx
 * also to what they have carried out, or still do.
 */
function provesNoEffect(status: number, code: string): boolean {
  if (code === 'RequestTimeout') return false
  if (status === 404) return code === 'NoSuchBucket'
  return [301, 307, 308, 400, 401, 403, 405, 411, 413, 416].includes(status)
}

function sentenceOf(code: string, { headers, body }: Answer): string {
  if (code === 'RequestTimeTooSkewed') {
    const seconds = Math.round((Date.now() - dateOf(headers)) / 1000)
    return `the clock of this machine is ${seconds} s ahead of the store's; set it right`
  }
  const region = headers['x-amz-bucket-region'] ?? element(body, 'Region')
  const hint = region === undefined ? '' : ` (the store says region ${region})`
  return `${element(body, 'Message') ?? 'no reason given'}${hint}`
}

function element(body: Buffer, name: string): string | undefined {
  if (body.length > 65_536) return undefined
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(body.toString())?.[1]
}
