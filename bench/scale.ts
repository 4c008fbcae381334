/**
 * What an installation asks of its bucket, calculated: calls a second by their kind, what a month of them costs, and what is used up
 * first. `npm run scale` prints the tables of `docs/scale.md`.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { repositoryRoot } from '../test/support/programs.ts'
import { putBetweenMarkers } from './report.ts'

/** What is asked of an installation. */
export interface Demand {
  name: string
  replicas: number
  /** Projects that are read and written; others cost nothing. */
  activeProjects: number
  /** Of all projects together. */
  writesPerSecond: number
  readsPerSecond: number
  /** READ_MAX_STALE_SECONDS; 0 asks the bucket for every read. */
  maxStaleSeconds: number
  /** Entries that a project has. */
  entries: number
}

/** How the service behaves, each of it a rule of the code, and how its bucket does. */
export interface Behaviour {
  heartbeatSeconds: number
  /** A look at what was applied is due after so long, once somebody reads or writes. */
  witnessSeconds: number
  /** A list of the whole log, a page for 1,000 entries. */
  wholeSeconds: number
  segmentEntries: number
  /** Segments that are joined into one. */
  joinedAtOnce: number
  /** Bytes of an entry with one small file, and of its share in checkpoints. */
  entryBytes: number
  checkpointShare: number
  /** From a call to its answer. */
  getSeconds: number
  createSeconds: number
  /** Writes of one project that wait longer than a create takes travel together, so many at the most. */
  batchMost: number
}

const rules = {
  heartbeatSeconds: 5,
  witnessSeconds: 8,
  wholeSeconds: 300,
  segmentEntries: 64,
  joinedAtOnce: 4,
  entryBytes: 1_700,
  checkpointShare: 1,
  batchMost: 34,
}

/** S3 in one region. */
export const onS3: Behaviour = { ...rules, getSeconds: 0.02, createSeconds: 0.03 }
/** MinIO on the machine of the benchmark. */
export const onMinio: Behaviour = { ...rules, getSeconds: 0.0007, createSeconds: 0.003 }

/** Calls a second. */
export interface Calls {
  create: number
  put: number
  get: number
  list: number
  /** What they are for, by what they are paid as: a list as a put. */
  parts: Record<Part, { gets: number; puts: number }>
}

type Part =
  | 'entries'
  | 'entries of others'
  | 'probes'
  | 'looks at what was applied'
  | 'whole logs'
  | 'checkpoints'
  | 'heartbeats'

/** Calculates what a demand asks of the bucket. */
export function callsOf(demand: Demand, behaviour: Behaviour): Calls {
  const { replicas, activeProjects, writesPerSecond, readsPerSecond, maxStaleSeconds } = demand
  const { witnessSeconds, segmentEntries, joinedAtOnce, getSeconds } = behaviour
  const entries = activeProjects * entriesPerSecond(writesPerSecond / activeProjects, behaviour)
  const pairs = activeProjects * replicas
  const readsOfPair = readsPerSecond / pairs
  const asksOfPair = readsOfPair + writesPerSecond / pairs

  // Reads that arrive during a probe share the next one.
  const probing = maxStaleSeconds > 0 ? 1 / (maxStaleSeconds + 1 / readsOfPair) : readsOfPair
  const probes = pairs * (probing / (1 + probing * getSeconds))
  // Whoever reads or probes a log fetches what the others wrote to it, and looks whether more came.
  const followed = entries * (replicas - 1)

  const lookSeconds = witnessSeconds + 1 / asksOfPair
  const looks = pairs / lookSeconds
  const isOneEntry = Math.exp((-entries / activeProjects) * lookSeconds)
  const whole = (pairs / behaviour.wholeSeconds) * Math.ceil(demand.entries / 1_000)

  const rolls = entries / segmentEntries
  const joins = 1 / (joinedAtOnce - 1)
  // A pack and its index, for each segment and each that is joined, and the checkpoint.
  const checkpointPuts = rolls * (2 * (1 + joins) + 1)
  const heartbeats = replicas / behaviour.heartbeatSeconds

  return {
    create: entries,
    put: checkpointPuts + heartbeats,
    get: followed + probes + looks * isOneEntry + rolls * (1 + joins) + heartbeats,
    list: looks * (1 - isOneEntry) + whole + rolls,
    parts: {
      entries: { gets: 0, puts: entries },
      'entries of others': { gets: followed, puts: 0 },
      probes: { gets: probes, puts: 0 },
      'looks at what was applied': { gets: looks * isOneEntry, puts: looks * (1 - isOneEntry) },
      'whole logs': { gets: 0, puts: whole },
      checkpoints: { gets: rolls * (1 + joins), puts: checkpointPuts + rolls },
      heartbeats: { gets: heartbeats, puts: heartbeats },
    },
  }
}

/** A project whose writes come faster than creates end has as many entries as creates, with several writes in each. */
function entriesPerSecond(
  writesPerSecond: number,
  { createSeconds }: Pick<Behaviour, 'createSeconds'>,
): number {
  return writesPerSecond / (1 + writesPerSecond * createSeconds)
}

/** What S3 takes in us-east-1, dollars (docs/scale.md names the source), and how fast one prefix may be asked. */
export const s3 = {
  put: 0.005 / 1_000,
  get: 0.0004 / 1_000,
  gigabyteMonth: 0.023,
  putsPerSecond: 3_500,
  getsPerSecond: 5_500,
}
const secondsAMonth = 30 * 24 * 3_600

export interface Bill {
  parts: Record<string, number>
  /** Of what one month adds, in its end. */
  storage: number
  total: number
}

/** What a month costs, dollars: requests, and the storage of what was written in it. */
export function billOf(demand: Demand, behaviour: Behaviour): Bill {
  const calls = callsOf(demand, behaviour)
  const parts = Object.fromEntries(
    Object.entries(calls.parts).map(([name, { gets, puts }]) => {
      return [name, (gets * s3.get + puts * s3.put) * secondsAMonth]
    }),
  )
  const bytes = calls.create * secondsAMonth * behaviour.entryBytes
  const storage = (bytes / 1e9) * (1 + behaviour.checkpointShare) * s3.gigabyteMonth
  const total = Object.values(parts).reduce((sum, one) => sum + one, storage)
  return { parts, storage, total }
}

const small: Demand = {
  name: '100 projects, 3 replicas',
  replicas: 3,
  activeProjects: 100,
  writesPerSecond: 10,
  readsPerSecond: 500,
  maxStaleSeconds: 0,
  entries: 10_000,
}
export const demands: readonly Demand[] = [
  small,
  { ...small, name: 'the same, `READ_MAX_STALE_SECONDS=1`', maxStaleSeconds: 1 },
  { ...small, name: 'the same, `READ_MAX_STALE_SECONDS=5`', maxStaleSeconds: 5 },
  {
    ...small,
    name: '10,000 projects, 2 % active',
    activeProjects: 200,
    writesPerSecond: 20,
    readsPerSecond: 1_000,
  },
  {
    ...small,
    name: '10,000 projects, all active',
    activeProjects: 10_000,
    writesPerSecond: 1_000,
    readsPerSecond: 50_000,
    replicas: 10,
  },
  {
    ...small,
    name: 'the same, 100 replicas',
    activeProjects: 10_000,
    writesPerSecond: 1_000,
    readsPerSecond: 50_000,
    replicas: 100,
  },
  {
    ...small,
    name: 'the same, 100 replicas, each project on 3 of them',
    activeProjects: 10_000,
    writesPerSecond: 1_000,
    readsPerSecond: 50_000,
    replicas: 3,
  },
]

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows]
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

const tidy = (number: number) =>
  number >= 100 ? Math.round(number).toLocaleString('en') : number.toPrecision(2)
const dollars = (number: number) => `$${number < 10 ? number.toFixed(2) : tidy(number)}`
const share = (number: number) => `${Math.round(100 * number)} %`

/** Calls a second, and how much of what one prefix takes they are. */
export function renderCalls(): string {
  const rows = demands.map((demand) => {
    const { create, put, get, list } = callsOf(demand, onS3)
    const [writes, reads] = [create + put, get + list]
    return [
      demand.name,
      `${tidy(demand.writesPerSecond)} and ${tidy(demand.readsPerSecond)}`,
      ...[create, put, get, list].map(tidy),
      share(writes / s3.putsPerSecond),
      share(reads / s3.getsPerSecond),
    ]
  })
  const head = ['Demand', 'Writes and reads a second', 'Creates', 'Puts', 'Gets', 'Lists']
  return table([...head, 'Of 3,500 writes', 'Of 5,500 reads'], rows)
}

/** Dollars a month, by what they are for. */
export function renderBill(): string {
  const bills = demands.map((demand) => ({ demand, bill: billOf(demand, onS3) }))
  const parts = Object.keys(bills[0]?.bill.parts ?? {})
  const rows = bills.map(({ demand, bill }) => [
    demand.name,
    ...parts.map((part) => dollars(bill.parts[part] ?? 0)),
    dollars(bill.storage),
    `**${dollars(bill.total)}**`,
  ])
  return table(['Dollars a month', ...parts, 'storage', 'all'], rows)
}

/** What one project, one replica and one prefix take at the most. */
export function renderLimits(): string {
  const entries = 1 / onS3.createSeconds
  const onExpress = 1 / 0.006
  const rows = [
    ['entries of one project', 'one create after the other', `${tidy(entries)} a second`],
    ['the same in S3 Express One Zone', 'a create of 6 ms', `${tidy(onExpress)} a second`],
    [
      'writes of one project',
      `${onS3.batchMost} to an entry`,
      `${tidy(entries * onS3.batchMost)} a second`,
    ],
    ['reads of one project at one replica', 'shared probes', 'no limit of the bucket'],
    ['creates below one prefix', 'S3, before it splits the prefix', '3,500 a second'],
    ['probes below one prefix', 'S3, before it splits the prefix', '5,500 a second'],
    [
      'a log of a million entries',
      `${tidy(onS3.entryBytes)} bytes an entry`,
      `${tidy((onS3.entryBytes * 1e6) / 1e9)} GB, ${tidy(1e6 / 1_000)} lists to look at whole`,
    ],
  ]
  return table(['What', 'Because of', 'At the most'], rows)
}

const tables = { calls: renderCalls, bill: renderBill, limits: renderLimits }
export const scaleFile = join(repositoryRoot, 'docs', 'scale.md')

/** The document with its tables calculated anew. */
export function renderDocument(text: string): string {
  return Object.entries(tables).reduce(
    (so, [name, render]) => putBetweenMarkers(so, `${render()}\n`, name),
    text,
  )
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  writeFileSync(scaleFile, renderDocument(readFileSync(scaleFile, 'utf8')))
}
