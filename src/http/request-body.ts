/** The bytes of a request's body: never more than allowed, never longer than allowed, and all bodies within one budget. */
import type { IncomingMessage } from 'node:http'
import { ServiceError } from '../errors.ts'
import type { ByteBudget } from './byte-budget.ts'

export interface BodyLimits {
  /** 413 beyond it. */
  maxBytes: number
  /** Milliseconds for the whole body, counted from the head; 408 past it. */
  timeoutMs: number
}

/** A client is told of a refusal only after it was heard out, or it would see a reset instead: so long, and so many bodies. */
const discardMs = 5_000
const discardBodies = 4

/**
 * Reads a body whole.
 * @returns its bytes, and what gives their budget back once they are no longer needed
 * @throws body_too_large, request_timeout, client_gone, overloaded
 */
export async function readBody(
  request: IncomingMessage,
  limits: BodyLimits,
  budget: ByteBudget,
): Promise<{ bytes: Buffer; release: () => void }> {
  const declared = declaredBytes(request)
  if (declared === 0) return { bytes: Buffer.alloc(0), release() {} }
  if (declared !== null && declared > limits.maxBytes) throw await tooLarge(request, limits)
  const release = await budget.take(declared ?? limits.maxBytes, request)
  try {
    const bytes = await collect(request, limits)
    if (bytes === 'too large') throw await tooLarge(request, limits)
    return { bytes, release }
  } catch (error) {
    release()
    throw error
  }
}

/** @returns null for a body in chunks, whose length nobody knows before its end */
function declaredBytes(request: IncomingMessage): number | null {
  if (request.headers['transfer-encoding'] !== undefined) return null
  return Number(request.headers['content-length'] ?? 0)
}

function collect(request: IncomingMessage, limits: BodyLimits): Promise<Buffer | 'too large'> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let sizeBytes = 0
    const timer = setTimeout(
      () => settle(() => reject(new ServiceError('request_timeout', timeoutSentence(limits)))),
      limits.timeoutMs,
    )
    const onData = (chunk: Buffer) => {
      sizeBytes += chunk.length
      if (sizeBytes > limits.maxBytes) settle(() => resolve('too large'))
      else chunks.push(chunk)
    }
    const onEnd = () => settle(() => resolve(Buffer.concat(chunks, sizeBytes)))
    const onGone = () => settle(() => reject(new ServiceError('client_gone', 'half a body')))
    const settle = (then: () => void) => {
      clearTimeout(timer)
      request.off('data', onData).off('end', onEnd).off('close', onGone).off('error', onGone)
      then()
    }
    request.on('data', onData).on('end', onEnd).on('close', onGone).on('error', onGone)
  })
}

function timeoutSentence({ timeoutMs }: BodyLimits): string {
  return `the body did not arrive within ${timeoutMs / 1000} s`
}

async function tooLarge(request: IncomingMessage, limits: BodyLimits): Promise<ServiceError> {
  await discard(request, limits.maxBytes * discardBodies)
  return new ServiceError('body_too_large', `the body is larger than ${limits.maxBytes} bytes`)
}

function discard(request: IncomingMessage, maxBytes: number): Promise<void> {
  return new Promise((resolve) => {
    let sizeBytes = 0
    const timer = setTimeout(() => done(), discardMs)
    const onData = (chunk: Buffer) => {
      sizeBytes += chunk.length
      if (sizeBytes > maxBytes) done()
    }
    const done = () => {
      clearTimeout(timer)
      request.off('data', onData).off('end', done).off('close', done).off('error', done)
      request.pause()
      resolve()
    }
    request.on('data', onData).on('end', done).on('close', done).on('error', done)
    if (request.readableEnded || request.destroyed) done()
  })
}
