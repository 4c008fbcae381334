/** What clients did while things broke, and what they were told. */
import type { BucketLog } from '../support/bucket-log.ts'
import { checkRegister, type RegisterOperation } from './register.ts'

/** A write as its client means it: one effect at most, however often it is sent. */
export interface Write {
  id: string
  project: string
  file: string
  keyed: boolean
  invokedAt: number
  /** `Infinity` until it is acknowledged. */
  returnedAt: number
  /** The commit that the answer named. */
  commit?: string
  /** Every answer said that nothing was written, and nothing ever will be. */
  refused: boolean
  sends: number
}

export interface Read {
  id: string
  project: string
  file: string
  /** Id of the write that it saw; null: no file. */
  saw: string | null
  invokedAt: number
  returnedAt: number
}

export interface Journal {
  writes: Write[]
  reads: Read[]
  /** What must never happen, and did. */
  violations: string[]
  /** How often what was answered, for people. */
  counts: Map<string, number>
}

export function newJournal(): Journal {
  return { writes: [], reads: [], violations: [], counts: new Map() }
}

export function count(journal: Journal, what: string): void {
  journal.counts.set(what, (journal.counts.get(what) ?? 0) + 1)
}

/** What must not be: a write that was acknowledged and is gone; one that took effect twice; an answer that no order of events gives. */
export interface Finding {
  kind: 'lost' | 'doubled' | 'stale' | 'untrue'
  /** In a sentence. */
  text: string
}

/** @returns what is wrong, file by file: a stale read, a lost write, a value that came back */
export function checkFiles({ writes, reads }: Pick<Journal, 'writes' | 'reads'>): Finding[] {
  const histories = new Map<string, RegisterOperation[]>()
  const add = (at: { project: string; file: string }, operation: RegisterOperation) => {
    const name = `${at.project}/${at.file}`
    histories.set(name, [...(histories.get(name) ?? []), operation])
  }
  for (const write of writes) {
    if (!write.refused) add(write, { ...write, kind: 'write', value: write.id })
  }
  for (const read of reads) add(read, { ...read, kind: 'read', value: read.saw })
  return [...histories].flatMap(([name, history]) => {
    const wrong = checkRegister(history)
    return wrong === null ? [] : [{ kind: 'stale' as const, text: `${name}: ${wrong}` }]
  })
}

/** @returns what the log of a project holds that it must not, and what it lacks */
export function checkLog(
  { writes }: Pick<Journal, 'writes'>,
  project: string,
  log: Pick<BucketLog, 'messages' | 'commits' | 'keys' | 'faults'>,
): Finding[] {
  const wrong: Finding[] = []
  const add = (kind: Finding['kind'], text: string) => wrong.push({ kind, text })
  for (const fault of log.faults) add('untrue', `${project}: ${fault}`)
  for (const { id, keyed, refused, returnedAt, commit } of writes.filter(
    (write) => write.project === project,
  )) {
    const commits = log.messages.get(id) ?? 0
    const isAcknowledged = returnedAt < Number.POSITIVE_INFINITY
    if (commits > 1) add('doubled', `${id} was applied ${commits} times`)
    if (isAcknowledged && commits === 0) add('lost', `${id} was acknowledged, and is lost`)
    if (refused && commits > 0) add('untrue', `${id} was "not written", and is in the log`)
    if (keyed && (log.keys.get(id) ?? 0) > 1) add('doubled', `${id} has its key twice in the log`)
    if (commit !== undefined && commits > 0 && log.commits.get(commit) !== id) {
      add('untrue', `${id} was answered ${commit}, which is ${log.commits.get(commit)}`)
    }
  }
  return wrong
}
