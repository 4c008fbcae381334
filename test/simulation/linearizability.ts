/**
 * Is there an order of these operations, each at one instant between its call and its answer, in which every answer is the
 * right one? (Wing and Gong's search, with the memory of what was tried that Lowe added: a set of operations done and the
 * state they led to is entered once.)
 */

/** What clients do to one project: a register for each file, and whether the project is there at all. */
export type Action =
  | { kind: 'create' }
  | { kind: 'delete' }
  /** Brings back what was deleted last. */
  | { kind: 'undelete' }
  /** Creates the stage whose files are those that begin with its name and a slash; deletes it. */
  | { kind: 'stage'; stage: string }
  | { kind: 'unstage'; stage: string }
  /** With `expected`, only if the file holds it (null: only if there is none). */
  | { kind: 'put'; file: string; value: string; expected?: string | null }
  | { kind: 'remove'; file: string }
  | { kind: 'read'; file: string }

/**
 * What a client is told: `done`, an error code (`project_not_found`, `resource_not_found`, `project_exists`,
 * `precondition_failed`, `stage_not_found`, `stage_exists`), or of a read `= value`.
 */
export type Answer = string

export interface Operation {
  id: string
  action: Action
  /** Stamps, growing in real time. */
  invokedAt: number
  /** `Infinity` where nobody knows: it may take effect at any time after its call, or never. */
  returnedAt: number
  answer: Answer | null
}

/** A stage stands among them as its name and a slash. */
type Files = Readonly<Record<string, string>>

interface State {
  /** null: there is no such project. */
  readonly files: Files | null
  /** What the project held when it was deleted last. */
  readonly deleted: Files | null
}

const nothing: State = { files: null, deleted: null }

export type Verdict =
  | { linearizable: true }
  | { linearizable: false; explanation: string }
  /** The search was given up. */
  | { linearizable: null }

/**
 * Checks one project's history.
 * @param history operations that certainly had no effect are left out of it
 * @param maxSteps of the search
 */
export function checkHistory(history: readonly Operation[], maxSteps = 300_000): Verdict {
  const operations = [...history].sort((a, b) => a.invokedAt - b.invokedAt)
  const tried = new Set<string>()
  let steps = 0
  let best: { done: number; state: State; order: Operation[]; left: Operation[] } | null = null

  function search(left: Operation[], state: State, order: Operation[]): boolean {
    if (left.every((operation) => operation.answer === null)) return true
    const key = `${left.map((operation) => operation.id)}|${JSON.stringify(state)}`
    if (tried.has(key) || ++steps > maxSteps) return false
    tried.add(key)
    if (!best || order.length > best.done) best = { done: order.length, state, order, left }
    const firstReturn = Math.min(...left.map((operation) => operation.returnedAt))
    const next = left.filter((operation) => operation.invokedAt < firstReturn)
    const idle = next.find((operation) => isRightWithoutEffect(operation, state))
    for (const operation of idle ? [idle] : next) {
      const after = apply(operation, state)
      if (after === 'impossible') continue
      const rest = left.filter((other) => other !== operation)
      if (search(rest, after, [...order, operation])) return true
    }
    return false
  }

  if (search(operations, nothing, [])) return { linearizable: true }
  if (steps > maxSteps) return { linearizable: null }
  return { linearizable: false, explanation: explain(best) }
}

/** A read or a refusal that is right now: to take it at once closes no other way. */
function isRightWithoutEffect({ action, answer }: Operation, state: State): boolean {
  return answer !== null && answer !== 'done' && answer === rightAnswer(action, state)
}

function apply(operation: Operation, state: State): State | 'impossible' {
  const right = rightAnswer(operation.action, state)
  if (operation.answer !== null && operation.answer !== right) return 'impossible'
  return right === 'done' ? effect(operation.action, state) : state
}

/** What an action has to be answered in a state. */
function rightAnswer(action: Action, state: State): Answer {
  const { files, deleted } = state
  if (action.kind === 'create') return files ? 'project_exists' : 'done'
  if (action.kind === 'delete') return 'done'
  if (action.kind === 'undelete' && files) return 'project_exists'
  if (action.kind === 'undelete') return deleted ? 'done' : 'project_not_found'
  if (!files) return 'project_not_found'
  if (action.kind === 'stage') return `${action.stage}/` in files ? 'stage_exists' : 'done'
  const stage = action.kind === 'unstage' ? `${action.stage}/` : stageOf(action.file)
  if (stage !== null && !(stage in files)) return 'stage_not_found'
  if (action.kind === 'unstage') return 'done'
  const held = files[action.file]
  if (action.kind === 'put')
    return action.expected === undefined || action.expected === (held ?? null)
      ? 'done'
      : 'precondition_failed'
  if (held === undefined) return 'resource_not_found'
  return action.kind === 'read' ? `= ${held}` : 'done'
}

function stageOf(file: string): string | null {
  const end = file.indexOf('/')
  return end < 0 ? null : file.slice(0, end + 1)
}

function effect(action: Action, state: State): State {
  const { files, deleted } = state
  if (action.kind === 'stage')
    return { files: sorted({ ...files, [`${action.stage}/`]: '' }), deleted }
  if (action.kind === 'unstage') {
    const left = Object.entries(files ?? {}).filter(
      ([name]) => !name.startsWith(`${action.stage}/`),
    )
    return { files: Object.fromEntries(left), deleted }
  }
  if (action.kind === 'create') return { files: {}, deleted }
  if (action.kind === 'delete') return { files: null, deleted: files ?? deleted }
  if (action.kind === 'undelete') return { files: deleted, deleted }
  if (action.kind === 'read') return state
  if (action.kind === 'put') {
    return { files: sorted({ ...files, [action.file]: action.value }), deleted }
  }
  const { [action.file]: _, ...rest } = files ?? {}
  return { files: rest, deleted }
}

function sorted(state: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(state).sort(([a], [b]) => (a < b ? -1 : 1)))
}

function explain(best: { state: State; order: Operation[]; left: Operation[] } | null): string {
  if (!best) return 'nothing could be ordered'
  const lines = [
    'the longest order found:',
    ...best.order.map((operation) => `  ${describe(operation)}`),
    `leads to ${JSON.stringify(best.state)}, and none of these can come next:`,
    ...best.left.map((operation) => `  ${describe(operation)}`),
  ]
  return lines.join('\n')
}

export function describe(operation: Operation): string {
  const { kind, ...details } = operation.action
  const answer = operation.answer ?? 'unknown'
  return `${operation.id} ${kind} ${JSON.stringify(details)} [${operation.invokedAt}, ${operation.returnedAt}] -> ${answer}`
}
