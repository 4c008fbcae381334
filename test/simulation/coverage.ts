/** Which fault met which step of the protocol: what a table of the runs tells, so that nobody has to believe that it was tried. */
import { addTo, type Counts } from './counts.ts'
import type { Call, VirtualStore } from './store.ts'
import type { Interruption } from './weather.ts'

export interface Coverage {
  /** Notes that somebody was killed, held or suspended who waited for a call. */
  interrupted(how: Interruption, call: Call): void
  /** How often what met what: `step | fault`. */
  met(store: VirtualStore): Counts
}

/** Steps of the protocol, each a kind of call, and which of them a call is. */
const steps: readonly [name: string, is: (call: Call) => boolean][] = [
  ['create an entry', ({ operation, key }) => operation === 'create' && isEntry(key)],
  [
    'look at a slot',
    (call) => call.operation === 'get' && isEntry(call.key) && !call.isConditional,
  ],
  ['ask whether the tip is the same', (call) => isEntry(call.key) && call.isConditional === true],
  ['list from the tip', ({ operation, key }) => operation === 'list' && /\/log\/>./.test(key)],
  ['list a whole log', ({ operation, key }) => operation === 'list' && /\/log\/>$/.test(key)],
  ['put a pack', ({ operation, key }) => operation === 'put' && isPack(key)],
  ['get a pack', ({ operation, key }) => operation === 'get' && isPack(key)],
  ['find checkpoints', ({ operation, key }) => operation === 'list' && isCheckpoint(key)],
  ['get of a checkpoint', ({ operation, key }) => operation === 'get' && isCheckpoint(key)],
  ['put of a checkpoint', ({ operation, key }) => operation === 'put' && isCheckpoint(key)],
  ['delete of a checkpoint', ({ operation, key }) => operation === 'delete' && isCheckpoint(key)],
  ['create a decision', ({ operation, key }) => operation === 'create' && isDecision(key)],
  ['follow decisions', ({ operation, key }) => operation !== 'create' && isDecision(key)],
  ['announce', ({ operation, key }) => operation === 'put' && isAnnouncement(key)],
  [
    'look at announcements',
    ({ operation, key }) => /get|list/.test(operation) && isAnnouncement(key),
  ],
  ['remove an announcement', ({ operation, key }) => operation === 'delete' && isAnnouncement(key)],
  ['list projects', ({ operation, key }) => operation === 'list' && /^projects\/>/.test(key)],
]

const isEntry = (key: string) => /^projects\/[^/]+\/log\/\d/.test(key)
const isPack = (key: string) => /^projects\/[^/]+\/packs\//.test(key)
const isCheckpoint = (key: string) => /^projects\/[^/]+\/checkpoints\//.test(key)
const isDecision = (key: string) => key.startsWith('cluster/log/')
const isAnnouncement = (key: string) => key.startsWith('cluster/replicas/')

/** Which step a call is. */
export function stepOf(call: Call): string {
  return steps.find(([, is]) => is(call))?.[0] ?? `${call.operation} of something else`
}

/** Counts for one world. */
export function createCoverage(): Coverage {
  const met: Counts = new Map()
  const count = (step: string, fault: string) => addTo(met, `${step} | ${fault}`)
  return {
    interrupted: (how, call) => count(stepOf(call), how),
    met(store) {
      for (const call of store.calls) count(stepOf(call), call.course ?? 'ok')
      return met
    },
  }
}

const interruptions = ['outage', 'killed', 'held', 'suspended']
const writeFaults = [
  ...['lost', 'answer lost', 'late', 'twice', 'repeated beneath', 'conflict', 'error before'],
  ...['error after', 'refused', 'slow', ...interruptions],
]
const readFaults = ['hangs', 'reset', 'error', 'refused', 'slow', 'torn', ...interruptions]

/** The two tables: steps that change the bucket, and steps that look at it. */
const tables: readonly { title: string; is: RegExp; faults: readonly string[] }[] = [
  { title: 'changes the bucket', is: /^(create|put|delete|announce|remove)/, faults: writeFaults },
  { title: 'looks at it', is: /^(look|ask|list|get|find|follow)/, faults: readFaults },
]

/** Why a fault cannot meet a step; null where it can. */
function whyNot(step: string, fault: string): string | null {
  if (fault === 'conflict' && !step.startsWith('create')) return 'only a create is answered 409'
  if (fault === 'torn' && !/list|find|announcements/.test(step)) return 'only a list is torn'
  return null
}

function* cellsOf(table: (typeof tables)[number]) {
  for (const [step] of steps.filter(([name]) => table.is.test(name)))
    yield { step, faults: table.faults }
}

/** Cells of the tables that nothing has met, though it could. */
export function emptyCells(met: ReadonlyMap<string, number>): string[] {
  return tables.flatMap((table) =>
    [...cellsOf(table)].flatMap(({ step, faults }) =>
      faults
        .filter((fault) => whyNot(step, fault) === null && !met.get(`${step} | ${fault}`))
        .map((fault) => `${step}, ${fault}`),
    ),
  )
}

/** The tables in Markdown; a dash stands where a fault cannot meet a step. */
export function describeCoverage(met: ReadonlyMap<string, number>): string {
  return tables
    .map((table) => {
      const head = `| What ${table.title} | ${table.faults.join(' | ')} |`
      const rows = [...cellsOf(table)].map(({ step, faults }) => {
        const cells = faults.map((fault) =>
          whyNot(step, fault) === null
            ? (met.get(`${step} | ${fault}`) ?? 0).toLocaleString('en-US')
            : '–',
        )
        return `| ${step} | ${cells.join(' | ')} |`
      })
      const line = `| --- | ${table.faults.map(() => '---').join(' | ')} |`
      return [head, line, ...rows].join('\n')
    })
    .join('\n\n')
}
