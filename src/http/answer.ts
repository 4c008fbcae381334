/** What a handler answers; `app.ts` alone writes it to the socket. */
export interface Answer {
  status: number
  headers: Record<string, string | number>
  body: Buffer | string | null
  /** Error code for the log line and the metrics. */
  code?: string
  /** Called once the answer was sent, or the client is gone. */
  release?: () => void
}

export const jsonType = 'application/json; charset=utf-8'

/** An answer of JSON. @param headers added to the content type */
export function json(status: number, value: unknown, headers?: Record<string, string>): Answer {
  return {
    status,
    headers: { 'Content-Type': jsonType, ...headers },
    body: JSON.stringify(value),
  }
}

/** An answer of plain text. */
export function text(status: number, body: string): Answer {
  return { status, headers: { 'Content-Type': 'text/plain; charset=utf-8' }, body }
}

/** An answer without a body: 204, 304, or an empty 200. */
export function empty(status: number, headers: Record<string, string> = {}): Answer {
  return { status, headers, body: null }
}

/** Size of the body, bytes. */
export function sizeOf({ headers, body }: Answer): number {
  if (body === null) return 0
  headers['Content-Length'] ??= Buffer.byteLength(body)
  return Number(headers['Content-Length'])
}
