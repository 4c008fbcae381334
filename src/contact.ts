import { sentence } from './errors.ts'
import { untilItWorks } from './later.ts'
import type { Observer } from './observe.ts'
import type { Readiness } from './readiness.ts'

export interface Contact {
  storeId: string
  /** Why the store must not be written to, in a sentence; null for one that keeps the contract. */
  unfit: string | null
}

/**
 * Reaches the bucket for the first time, trying until it answers: whose content it is, and whether it keeps its contract.
 * What it waits for is told to `readiness` and, when it changes, to the log.
 * @returns `undefined` where the signal ended it
 */
export async function makeContact(options: {
  /** Asks the bucket for its id. */
  identify: () => Promise<string>
  /** Asks it whether it keeps the contract. @returns what it does not keep; empty for a good one */
  probe: () => Promise<readonly string[]>
  observer: Observer
  readiness: Pick<Readiness, 'tell'>
  signal: AbortSignal
}): Promise<Contact | undefined> {
  const { observer, readiness, signal } = options
  const repeated = <T>(name: 'store' | 'probe', attempt: () => Promise<T>) => {
    let told = ''
    return untilItWorks({
      attempt,
      onFailure(error) {
        const reason = sentence(error)
        readiness.tell(name, false, reason)
        if (reason !== told) observer.log('warn', 'store_failed', { waitsFor: name, reason })
        told = reason
      },
      firstDelayMs: 100,
      maxDelayMs: 2_000,
      signal,
    })
  }
  const storeId = await repeated('store', options.identify)
  if (storeId === undefined) return undefined
  readiness.tell('store', true, `reached, its id is ${storeId}`)
  const failures = await repeated('probe', options.probe)
  if (failures === undefined) return undefined
  if (failures.length === 0) return { storeId, unfit: null }
  const unfit = `the store does not keep its contract: ${failures.join('; ')}`
  observer.log('error', 'store_unfit', { reason: unfit })
  return { storeId, unfit }
}
