/** How errors are rendered, and nowhere else: Keptn's `{"code","message"}`. @see docs/design.md, section 2 */
import { commitNotFound, type ErrorCode, ServiceError, statusOfError } from '../errors.ts'
import type { Outcome } from '../repository/repository.ts'
import { type Answer, json, text } from './answer.ts'
import type { Match } from './call.ts'

interface Rendering {
  /** What is said where the error brings no sentence of its own, as a keyed refusal that is repeated from the log. */
  sentence: string
  /** Seconds. */
  retryAfter?: number
}

const renderings: Record<ErrorCode, Rendering> = {
  invalid_request: { sentence: 'Invalid request format' },
  not_supported: { sentence: 'not supported' },
  commit_not_found: { sentence: 'could not check out the commit: no such commit' },
  unauthorized: { sentence: 'a valid token is needed' },
  forbidden: { sentence: 'the token does not allow this' },
  route_not_found: { sentence: '404 page not found' },
  project_not_found: { sentence: 'Project not found' },
  stage_not_found: { sentence: 'Stage not found' },
  service_not_found: { sentence: 'Service not found' },
  resource_not_found: { sentence: 'Resource not found' },
  request_timeout: { sentence: 'the body did not arrive in time' },
  project_exists: { sentence: 'Project already exists' },
  stage_exists: { sentence: 'Stage already exists' },
  service_exists: { sentence: 'Service already exists' },
  conflict: { sentence: 'the change conflicts with what the project holds' },
  precondition_failed: { sentence: 'the precondition does not hold' },
  body_too_large: { sentence: 'the body is too large' },
  unsupported_media_type: { sentence: 'unsupported media type' },
  key_reused: { sentence: 'the Idempotency-Key was used for another request' },
  client_gone: { sentence: 'the client went away' },
  internal: { sentence: 'Internal server error' },
  overloaded: { sentence: 'too much waits already; nothing was written', retryAfter: 1 },
  outcome_unknown: {
    sentence: 'the outcome is unknown: read before you write again',
    retryAfter: 1,
  },
  not_written: { sentence: 'nothing was written; retry', retryAfter: 1 },
  store_unavailable: { sentence: 'the store does not answer', retryAfter: 2 },
  store_unfit: { sentence: 'the store breaks its contract: no writes', retryAfter: 30 },
  project_stopped: { sentence: 'the project is stopped', retryAfter: 30 },
  format_unsupported: { sentence: 'this build cannot work at the project format', retryAfter: 5 },
}

/** What an unknown failure is to its client; what it was stands in the log alone. */
export function asServiceError(failure: unknown): ServiceError {
  if (failure instanceof ServiceError) return failure
  return new ServiceError('internal', renderings.internal.sentence, { cause: failure })
}

/**
 * Renders an error.
 * @param read what was to be read, if that is what failed: older clients take any text but Keptn's "could not check out", and any
 *   "not found", for "no such file"
 */
export function renderError(error: ServiceError, read?: Match): Answer {
  const own = error.code === 'internal' ? '' : error.message
  const sentence = own === '' ? renderings[error.code].sentence : own
  if (error.code === 'route_not_found') return { ...text(404, sentence), code: error.code }
  return render(
    error.code,
    error.status,
    read === undefined ? sentence : ofRead(error, sentence, read),
  )
}

function ofRead(error: ServiceError, sentence: string, { scope, query }: Match): string {
  if (scope === undefined) return sentence
  if (error.code === 'commit_not_found') {
    const commit = query.get('gitCommitID') || query.get('commitID')
    return commit ? commitNotFound(scope.project, commit).message : sentence
  }
  if (error.status < 500) return sentence
  return `could not check out ${scope.project}: ${sentence.replace(/not found/gi, 'missing')}`
}

/**
 * Renders the refusal of a write, from the log alone: a retry gets the same answer from any build.
 * @param outcome of 4xx
 */
export function renderRefusal(outcome: Outcome): Answer {
  const code = outcome.code ?? 'invalid_request'
  return render(code, outcome.status, outcome.message ?? renderings[code].sentence)
}

/** The refusal of a URL or a method that is no route. */
export function noSuchRoute(): ServiceError {
  return new ServiceError('route_not_found', renderings.route_not_found.sentence)
}

function render(code: ErrorCode, status: number, message: string): Answer {
  const { retryAfter } = renderings[code]
  const answer = json(status, { code: status, message })
  answer.code = code
  if (status === 503) answer.headers['Retry-After'] = retryAfter ?? 1
  if (code === 'unauthorized') answer.headers['WWW-Authenticate'] = 'Bearer'
  return answer
}

/** The status of each code, for the document of the API. */
export const statusByCode: Readonly<Record<ErrorCode, number>> = statusOfError
