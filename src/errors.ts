/**
 * The closed set of errors. A code is API: it stands in entries of the log (`outcome.code`) and in metrics, so a code is
 * never renamed. A sentence is not API. Each code has one HTTP status, which the log records beside it; how an error is
 * rendered is told in `http/errors.ts` alone.
 */
export const statusOfError = {
  /** The request itself is wrong, whatever the state of the project. Fix it. */
  invalid_request: 400,
  /** What is asked for exists in Keptn and not here (yet). Give up. */
  not_supported: 400,
  /** The commit that was asked for is proven not to be one of this project. Fix it. */
  commit_not_found: 400,
  unauthorized: 401,
  forbidden: 403,
  route_not_found: 404,
  project_not_found: 404,
  stage_not_found: 404,
  service_not_found: 404,
  resource_not_found: 404,
  /** The body of the request did not arrive in time. Send it again. */
  request_timeout: 408,
  project_exists: 409,
  stage_exists: 409,
  service_exists: 409,
  /** The change cannot stand beside what the project holds (a file where a folder is needed, a reserved name). */
  conflict: 409,
  /** If-Match or If-None-Match did not hold. Read again. */
  precondition_failed: 412,
  body_too_large: 413,
  unsupported_media_type: 415,
  /** The Idempotency-Key was used for another request. Take a new one. */
  key_reused: 422,
  /** The client went away before it was answered. */
  client_gone: 499,
  internal: 500,
  /** Too much waits already. Nothing was written; retry. */
  overloaded: 503,
  /** The write may have taken effect, or may yet, once at most. Read before you write again, or retry with a key. */
  outcome_unknown: 503,
  /** The write did not take effect and never will. Retry. */
  not_written: 503,
  /** The bucket did not answer, or not in time. Retry. */
  store_unavailable: 503,
  /** The start-up probe found that the store breaks the contract: no writes. An operator acts. */
  store_unfit: 503,
  /** The project's log is not what it was. An operator acts. */
  project_stopped: 503,
  /** The project's format is one that this build may not read, or not write. Another replica may. */
  format_unsupported: 503,
} as const

export type ErrorCode = keyof typeof statusOfError

/** Every failure that has a code. `message` is for people; `data` is for tests and logs, never a secret. */
export class ServiceError extends Error {
  readonly code: ErrorCode
  readonly data: Readonly<Record<string, unknown>>

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; data?: Record<string, unknown> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'ServiceError'
    this.code = code
    this.data = options.data ?? {}
  }

  /** The HTTP status of the code, 400 to 599. */
  get status(): number {
    return statusOfError[this.code]
  }
}

/** The refusal of a commit that no entry of a project made; Keptn's words, for clients look for them. */
export function commitNotFound(project: string, commit: string): ServiceError {
  const message = `could not check out ${commit}: no such commit in project ${project}`
  return new ServiceError('commit_not_found', message)
}

/** Tells whether an unknown thing is a `ServiceError`, of the given code if one is given. */
export function isServiceError(error: unknown, code?: ErrorCode): error is ServiceError {
  return error instanceof ServiceError && (code === undefined || error.code === code)
}

/** A refusal is an answer about the request (4xx): it may be recorded in the log, an outage may not. */
export function isRefusal(error: unknown): error is ServiceError {
  return error instanceof ServiceError && error.status < 500 && error.code !== 'client_gone'
}

/** What an error says, for a person. */
export function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
