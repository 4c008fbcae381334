/** What has to be true of the bucket in the end, whatever happened: the rules of `docs/design.md` as seen from outside. */
import {
  type Entry,
  parseCommit,
  parseEntry,
  parsePack,
  parseTree,
  type RawObject,
  sha256,
} from './bundles.ts'
import { type CommitRead, type Journal, mayHaveBeenEmpty, type WriteRecord } from './clients.ts'
import type { Attempt, VirtualStore } from './store.ts'

/** A project's log, read and checked. */
export interface Log {
  entries: Entry[]
  /** Of all entries and the packs they name. */
  objects: Map<string, RawObject>
}

/**
 * What has to hold the instant an entry takes its slot: it is the next one, it follows the one before it, and what it names is
 * there already.
 * @returns a sentence, or null
 */
export function judgeCreated(store: VirtualStore, key: string, body: Buffer): string | null {
  const [, project, digits] = /^projects\/([^/]+)\/log\/(\d+)\.bundle$/.exec(key) ?? []
  if (project === undefined) return null
  const seq = Number(digits)
  const { transaction } = parseEntry(body)
  const before = store.objects.get(keyOf(project, seq - 1))?.body
  const previous = before === undefined ? null : sha256(before)
  if (seq > 1 && before === undefined) return `${project}: entry ${seq} comes before ${seq - 1}`
  if (transaction.previous !== previous) return `${project}: entry ${seq} follows another entry`
  const lacks = transaction.packs.find(
    ({ name }) => !store.objects.has(`projects/${project}/packs/${name}`),
  )
  return lacks ? `${project}: entry ${seq} names a pack ${lacks.name} that is not there` : null
}

/** @returns sentences, none when all is well */
export function audit(store: VirtualStore, journal: Journal): string[] {
  const failures: string[] = []
  const overwritten = store.calls.filter(
    ({ operation, key }) => /\/log\//.test(key) && (operation === 'put' || operation === 'delete'),
  )
  for (const call of overwritten) failures.push(`${call.replica} did ${call.operation} ${call.key}`)
  const projects = new Set(journal.writes.map(({ project }) => project))
  for (const project of projects) {
    const say = (what: string) => void failures.push(`${project}: ${what}`)
    const log = readLog(store, project, say)
    const writes = journal.writes.filter((record) => record.project === project)
    checkEffects(log, writes, say)
    const beganAt = store.attempts.find(
      ({ key, createdAt }) => key === keyOf(project, 1) && createdAt !== null,
    )?.createdAt
    checkKeys({ log, writes, beganAt: beganAt ?? Number.POSITIVE_INFINITY }, say)
    checkAttempts(store, project, writes, say)
    for (const read of journal.commitReads)
      if (read.project === project) checkCommitRead(log, read, journal, say)
  }
  return failures
}

type Say = (what: string) => void

export function keyOf(project: string, seq: number): string {
  return `projects/${project}/log/${String(seq).padStart(20, '0')}.bundle`
}

/** Reads a log entry by entry, as stock Git would replay it. */
export function readLog(store: VirtualStore, project: string, say: Say): Log {
  const log: Log = { entries: [], objects: new Map() }
  const whole = new Set<string>()
  const prefix = `projects/${project}/log/`
  const keys = [...store.objects.keys()].filter((key) => key.startsWith(prefix)).sort()
  let previous: string | null = null
  for (const [index, key] of keys.entries()) {
    const seq = index + 1
    if (key !== keyOf(project, seq)) {
      say(`slot ${seq} is absent, ${key} is there`)
      break
    }
    const body = (store.objects.get(key) as { body: Buffer }).body
    const entry = readEntry(body, (what) => say(`entry ${seq} ${what}`))
    if (!entry) break
    const tell = (what: string) => say(`entry ${seq} ${what}`)
    checkEnvelope(
      { entry, seq, previous, before: log.entries.at(-1), sizeBytes: body.length },
      tell,
    )
    addObjects(store, project, { log, entry }, tell)
    log.entries.push(entry)
    for (const [ref, oid] of entry.refs) checkReach({ oid, from: ref, log, whole }, tell)
    previous = sha256(body)
  }
  return log
}

function readEntry(body: Buffer, say: Say): Entry | null {
  try {
    return parseEntry(body)
  } catch (error) {
    say(`${error instanceof Error ? error.message : error}`)
    return null
  }
}

function checkEnvelope(
  of: {
    entry: Entry
    seq: number
    previous: string | null
    before: Entry | undefined
    sizeBytes: number
  },
  say: Say,
): void {
  const { transaction, refs } = of.entry
  if (transaction.seq !== of.seq) say(`says that it is ${transaction.seq}`)
  if (transaction.previous !== of.previous) say('does not follow the entry before it')
  if (of.sizeBytes > 65_536) say(`has ${of.sizeBytes} bytes`)
  if (of.before && transaction.at < of.before.transaction.at) say('is older than the one before it')
  if (transaction.kind === 'restore') {
    const same = JSON.stringify([...refs].filter(([ref]) => ref !== 'refs/meta/transaction'))
    const before = [...(of.before?.refs ?? [])].filter(([ref]) => ref !== 'refs/meta/transaction')
    if (same !== JSON.stringify(before)) say('is a restore and changes refs')
    if (transaction.requests.length > 0) say('is a restore and holds requests')
  } else if (transaction.kind !== 'commit' && transaction.requests.length !== 1)
    say(`is a ${transaction.kind} and holds ${transaction.requests.length} requests`)
  // What is brought back begins with no commit of its own, and goes on in the incarnation that it had.
  const roots = [...of.entry.objects.values()].filter(
    ({ type, content }) => type === 'commit' && parseCommit(content).parents.length === 0,
  )
  const isRevival = roots.length === 0
  const incarnation =
    transaction.kind === 'create' && !isRevival
      ? of.seq
      : (of.before?.transaction.incarnation ?? null)
  if (incarnation !== null && transaction.incarnation !== incarnation)
    say(`has incarnation ${transaction.incarnation}, not ${incarnation}`)
  const main = refs.get(`refs/heads/${transaction.defaultBranch}`)
  if (refs.get('HEAD') !== main) say('has a HEAD that is not its default branch')
  const names = [...refs.keys()].filter((name) => name !== 'HEAD')
  if (names.join() !== [...names].sort().join()) say('has refs that are not sorted')
}

/** Prerequisites are the parents of new commits that lie neither in the entry nor in its packs. */
function checkPrerequisites(entry: Entry, added: Map<string, RawObject>, say: Say): void {
  const outside = new Set<string>()
  for (const { type, content } of added.values())
    if (type === 'commit')
      for (const parent of parseCommit(content).parents) if (!added.has(parent)) outside.add(parent)
  const right = [...outside].sort().join()
  if (entry.prerequisites.join() !== right)
    say(`names the prerequisites ${entry.prerequisites}, not ${right}`)
}

function addObjects(
  store: VirtualStore,
  project: string,
  { log, entry }: { log: Log; entry: Entry },
  say: Say,
): void {
  const added = new Map(entry.objects)
  for (const { name, bytes, sha256: digest } of entry.transaction.packs) {
    const pack = store.objects.get(`projects/${project}/packs/${name}`)?.body
    if (!pack || pack.length !== bytes || sha256(pack) !== digest)
      say(`names a pack ${name} that is not there`)
    else for (const [oid, object] of parsePack(pack)) added.set(oid, object)
  }
  checkPrerequisites(entry, added, say)
  for (const [oid, object] of added) log.objects.set(oid, object)
}

/** Everything that a ref reaches is in this entry, an earlier one, or a pack that one of them names. */
function checkReach(
  of: { oid: string; from: string; log: Log; whole: Set<string> },
  say: Say,
): void {
  const open = [of.oid]
  for (let oid = open.pop(); oid; oid = open.pop()) {
    if (of.whole.has(oid)) continue
    of.whole.add(oid)
    const object = of.log.objects.get(oid)
    if (!object) say(`lacks ${oid}, which ${of.from} reaches`)
    else if (object.type === 'tree') open.push(...parseTree(object.content).values())
    else if (object.type === 'commit') {
      const { tree, parents } = parseCommit(object.content)
      open.push(tree, ...parents)
    }
  }
}

/** The messages of all commits that requests of the log made: the ids of writes. */
export function landed(log: Log): Set<string> {
  const commits = log.entries.flatMap(({ transaction }) =>
    transaction.requests.flatMap((request) => request.commits),
  )
  return new Set(commits.map((oid) => messageOf(log, oid)))
}

/** How often a write's commits stand in the log. */
function effectsOf(log: Log, id: string): number {
  let effects = 0
  for (const entry of log.entries)
    for (const request of entry.transaction.requests)
      effects += request.commits.filter((oid) => messageOf(log, oid) === id).length
  return effects
}

function messageOf(log: Log, oid: string): string {
  const commit = log.objects.get(oid)
  return commit ? parseCommit(commit.content).message : ''
}

function checkEffects(log: Log, writes: WriteRecord[], say: Say): void {
  for (const { id, tries, keyed } of writes) {
    const effects = effectsOf(log, id)
    if (effects > 1) say(`${id} took effect ${effects} times`)
    const mayHave = tries.some((one) =>
      ['answered', 'gone', 'outcome_unknown', null].includes(one.end),
    )
    if (effects > 0 && !mayHave)
      say(`${id} took effect and was answered ${tries.map((one) => one.end)}`)
    if (keyed && tries.some((one) => one.end === 'not_written'))
      say(`${id} has a key and was answered not_written`)
    for (const { outcome } of tries)
      if (outcome?.commit && !log.objects.has(outcome.commit))
        say(`${id} was answered a commit that is not in the log`)
  }
}

/** A key is bound by one request at most, and an answer to a keyed request is the one in the log. */
function checkKeys(
  { log, writes, beganAt }: { log: Log; writes: WriteRecord[]; beganAt: number },
  say: Say,
): void {
  const bound = new Map<string, string>()
  const text = ({ status, code, commit }: { status: number; code?: string; commit?: string }) =>
    `${status} ${code} ${commit}`
  for (const { transaction } of log.entries)
    for (const { key, outcome } of transaction.requests) {
      if (key === undefined) continue
      if (bound.has(key)) say(`the key ${key} is bound twice`)
      bound.set(key, text(outcome))
    }
  for (const { id, keyed, tries } of writes)
    for (const { outcome, invokedAt } of keyed ? tries : []) {
      if (!outcome || (mayHaveBeenEmpty(outcome) && invokedAt < beganAt)) continue
      const recorded = bound.get(id)
      if (recorded !== text(outcome))
        say(`${id} has a key and was answered ${text(outcome)}, the log says ${recorded}`)
    }
}

/** What was sent: nothing that was answered already, and no pack that was not acknowledged. */
function checkAttempts(
  store: VirtualStore,
  project: string,
  writes: WriteRecord[],
  say: Say,
): void {
  const firsts = new Map<string, Attempt>()
  for (const attempt of store.attempts)
    if (attempt.key.startsWith(`projects/${project}/log/`)) {
      const content = sha256(attempt.body)
      if (!firsts.has(content)) firsts.set(content, attempt)
    }
  const triesBy = new Map(writes.map((record) => [record.id, record.tries]))
  for (const { body, stamp, replica, key } of firsts.values()) {
    const { objects, transaction } = parseEntry(body)
    for (const { name } of transaction.packs) {
      const at = store.acknowledged.get(`projects/${project}/packs/${name}`)
      if (at === undefined || at > stamp) say(`${replica} sent ${key} before its pack was there`)
    }
    for (const { type, content } of objects.values()) {
      const id = type === 'commit' ? parseCommit(content).message : ''
      const tries = triesBy.get(id)?.filter((one) => one.replica === replica) ?? []
      if (tries.length > 0 && tries.every((one) => one.answeredAt < stamp))
        say(`${replica} sent ${id} for ${key} after it had answered it`)
    }
  }
}

/** A read as of a commit depends on that commit's tree alone. */
function checkCommitRead(log: Log, read: CommitRead, journal: Journal, say: Say): void {
  const label = `a read of ${read.file} as of ${read.commit}`
  if (['commit_not_found', 'project_not_found'].includes(read.answer)) {
    const deleted = journal.writes.some(
      ({ project, action, tries }) =>
        project === read.project &&
        action.kind === 'delete' &&
        tries.some((one) => one.invokedAt < read.answeredAt),
    )
    if (!deleted) say(`${label} was answered ${read.answer}`)
    return
  }
  const commit = log.objects.get(read.commit)
  const root = commit && log.objects.get(parseCommit(commit.content).tree)
  const [name = '', stage] = read.file.split('/').reverse()
  const folder = stage === undefined ? [] : ['.keptn-stages', stage]
  // A stage is a folder of the project's branch, or a branch of its own.
  const blob = root && (find(log, root, [...folder, name]) ?? find(log, root, [name]))
  const right = blob ? [`= ${blob.content}`] : ['resource_not_found', 'stage_not_found']
  if (!right.includes(read.answer)) say(`${label} was answered ${read.answer}, not ${right[0]}`)
}

function find(log: Log, root: RawObject, path: string[]): RawObject | undefined {
  let found: RawObject | undefined = root
  for (const name of path)
    found = found && log.objects.get(parseTree(found.content).get(name) ?? '')
  return found
}
