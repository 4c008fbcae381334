/**
 * The keyed outcomes of a log: what a request with an Idempotency-Key was answered. The last 8,192 are state, a function of the
 * log: a count, not a time.
 */
import type { Entry, Outcome } from './entry.ts'

export const keyedOutcomesKept = 8_192

export interface KeyedOutcome {
  key: string
  digest: string
  outcome: Outcome
}

/** The keyed outcomes that an entry adds, in its order. */
export function keyedOutcomes(entry: Entry): KeyedOutcome[] {
  const keyed: KeyedOutcome[] = []
  for (const { key, digest, outcome } of entry.transaction.requests) {
    if (key !== undefined && digest !== undefined) keyed.push({ key, digest, outcome })
  }
  return keyed
}

export interface Outcomes {
  add(entry: Entry): void
  /** Finds what a key was answered; reads older segments the first time. */
  find(key: string): Promise<KeyedOutcome | undefined>
}

/**
 * @param loadOlder reads what stands before the entries that were added here, oldest first; asked once, when the first key
 *   is looked for, and again if it failed
 */
export function createOutcomes(loadOlder: (() => Promise<KeyedOutcome[]>) | null): Outcomes {
  let kept = new Map<string, KeyedOutcome>()
  let older = loadOlder

  const keep = (keyed: KeyedOutcome) => {
    kept.set(keyed.key, keyed)
    if (kept.size > keyedOutcomesKept) kept.delete(kept.keys().next().value as string)
  }

  return {
    add(entry) {
      for (const keyed of keyedOutcomes(entry)) keep(keyed)
    },
    async find(key) {
      while (older) {
        const loading = older
        const before = await loading()
        if (older !== loading) continue
        older = null
        const since = kept
        kept = new Map()
        for (const keyed of before) keep(keyed)
        for (const keyed of since.values()) keep(keyed)
      }
      return kept.get(key)
    },
  }
}
