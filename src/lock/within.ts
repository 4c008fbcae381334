/**
 * Waits for an answer, at most some time, at most until a signal. Where this process was held up itself, an answer that has
 * arrived meanwhile still counts.
 * @returns what the promise gives, or undefined where it was too late
 */
export function within<T>(answer: Promise<T>, limitMs: number, signal?: AbortSignal) {
  return new Promise<T | undefined>((resolve, reject) => {
    const finish = (value?: T) => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', giveUp)
      resolve(value)
    }
    const giveUp = () => finish()
    const timer = setTimeout(() => setImmediate(giveUp), limitMs)
    signal?.addEventListener('abort', giveUp)
    if (signal?.aborted) giveUp()
    answer.then(finish, reject)
  })
}
