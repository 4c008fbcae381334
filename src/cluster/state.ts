/** What the cluster has decided: a pure function of its log, so that every build that reads the same entries knows the same. */

export type Decision =
  /** What builds of this format add is in every project. */
  | { kind: 'expanded'; format: number; formats: readonly number[] }
  /** Proposed: from here on no build that cannot handle it becomes ready. */
  | { kind: 'target'; format: number; acceptIrreversible: boolean }
  /** Every announced replica has seen the target and can handle it: projects may have it from here on. */
  | { kind: 'agreed'; format: number }
  /** Single projects may have it as well, the rest stays as it is. */
  | { kind: 'permitted'; format: number }
  /** Some replica cannot handle the target; what was agreed before it goes on. */
  | { kind: 'withdrawn'; format: number; because: string }
  /** Every project has the target. */
  | { kind: 'reached'; format: number }
  /** A replica that was killed blocks nobody any longer. */
  | { kind: 'forget'; replicaId: string }

export interface Target {
  readonly format: number
  /** Sequence of the entry that proposed it. */
  readonly seq: number
  /** RFC 3339. */
  readonly at: string
  readonly acceptIrreversible: boolean
}

export interface ClusterState {
  /** Sequence of the newest entry; 0 for an empty log. */
  readonly seq: number
  /** The newest format whose additions are in every project; 0 before the first. */
  readonly expanded: number
  /** Proposed and neither agreed nor withdrawn; meanwhile nobody converts anything. */
  readonly proposed: Target | null
  /** The newest that was agreed; what projects are converted to. */
  readonly agreed: (Target & { readonly reached: boolean }) | null
  /** Formats that projects may have, ascending; none before the first `expanded`. */
  readonly formats: readonly number[]
  /** Replicas that were forgotten. */
  readonly forgotten: ReadonlySet<string>
}

export const emptyState: ClusterState = {
  seq: 0,
  expanded: 0,
  proposed: null,
  agreed: null,
  formats: [],
  forgotten: new Set(),
}

/**
 * Applies one entry. What comes too late (a target was replaced meanwhile) changes nothing, whoever wrote it.
 * @param decision null for a kind that this build does not know
 */
export function fold(
  state: ClusterState,
  entry: { seq: number; at: string; decision: Decision | null },
): ClusterState {
  const { seq, at, decision } = entry
  const next = { ...state, seq }
  if (decision === null) return next
  const { proposed, agreed } = state
  switch (decision.kind) {
    case 'expanded': {
      const formats = state.formats.length === 0 ? sorted(decision.formats) : state.formats
      return { ...next, expanded: Math.max(state.expanded, decision.format), formats }
    }
    case 'target': {
      const { format, acceptIrreversible } = decision
      return { ...next, proposed: { format, seq, at, acceptIrreversible } }
    }
    case 'agreed':
      if (proposed?.format !== decision.format) return next
      return {
        ...next,
        proposed: null,
        agreed: { ...proposed, reached: false },
        formats: sorted([...state.formats, decision.format]),
      }
    case 'permitted':
      return { ...next, formats: sorted([...state.formats, decision.format]) }
    case 'withdrawn':
      return proposed?.format === decision.format ? { ...next, proposed: null } : next
    case 'reached':
      if (proposed !== null || agreed?.format !== decision.format) return next
      return { ...next, agreed: { ...agreed, reached: true }, formats: [decision.format] }
    case 'forget':
      return { ...next, forgotten: new Set([...state.forgotten, decision.replicaId]) }
  }
}

/** What projects are converted to with their next write, or null. */
export function conversionOf({ proposed, agreed }: ClusterState): number | null {
  return proposed === null && agreed !== null && !agreed.reached ? agreed.format : null
}

/** The format of new projects. @param fallback where the log says nothing yet */
export function newFormatOf(state: ClusterState, fallback: number): number {
  return state.agreed?.format ?? state.formats[0] ?? fallback
}

function sorted(formats: Iterable<number>): number[] {
  return [...new Set(formats)].sort((a, b) => a - b)
}
