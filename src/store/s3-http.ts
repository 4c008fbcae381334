import { hash, subtle } from 'node:crypto'
import * as http from 'node:http'
import * as https from 'node:https'
import type { Socket } from 'node:net'
import type { signV4 } from 'minio/dist/esm/signing.mjs'
import { type Call, checkNotEnded } from './calls.ts'
import { type Answer, readAnswer } from './s3-answers.ts'

/** Where a bucket is. */
export interface S3Location {
  bucket: string
  /** What every key begins with, without slashes at its ends; may be empty. */
  prefix: string
  /** Scheme, host and port; AWS's of the region if there is none. */
  endpoint?: string
  region: string
  /** Whether the bucket is a part of the path or of the host's name. */
  style: 'path' | 'virtual'
}

export interface S3Credentials {
  accessKeyId: string
  secretAccessKey: string
  sessionToken?: string | undefined
}

export interface S3Request {
  method: 'GET' | 'PUT' | 'DELETE'
  /** The whole key, with the prefix; `''` asks the bucket itself. */
  key: string
  query?: Record<string, string>
  headers?: Record<string, string>
  body?: Buffer
}

/** Sends signed requests over connections that are kept, each once but for a GET that nothing is heard of. */
export interface S3Http {
  /** @throws what the connection failed with; `call.sent` tells whether a byte may have left */
  send(request: S3Request, call: Call): Promise<Answer>
  close(): void
}

const emptyHash = hash('sha256', '')

/** Servers close connections that are idle, some after a few seconds; closing first avoids sending into one that just ended. */
const idleMs = 5_000

/**
 * So long nothing is heard of a request, and connections are suspected: a firewall may have forgotten them, and says nothing. Those
 * that are idle are closed, and a GET is asked again over a new one, each time; a writer decides for itself what it sends twice.
 */
const silentMs = 900
const largeBytes = 1024 * 1024

/**
 * @param sign minio's signer. It derives the day's key anew for each request: 17 to 33 µs where 4 would do, little enough
 *   for not having one of our own, as what is asked again and again is signed once a second
 */
export function createS3Http(
  location: S3Location,
  credentials: () => S3Credentials,
  sign: typeof signV4,
): S3Http {
  const endpoint = new URL(location.endpoint ?? awsEndpoint(location.region))
  const isSecure = endpoint.protocol === 'https:'
  // A wildcard certificate covers one label, so a bucket with dots cannot be a part of a host's name.
  const isPathStyle = location.style === 'path' || (isSecure && location.bucket.includes('.'))
  const server = isPathStyle
    ? endpoint
    : new URL(`${endpoint.protocol}//${location.bucket}.${endpoint.host}`)
  const hostname = server.hostname.replace(/^\[|\]$/g, '')
  const address = { hostname, port: Number(server.port) || (isSecure ? 443 : 80) }
  const agentOptions = { keepAlive: true, noDelay: true, maxSockets: 256, timeout: idleMs }
  const agent = isSecure ? new https.Agent(agentOptions) : new http.Agent(agentOptions)
  const { request: begin } = isSecure ? https : http

  /** Signed heads of requests without a body, of this second. */
  const recent = { second: 0, heads: new Map<string, Record<string, string>>() }

  async function send(request: S3Request, call: Call): Promise<Answer> {
    const { method, body } = request
    const bodyHash = await payloadHash(body)
    checkNotEnded(call)
    const path = pathOf(request)
    const headers = signed(method, path, bodyHash, request.headers)
    if (body !== undefined) Object.assign(headers, bodyHeaders(body))
    const options = { ...address, method, path, headers, agent, setHost: false }
    return new Promise((resolve, reject) => {
      /** The first, and the last of those that repeat it. */
      const under: http.ClientRequest[] = []
      let silent: NodeJS.Timeout | undefined
      const ask = () => {
        const sent = begin(options, (response) => {
          clearInterval(silent)
          for (const other of under) if (other !== sent) other.destroy()
          readAnswer(response).then(resolve, reject)
        })
        under.push(sent)
        sent.on('error', (error) => {
          const at = under.indexOf(sent)
          if (at >= 0) under.splice(at, 1)
          if (under.length > 0) return
          clearInterval(silent)
          reject(error)
        })
        sent.once('socket', (socket) => markSent(socket, call))
        // Head and body leave in one write: while the rest of a conditional PUT is missing MinIO holds the key's lock, and
        // every read of that key hangs.
        sent.end(body)
      }
      call.onEnd = () => {
        clearInterval(silent)
        for (const sent of under) sent.destroy()
      }
      ask()
      let isSuspected = false
      silent = setInterval(() => {
        // A large body takes its time.
        if (!isSuspected && (body?.length ?? 0) < largeBytes) closeIdle()
        isSuspected = true
        if (method !== 'GET') return
        // A store that is slow answers the first: more than one beside it would make it slower.
        if (under.length > 1) under.splice(1, 1)[0]?.destroy()
        ask()
      }, silentMs)
    })
  }

  function closeIdle(): void {
    for (const socket of Object.values(agent.freeSockets).flat()) socket?.destroy()
  }

  function markSent(socket: Socket, call: Call): void {
    if (!socket.connecting) call.sent = true
    else {
      socket.once(isSecure ? 'secureConnect' : 'connect', () => {
        call.sent = true
      })
    }
  }

  function pathOf({ key, query }: S3Request): string {
    const bucket = isPathStyle ? `/${location.bucket}` : ''
    const path = key === '' && bucket !== '' ? bucket : `${bucket}/${escapeKey(key)}`
    if (query === undefined) return path
    const pairs = Object.entries(query).map(([name, value]) => `${name}=${percentEncode(value)}`)
    return `${path}?${pairs.sort().join('&')}`
  }

  /** Signatures are dated in seconds: within one, the same request (a probe of the same slot) has the same signature. */
  function signed(method: string, path: string, hash: string, more?: Record<string, string>) {
    const used = credentials()
    const now = new Date()
    if (hash !== emptyHash) return signAnew({ method, path, hash, more, used, now })
    const second = Math.floor(now.getTime() / 1_000)
    if (recent.second !== second) {
      recent.second = second
      recent.heads.clear()
    }
    const id = JSON.stringify([method, path, more, used])
    const known = recent.heads.get(id)
    if (known !== undefined) return { ...known }
    const head = signAnew({ method, path, hash, more, used, now })
    recent.heads.set(id, head)
    return { ...head }
  }

  function signAnew(parts: {
    method: string
    path: string
    hash: string
    more: Record<string, string> | undefined
    used: S3Credentials
    now: Date
  }) {
    const { method, path, hash, more, used, now } = parts
    const { accessKeyId, secretAccessKey, sessionToken } = used
    const headers: Record<string, string> = {
      host: server.host,
      'x-amz-content-sha256': hash,
      'x-amz-date': now.toISOString().replace(/[-:]|\.\d+/g, ''),
      ...(sessionToken && { 'x-amz-security-token': sessionToken }),
      ...more,
    }
    const request = { protocol: endpoint.protocol, method, path, headers }
    const authorization = sign(request, accessKeyId, secretAccessKey, location.region, now, hash)
    return { ...headers, authorization }
  }

  /** Over TLS a large body need not be hashed too; without it the hash is all that guards the bytes. */
  async function payloadHash(body: Buffer | undefined): Promise<string> {
    if (body === undefined || body.length === 0) return emptyHash
    return isSecure && body.length > 1_048_576 ? 'UNSIGNED-PAYLOAD' : sha256(body)
  }

  return { send, close: () => agent.destroy() }
}

/** The address of AWS's S3 in a region. @see https://docs.aws.amazon.com/general/latest/gr/s3.html */
function awsEndpoint(region: string): string {
  return `https://s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`
}

function bodyHeaders(body: Buffer) {
  return { 'content-length': body.length, 'content-type': 'application/octet-stream' }
}

function escapeKey(key: string): string {
  return percentEncode(key).replace(/%2F/g, '/')
}

/** Signature version 4 escapes more than `encodeURIComponent`. */
function percentEncode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** From this size on a body is hashed on another thread, so that it does not hold up everybody else. */
const asideFromBytes = 256 * 1024

async function sha256(body: Buffer): Promise<string> {
  if (body.length < asideFromBytes) return hash('sha256', body)
  return Buffer.from(await subtle.digest('SHA-256', body)).toString('hex')
}
