/** How soon after a fault clients are answered well again. */
import type { Kind } from '../long/chaos-clients.ts'

export const asked: readonly Kind[] = ['read', 'write', 'keyed write']
/** How often a fresh request is sent, milliseconds. */
const everyMs = 20
/** How often to each replica by itself. */
const replicaEveryMs = 100
/** Past it nobody waits any more, milliseconds. */
const giveUpMs = 30_000

export interface Recovery {
  /** Milliseconds until the first good answer to a request of each kind that was first sent after the fault; infinite for never. */
  times: Record<Kind, number>
  /** The same until every replica by itself has answered a keyed write well. */
  everywhereMs: number
  /** Resolves when every request that was sent has ended. */
  settled: Promise<unknown>
}

/**
 * Sends fresh requests of each kind through the gateway until one of them was answered well, and to each replica by itself.
 * @param sendOne sends one. @returns whether it was answered well
 * @param replicas their URLs
 */
export async function measureRecovery(
  sendOne: (kind: Kind, replica?: string) => Promise<boolean>,
  replicas: readonly string[],
): Promise<Recovery> {
  const sent: Promise<unknown>[] = []
  const until = (kind: Kind, replica?: string) =>
    timeToGood(replica === undefined ? everyMs : replicaEveryMs, () => {
      const answer = sendOne(kind, replica)
      sent.push(answer)
      return answer
    })
  const [times, ...everywhere] = await Promise.all([
    Promise.all(asked.map((kind) => until(kind))),
    ...replicas.map((replica) => until('keyed write', replica)),
  ])
  const [read = 0, write = 0, keyed = 0] = times
  return {
    times: { read, write, 'keyed write': keyed },
    everywhereMs: Math.max(0, ...everywhere),
    settled: Promise.all(sent),
  }
}

function timeToGood(everyMs: number, ask: () => Promise<boolean>): Promise<number> {
  const startedMs = performance.now()
  return new Promise((resolve, reject) => {
    const finish = (tookMs: number) => {
      clearInterval(timer)
      clearTimeout(giveUp)
      resolve(tookMs)
    }
    const askAgain = () => {
      ask().then((isGood) => {
        if (isGood) finish(performance.now() - startedMs)
      }, reject)
    }
    const timer = setInterval(askAgain, everyMs)
    const giveUp = setTimeout(() => finish(Number.POSITIVE_INFINITY), giveUpMs)
    askAgain()
  })
}
