/**
 * The port to an advisory lock. It saves wasted work and carries no correctness: it may be granted to everybody, lost while
 * it is held, or be away for ever, and the log stays right (`create` of a slot decides). So nothing here throws, and nobody
 * waits longer than they said.
 */
export interface Lock {
  /**
   * Tries to get the lock of a name.
   * @param name any text
   * @param options.waitMs 0 to 60,000 milliseconds; past it the answer is `busy`
   * @returns `held`, or `busy` (somebody holds it), or `down` (the lock server did not answer): go on without it
   */
  acquire(name: string, options: { waitMs: number; signal?: AbortSignal }): Promise<LockResult>

  /** Gives up connections; locks still held run out by themselves. */
  close(): Promise<void>
}

export type LockResult =
  | {
      result: 'held'
      /** Whether somebody else held it when it was asked for. */
      contended: boolean
      /** Gives the lock back; never throws. */
      release(): Promise<void>
    }
  | { result: 'busy' }
  | { result: 'down' }
