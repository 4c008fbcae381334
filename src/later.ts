/** Things that are there later than those who use them. */

/**
 * Stands for an object whose methods all return promises, until it is there; until then each call fails.
 * @param explain makes the error
 */
export function createLater<T extends object>(
  explain: () => Error,
): { standIn: T; arrived(thing: T): void } {
  let there: T | undefined
  const standIn = new Proxy({} as T, {
    get(_target, name) {
      if (there !== undefined) return Reflect.get(there, name)
      return () => Promise.reject(explain())
    },
  })
  return {
    standIn,
    arrived(thing) {
      there = thing
    },
  }
}

/**
 * Tries until it works.
 * @param options.attempt one try
 * @param options.onFailure told of each failure
 * @param options.firstDelayMs wait after the first failure; doubles up to `maxDelayMs`
 * @returns what the try that worked gave; `undefined` where the signal ended it
 */
export async function untilItWorks<T>(options: {
  attempt: () => Promise<T>
  onFailure: (error: unknown, attempt: number) => void
  firstDelayMs: number
  maxDelayMs: number
  signal: AbortSignal
}): Promise<T | undefined> {
  let delayMs = options.firstDelayMs
  for (let attempt = 1; !options.signal.aborted; attempt++) {
    try {
      return await options.attempt()
    } catch (error) {
      if (options.signal.aborted) return undefined
      options.onFailure(error, attempt)
    }
    await pause(delayMs, options.signal)
    delayMs = Math.min(delayMs * 2, options.maxDelayMs)
  }
  return undefined
}

function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, delayMs)
    signal.addEventListener('abort', done)
  })
}
