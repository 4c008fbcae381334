/**
 * A virtual lock server: one that works, one that grants everybody, one that is down, one that changes its mind. The log has
 * to be right with each of them.
 */
import type { Lock, LockResult } from '../../src/lock/lock.ts'
import type { Actor, World } from './world.ts'

export type LockMode = 'exclusive' | 'generous' | 'down' | 'fickle'

export interface VirtualLock {
  of(actor: Actor): Lock
  readonly counts: Map<string, number>
}

/** What a holder that died keeps others waiting. */
const leaseMs = 10_000

export function createVirtualLock(world: World, mode: LockMode): VirtualLock {
  const chance = world.chance.fork()
  const heldUntilMs = new Map<string, number>()
  const counts = new Map<string, number>()

  const held = (name: string, contended: boolean): LockResult => ({
    result: 'held',
    contended,
    release: async () => {
      world.after(chance.fraction(), () => void heldUntilMs.delete(name))
    },
  })

  function attempt(name: string, waitMs: number, askedMs: number): LockResult | null {
    const now = mode === 'fickle' ? chance.pick(['exclusive', 'generous', 'down'] as const) : mode
    if (now === 'down') return { result: 'down' }
    const taken = (heldUntilMs.get(name) ?? 0) > world.nowMs()
    const waitedMs = world.nowMs() - askedMs
    if (taken && now === 'exclusive') return waitedMs >= waitMs ? { result: 'busy' } : null
    heldUntilMs.set(name, world.nowMs() + leaseMs)
    return held(name, waitedMs > 2)
  }

  function acquire(actor: Actor, name: string, waitMs: number): Promise<LockResult> {
    const askedMs = world.nowMs()
    return new Promise((resolve) => {
      const again = () => {
        const result = attempt(name, waitMs, askedMs)
        if (!result) return void world.after(chance.between(1, 20), again, actor)
        counts.set(result.result, (counts.get(result.result) ?? 0) + 1)
        resolve(result)
      }
      world.after(0.1 + chance.fraction(), again, actor)
    })
  }

  return {
    counts,
    of: (actor) => ({
      acquire: (name, { waitMs }) => acquire(actor, name, waitMs),
      close: async () => {},
    }),
  }
}
