/** What `/readyz` and `/startupz` say: what this process still waits for, in words. */

export interface Check {
  name: string
  /** False keeps the process from being ready. */
  ok: boolean
  detail: string
}

export interface Report {
  /** Whether traffic may come: everything was reached once, and no drain has begun. */
  ready: boolean
  /** Whether everything was reached once; never false again. */
  started: boolean
  checks: Check[]
}

export interface Readiness {
  report(): Report
  /**
   * Says how far a check is; one that was ok once stays ok, since an outage must not remove every replica.
   * @returns whether that is news
   */
  tell(name: string, ok: boolean, detail: string): boolean
}

/**
 * Builds the readiness of one process.
 * @param options.waitsFor names of the checks, all of them pending at first
 * @param options.draining whether the drain has begun
 * @param options.onChange told when `ready` turns
 */
export function createReadiness(options: {
  waitsFor: readonly string[]
  draining: () => boolean
  onChange: (ready: boolean, secondsSinceStart: number) => void
}): Readiness {
  const checks = new Map<string, Check>()
  for (const name of options.waitsFor) checks.set(name, { name, ok: false, detail: 'not yet' })
  let toldReady = false

  function report(): Report {
    const started = [...checks.values()].every(({ ok }) => ok)
    const draining = options.draining()
    const drain = { name: 'drain', ok: !draining, detail: draining ? 'has begun' : 'has not begun' }
    return { ready: started && !draining, started, checks: [...checks.values(), drain] }
  }
  function told(): void {
    const { ready } = report()
    if (ready !== toldReady) options.onChange(ready, performance.now() / 1_000)
    toldReady = ready
  }
  return {
    report,
    tell(name, ok, detail) {
      const before = checks.get(name)
      if (before?.ok && !ok) return false
      checks.set(name, { name, ok, detail })
      told()
      return before?.ok !== ok || before.detail !== detail
    },
  }
}
