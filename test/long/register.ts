/**
 * Whether what clients saw of one file can have happened in one order, each operation at an instant between its call and its
 * answer. Each write writes a value of its own, so that a read tells which write it saw, and no search is needed: thousands of
 * operations are judged at once, where `test/simulation/linearizability.ts` would try orders.
 *
 * All operations of one value form a cluster, and the instants that no order can give to another value are its zone: from the
 * first answer to the last call. Where the first answer came before the last call, the value was there in between, and nothing
 * else can have been; otherwise there is an instant for all of them, anywhere between the two.
 * @see Gibbons and Korach, "Testing Shared Memories", 1997
 */
export interface RegisterOperation {
  id: string
  kind: 'write' | 'read'
  /** null: nothing was there yet. */
  value: string | null
  invokedAt: number
  /** `Infinity` for a write whose outcome nobody knows: it may take effect later, or never. */
  returnedAt: number
}

interface Cluster {
  value: string | null
  write: RegisterOperation
  reads: RegisterOperation[]
  firstReturn: number
  lastCall: number
}

/** @returns what cannot have happened, in a sentence; null where all is well */
export function checkRegister(history: readonly RegisterOperation[]): string | null {
  const clusters = new Map<string | null, Cluster>()
  const born: RegisterOperation = {
    id: 'the beginning',
    kind: 'write',
    value: null,
    invokedAt: Number.NEGATIVE_INFINITY,
    returnedAt: Number.NEGATIVE_INFINITY,
  }
  for (const write of [born, ...history.filter(({ kind }) => kind === 'write')]) {
    if (clusters.has(write.value)) throw new Error(`${write.value} was written twice`)
    const { value, returnedAt: firstReturn, invokedAt: lastCall } = write
    clusters.set(value, { value, write, reads: [], firstReturn, lastCall })
  }
  for (const read of history.filter(({ kind }) => kind === 'read')) {
    const cluster = clusters.get(read.value)
    if (cluster === undefined) return `${tell(read)} saw what nobody wrote`
    if (read.returnedAt < cluster.write.invokedAt) {
      return `${tell(read)} saw what was written later: ${tell(cluster.write)}`
    }
    cluster.reads.push(read)
    cluster.firstReturn = Math.min(cluster.firstReturn, read.returnedAt)
    cluster.lastCall = Math.max(cluster.lastCall, read.invokedAt)
  }
  // A write that nobody saw and nobody was told of may not have happened.
  const happened = [...clusters.values()].filter(
    ({ write, reads }) => reads.length > 0 || write.returnedAt < Number.POSITIVE_INFINITY,
  )
  const held = happened.filter(({ firstReturn, lastCall }) => firstReturn < lastCall)
  const passing = happened.filter(({ firstReturn, lastCall }) => firstReturn >= lastCall)
  held.sort((a, b) => a.firstReturn - b.firstReturn)
  for (const [index, later] of held.entries()) {
    const earlier = held[index - 1]
    if (earlier !== undefined && later.firstReturn < earlier.lastCall) {
      return `both were there at the same time: ${tellAll(earlier)}; ${tellAll(later)}`
    }
  }
  for (const { firstReturn, lastCall, ...cluster } of passing) {
    const around = held.find((one) => one.firstReturn < lastCall && firstReturn < one.lastCall)
    if (around !== undefined) {
      return `${tell(cluster.write)} has no instant: meanwhile there was ${tellAll(around)}`
    }
  }
  return null
}

function tell({ id, kind, value, invokedAt, returnedAt }: RegisterOperation): string {
  return `${kind} ${id} of ${value} [${invokedAt}, ${returnedAt}]`
}

function tellAll({ write, reads }: Cluster): string {
  const first = reads.reduce((a, b) => (b.returnedAt < a.returnedAt ? b : a), write)
  const last = reads.reduce((a, b) => (b.invokedAt > a.invokedAt ? b : a), write)
  return [...new Set([write, first, last])].map(tell).join(', ')
}
