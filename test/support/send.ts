/** One HTTP request as the wire has it: nothing is retried, followed or decoded, and every failure of the connection is told. */
import { type Agent, type ClientRequest, type IncomingHttpHeaders, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Sent {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'
  path: string
  headers?: Record<string, string>
  body?: Buffer | string
  /** Sends the body in ten pieces over so long, milliseconds. */
  sendMs?: number
  /** Once it is there, what is left of such a body is sent at once. */
  hurry?: Promise<unknown>
  agent?: Agent
  /** Until the whole answer is there, milliseconds; default 60,000. */
  timeoutMs?: number
}

export interface Answered {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
}

/**
 * Sends a request and reads the whole answer.
 * @param base `http://host:port`
 * @throws the connection's error, also where the answer ends before it is whole
 */
export function send(base: string, { path, body, timeoutMs = 60_000, ...sent }: Sent) {
  return new Promise<Answered>((resolve, reject) => {
    const { agent, method, headers = {} } = sent
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
    const outgoing = request(`${base}${path}`, {
      method,
      headers: { ...length, ...headers },
      ...(agent && { agent }),
    })
    const timer = setTimeout(() => {
      outgoing.destroy(new Error(`no answer in ${timeoutMs} ms`))
    }, timeoutMs)
    const fail = (error: Error) => {
      clearTimeout(timer)
      reject(error)
    }
    outgoing.once('error', fail)
    outgoing.once('response', (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.once('error', fail)
      incoming.once('close', () => {
        if (!incoming.complete) return fail(new Error('the answer ended before it was whole'))
        clearTimeout(timer)
        const { statusCode = 0 } = incoming
        resolve({ status: statusCode, headers: incoming.headers, body: Buffer.concat(chunks) })
      })
    })
    if (sent.sendMs === undefined) outgoing.end(body)
    else void sendSlowly(outgoing, Buffer.from(body ?? ''), sent.sendMs, sent.hurry)
  })
}

async function sendSlowly(
  outgoing: ClientRequest,
  body: Buffer,
  sendMs: number,
  hurry?: Promise<unknown>,
): Promise<void> {
  const pieceBytes = Math.ceil(body.length / 10)
  for (let at = 0; at < body.length && !outgoing.destroyed; at += pieceBytes) {
    outgoing.write(body.subarray(at, at + pieceBytes))
    const pause = sleep(sendMs / 10)
    await (hurry === undefined ? pause : Promise.race([pause, hurry]))
  }
  outgoing.end()
}

/** What an answer of JSON says. */
export function jsonOf<T>({ body }: Answered): T {
  return JSON.parse(body.toString('utf8')) as T
}
