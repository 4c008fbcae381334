import { type Clock, createPauses, type Randomness } from '../clock.ts'
import { StoreError } from '../store/store.ts'

/**
 * Repeats what the store failed, with pauses that grow.
 * @param giveUpMs by the monotonic clock; past it the failure is thrown, and what was sent may have taken effect or may yet
 */
export async function insist<T>(
  time: { clock: Clock; random: Randomness },
  giveUpMs: number,
  attempt: () => Promise<T>,
): Promise<T> {
  const pause = createPauses(time)
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof StoreError) || time.clock.monotonicMs() >= giveUpMs) throw error
    }
    await pause()
  }
}

/** What a create says that has to be repeated as it is. */
export const undecided = new StoreError('the store could not decide between two writers', {
  definite: true,
  reason: 'conflict',
})
