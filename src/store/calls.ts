import { setMaxListeners } from 'node:events'
import { type CallOptions, StoreError } from './store.ts'

/** What the work of one call knows of its end. */
export interface Call {
  /** The work sets it before the first step that may change the store: from then on a failure is ambiguous. */
  sent: boolean
  /** True once the caller was told; what has not been sent then must never be. */
  readonly ended: boolean
  /** Called once when the call ends before its work does; ends the request beneath. */
  onEnd: (() => void) | null
}

export interface Calls {
  /**
   * Runs one call until its answer, its deadline, its signal or `close`, whichever is first.
   * @throws StoreError with reason `timeout`, `aborted` or `closed`; definite where nothing was sent
   */
  run<T>(options: CallOptions, work: (call: Call) => Promise<T>): Promise<T>
  /** Ends every call under way and refuses later ones. */
  close(): void
}

/** The deadlines, signals and closing of an adapter's calls. */
export function createCalls(): Calls {
  const endings = new Set<(reason: string) => void>()
  let closed = false

  function run<T>({ timeoutMs, signal }: CallOptions, work: (call: Call) => Promise<T>) {
    if (closed) return Promise.reject(endedError('closed', true))
    if (signal?.aborted) return Promise.reject(endedError('aborted', true))
    return new Promise<T>((resolve, reject) => {
      const call = { sent: false, ended: false, onEnd: null as (() => void) | null }
      const settle = () => {
        call.ended = true
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
        endings.delete(end)
      }
      const end = (reason: string) => {
        if (call.ended) return
        settle()
        reject(endedError(reason, !call.sent))
        call.onEnd?.()
      }
      const onAbort = () => end('aborted')
      const timer = setTimeout(end, timeoutMs, 'timeout')
      if (signal !== undefined) {
        // Node takes more than ten listeners for a leak; a shutdown's signal is shared by every call under way.
        setMaxListeners(0, signal)
        signal.addEventListener('abort', onAbort, { once: true })
      }
      endings.add(end)
      work(call).then(
        (value) => {
          if (call.ended) return
          settle()
          resolve(value)
        },
        (error) => {
          if (call.ended) return
          settle()
          reject(error)
        },
      )
    })
  }

  function close() {
    closed = true
    for (const end of [...endings]) end('closed')
  }

  return { run, close }
}

/** Stops work whose caller was told already. @throws StoreError, seen by nobody */
export function checkNotEnded(call: Call): void {
  if (call.ended) throw endedError('aborted', true)
}

const sentences: Record<string, string> = {
  timeout: 'the store did not answer in time',
  aborted: 'the call was aborted',
  closed: 'the store is closed',
}

function endedError(reason: string, definite: boolean): StoreError {
  return new StoreError(sentences[reason] ?? reason, { definite, reason })
}
