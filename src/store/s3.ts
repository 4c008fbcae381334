import { type Call, createCalls } from './calls.ts'
import { checkKey } from './keys.ts'
import type { RuledStore } from './probe.ts'
import { type Answer, answerError, codeOf, dateOf } from './s3-answers.ts'
import { createS3Http, type S3Credentials, type S3Location, type S3Request } from './s3-http.ts'
import { listQuery, parseList } from './s3-list.ts'
import { lifecycleRules, replicationRules } from './s3-rules.ts'
import { type CallOptions, StoreError } from './store.ts'

export type { S3Credentials, S3Location } from './s3-http.ts'

/**
 * Opens a bucket as a store; connects to nothing yet. Of minio's client only the signer is used. Its calls can be neither
 * aborted nor given a deadline, a GET cannot be conditional, a failure of 408, 429 or 5xx loses its status and leaves the
 * answer unread on its socket, bodies above its part size become multipart uploads, whose condition holds only at their
 * begin, and for its lists see `s3-list.ts`.
 * @param options.credentials asked before each request, so that they may change
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
 */
export async function openS3Store(
  options: S3Location & { credentials: () => S3Credentials },
): Promise<RuledStore> {
  const { signV4 } = await import('minio/dist/esm/signing.mjs')
  const prefix = options.prefix === '' ? '' : `${options.prefix}/`
  const http = createS3Http(options, options.credentials, signV4)
  const calls = createCalls()

  return {
    async get(key, { range, ifNoneMatch, ...callOptions }) {
      const headers = {
        ...(range && { range: `bytes=${range.start}-${range.end}` }),
        ...(ifNoneMatch && { 'if-none-match': ifNoneMatch }),
      }
      const answer = await sendForKey(key, { method: 'GET', headers }, callOptions)
      if (answer.status === 304) return 'not-modified'
      // Only this code: a missing bucket, a proxy's page or a bare 404 proves nothing about the key.
      if (answer.status === 404 && codeOf(answer) === 'NoSuchKey') return null
      if (answer.status !== 200 && answer.status !== 206) throw answerError(`get ${key}`, answer)
      const isWhole = range !== undefined && answer.status === 200
      const body = isWhole ? answer.body.subarray(range.start, range.end + 1) : answer.body
      const lastModifiedMs = Date.parse(answer.headers['last-modified'] ?? '')
      return { body, etag: etagOf(answer), lastModifiedMs, dateMs: dateOf(answer.headers) }
    },

    async create(key, body, callOptions) {
      const headers = { 'if-none-match': '*' }
      const answer = await sendForKey(key, { method: 'PUT', headers, body }, callOptions)
      if (answer.status === 200) return { result: 'created', etag: etagOf(answer) }
      if (answer.status === 412) return { result: 'exists' }
      if (answer.status === 409 && undecided.has(codeOf(answer))) return { result: 'conflict' }
      throw answerError(`create ${key}`, answer)
    },

    async put(key, body, callOptions) {
      const answer = await sendForKey(key, { method: 'PUT', body }, callOptions)
      if (answer.status !== 200) throw answerError(`put ${key}`, answer)
      return { etag: etagOf(answer) }
    },

    async list(listOptions) {
      const query = listQuery(prefix, listOptions)
      const answer = await send({ method: 'GET', key: '', query }, listOptions)
      if (answer.status !== 200) throw answerError(`list ${listOptions.prefix}`, answer)
      try {
        return parseList(prefix, listOptions, answer)
      } catch (cause) {
        const message = `list ${listOptions.prefix}: ${String(cause)}`
        throw new StoreError(message, { definite: true, reason: 'InvalidAnswer', cause })
      }
    },

    async delete(key, callOptions) {
      const answer = await sendForKey(key, { method: 'DELETE' }, callOptions)
      if (answer.status === 200 || answer.status === 204) return
      if (answer.status === 404 && codeOf(answer) === 'NoSuchKey') return
      throw answerError(`delete ${key}`, answer)
    },

    async bucketRules(callOptions) {
      const [lifecycle, replication] = await Promise.all([
        askRules('lifecycle', callOptions),
        askRules('replication', callOptions),
      ])
      return [...lifecycleRules(prefix, lifecycle), ...replicationRules(prefix, replication)]
    },

    async close() {
      calls.close()
      http.close()
    },
  }

  async function sendForKey(
    key: string,
    request: Omit<S3Request, 'key'>,
    callOptions: CallOptions,
  ) {
    checkKey(key)
    return send({ ...request, key: prefix + key }, callOptions)
  }

  /** @returns the rules in XML, empty where there are none or where it may not be asked */
  async function askRules(kind: string, callOptions: CallOptions): Promise<string> {
    const query = { [kind]: '' }
    const answer = await send({ method: 'GET', key: '', query }, callOptions)
    if (answer.status === 200) return answer.body.toString()
    const isMissingBucket = codeOf(answer) === 'NoSuchBucket'
    if ([403, 404, 405, 501].includes(answer.status) && !isMissingBucket) return ''
    throw answerError(`ask for the ${kind} rules`, answer)
  }

  function send(request: S3Request, callOptions: CallOptions): Promise<Answer> {
    return calls.run(callOptions, async (call) => {
      try {
        return await http.send(request, call)
      } catch (error) {
        throw connectionError(error, call)
      }
    })
  }
}

/** The store could not decide between two writers and wrote nothing. */
const undecided = new Set(['ConditionalRequestConflict', 'OperationAborted'])

function etagOf({ headers }: Answer): string {
  return headers.etag ?? ''
}

/** What failed before a byte of the request left the machine had no effect; nothing is known of the rest. */
function connectionError(error: unknown, call: Call): StoreError {
  if (error instanceof StoreError) return error
  const { code, message } = error as NodeJS.ErrnoException
  const reason = code ?? 'Failed'
  const sentence = message.includes(reason) ? message : `${reason}: ${message}`
  return new StoreError(sentence, { definite: !call.sent, reason, cause: error })
}
