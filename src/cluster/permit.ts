/** Single projects in another format than the rest: Keptn's `migrate: true`. */
import type { Store } from '../store/store.ts'
import { type ClusterTimes, listAnnouncements } from './announcement.ts'
import { blockersOf } from './blockers.ts'
import type { ClusterLog } from './cluster-log.ts'
import { canHandle, type Formats, inWords } from './formats.ts'
import type { ClusterState } from './state.ts'

/**
 * Sees that single projects may have a format, and writes that down, so that no build becomes ready that cannot handle it.
 * @returns null where they may, else a sentence that says why not
 * @throws StoreError, ClusterLogError
 */
export async function permit(options: {
  log: ClusterLog
  store: Store
  times: ClusterTimes
  formats: Formats
  format: number
}): Promise<string | null> {
  const { log, format } = options
  const state = await log.follow()
  const refusal = refusalOf(state, options)
  if (refusal !== null || state.formats.includes(format)) return refusal
  const blocked = await blockedBy(options)
  if (blocked !== null) return blocked
  const after = await log.append((now) =>
    refusalOf(now, options) !== null || now.formats.includes(format)
      ? null
      : { kind: 'permitted', format },
  )
  // Who announced itself after the first look may have read the log before the decision.
  return refusalOf(after, options) ?? (await blockedBy(options))
}

function refusalOf(
  { expanded, ...state }: ClusterState,
  { format, formats }: { format: number; formats: Formats },
): string | null {
  if (!canHandle(formats, format)) return `this build writes ${inWords(formats.writes)}`
  if (expanded < format) return `nobody has expanded to format ${format} yet`
  const target = targetOf(state)
  if (target === null || target.format === format) return null
  return `projects are being converted to format ${target.format}`
}

/** Whether the log says that projects may have a format, and that none is being converted to another. */
export function mayHave({ proposed, agreed, formats }: ClusterState, format: number): boolean {
  const target = targetOf({ proposed, agreed })
  return formats.includes(format) && (target === null || target.format === format)
}

function targetOf({ proposed, agreed }: Pick<ClusterState, 'proposed' | 'agreed'>) {
  return proposed ?? (agreed?.reached === false ? agreed : null)
}

async function blockedBy(options: {
  log: ClusterLog
  store: Store
  times: ClusterTimes
  format: number
}): Promise<string | null> {
  const { log, store, times, format } = options
  const blockers = blockersOf(format, await listAnnouncements(store), { state: log.state, times })
  if (blockers.length === 0) return null
  const names = blockers.map(({ replicaId }) => replicaId).join(', ')
  return `format ${format} is more than these replicas handle: ${names}`
}
