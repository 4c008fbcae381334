/** How long clients waited for a good answer. */
export interface Outages {
  /** A client begins to ask, for the first time since it was answered well, or not. */
  begin(client: number): void
  /** It was answered well. */
  end(client: number): void
  /** Most clients ask no more: what all of them saw ends here, and who still waits is counted for itself. */
  close(): void
  /** The longest time from a client's first request to a good answer, of that or a later one, milliseconds. */
  readonly ofOneMs: number
  /** The longest time in which no client was answered well, milliseconds. */
  readonly ofAllMs: number
}

/** @param nowMs the time, milliseconds; for tests */
export function createOutages(nowMs: () => number = () => performance.now()): Outages {
  const since = new Map<number, number>()
  let lastGoodMs: number | undefined
  let isClosed = false
  let ofOneMs = 0
  let ofAllMs = 0
  const noteAll = () => {
    const [first = nowMs()] = since.values()
    if (!isClosed) ofAllMs = Math.max(ofAllMs, nowMs() - (lastGoodMs ?? first))
  }
  return {
    begin(client) {
      if (!since.has(client)) since.set(client, nowMs())
    },
    end(client) {
      ofOneMs = Math.max(ofOneMs, nowMs() - (since.get(client) ?? nowMs()))
      noteAll()
      lastGoodMs = nowMs()
      since.delete(client)
    },
    close() {
      noteAll()
      isClosed = true
    },
    get ofOneMs() {
      return ofOneMs
    },
    get ofAllMs() {
      return ofAllMs
    },
  }
}
