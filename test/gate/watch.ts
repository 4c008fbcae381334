/** Looks while a gate runs for the first thing that makes it red: what has to be red shall not take longer than that. */
import type { Fleet } from './fleet.ts'
import type { Gateway } from './gateway.ts'
import type { Layer4 } from './l4.ts'
import type { LedgerLine } from './ledger.ts'
import { describe, endedBadly } from './report.ts'
import { tail } from './tail.ts'

const lookEveryMs = 250

/**
 * @param tell is called once, with what was seen
 * @returns what ends it
 */
export function watchForRed(
  seen: { ledgerPath: string; gateway: Gateway; layer4: Layer4; fleet: Fleet },
  tell: (failures: string[]) => void,
): () => void {
  const { gateway, layer4, fleet } = seen
  const lines = tail(seen.ledgerPath)
  const look = () => {
    const failed = lines()
      .map((line) => JSON.parse(line) as LedgerLine)
      .filter(({ failure }) => failure !== undefined)
    const failures = [
      ...failed.map(describe),
      ...gateway.witness().complaints.map((line) => `nginx: ${line}`),
      ...layer4.refused.map((why) => `connection: ${why}`),
      ...fleet.endings.flatMap(endedBadly),
    ]
    if (failures.length === 0) return
    clearInterval(timer)
    tell(failures)
  }
  const timer = setInterval(look, lookEveryMs)
  return () => clearInterval(timer)
}
