/** `migrate to`: agrees with every replica on a format, and takes every project there. */
import { type Clock, sleep } from '../clock.ts'
import { isServiceError, sentence } from '../errors.ts'
import type { ProjectName, Repositories } from '../repository/repository.ts'
import { type Store, StoreError } from '../store/store.ts'
import { type Announced, type ClusterTimes, listAnnouncements } from './announcement.ts'
import { type Blocker, blockersOf, unawareOf } from './blockers.ts'
import type { Conversions } from './convert.ts'
import {
  type ExpandReport,
  expandAll,
  interrupted,
  type Runner,
  tellProgress,
  type Verdict,
} from './expand.ts'
import { canHandle, formatsOf, inWords, unfitFor } from './formats.ts'
import type { ClusterState, Decision } from './state.ts'
import { lookAt, visitTimeoutMs, walkProjects } from './walk.ts'

export interface ConvergeOptions extends Runner {
  store: Store
  clock: Clock
  times: ClusterTimes
  conversions: Conversions
  /** This process's own announcement, for which nobody waits. */
  self: string
  /** The format that every project shall have. */
  format: number
  /** Ids of replicas that are gone for good. */
  forget: readonly string[]
  acceptIrreversible: boolean
  /** Conversions a second, at most. */
  rate: number
  /** How long it waits for replicas that block and are not draining, milliseconds. */
  waitMs: number
}

export interface ConvergeReport {
  verdict: Verdict
  message: string
  format: number
  /** Projects that have the format now. */
  projects: number
  converted: number
  /** Projects that are not there yet, and why. */
  open: { project: ProjectName; reason: string }[]
  blockers: Blocker[]
}

/**
 * Takes the store to a format, up or down. It may be killed anywhere and run again, twice at once, or against one that goes the
 * other way: the target that was proposed last wins, and whoever was replaced says so.
 * @throws StoreError, ClusterLogError, ServiceError of an outage: run again
 */
export async function converge(options: ConvergeOptions): Promise<ConvergeReport> {
  const { log, format, dryRun } = options
  const report: ConvergeReport = {
    verdict: 'done',
    message: '',
    format,
    projects: 0,
    converted: 0,
    open: [],
    blockers: [],
  }
  const refused = (message: string): ConvergeReport => ({ ...report, verdict: 'refused', message })

  const refusal = refusalOf(options, await log.follow())
  if (refusal !== null) return refused(refusal)
  const expanded = await expandFirst(options)
  if (expanded !== null) return { ...report, verdict: expanded.verdict, message: expanded.message }
  if (!dryRun) await forgetAll(options)

  const agreed = await agree(options)
  if ('refused' in agreed) return { ...refused(agreed.refused), blockers: agreed.blockers }

  const startedMs = options.clock.monotonicMs()
  for (;;) {
    // A pass is the last if everybody knew when it began: before that somebody may make a project in the other format.
    const late = dryRun ? [] : await unaware(options, agreed.seq)
    Object.assign(report, { verdict: 'done', projects: 0, open: [] })
    const converted = await convertAll(options, report)
    report.converted += converted
    const superseded = supersededBy(log.state, format, dryRun)
    if (superseded !== null) return refused(superseded)
    if (options.isOver?.()) return { ...report, verdict: 'more', message: interrupted }
    if (report.open.length > 0 || (late.length === 0 && (converted === 0 || dryRun))) break
    // A pass may take longer than anybody is waited for: who has not seen it by now?
    const deaf = late.length === 0 ? [] : await unaware(options, agreed.seq)
    if (deaf.length > 0 && options.clock.monotonicMs() - startedMs > options.times.patienceMs) {
      return { ...report, verdict: 'more', message: notSeen(deaf) }
    }
    if (deaf.length > 0) await sleep(options.clock, options.times.heartbeatMs / 4)
  }
  return conclude(options, report)
}

/** What keeps this build from it, whoever else runs. */
function refusalOf(options: ConvergeOptions, state: ClusterState): string | null {
  const { migrations, format, acceptIrreversible } = options
  const formats = formatsOf(migrations)
  if (options.unfit !== null) return options.unfit
  if (!canHandle(formats, format)) {
    return `this build writes ${inWords(formats.writes)}; format ${format} takes another build`
  }
  // A target that this build cannot handle is replaced by one that it can; what projects have is not.
  const unfit = unfitFor({ ...state, proposed: null }, formats)
  if (unfit !== null) return unfit
  const from = state.formats.filter((one) => one !== format)
  for (const { format: to, name, irreversible } of migrations) {
    if (irreversible === null) continue
    if (from.some((one) => one >= to && format < to)) {
      return `${name} cannot be taken back: ${irreversible}`
    }
    const isAccepted = acceptIrreversible || isAcceptedIn(state, format)
    if (from.some((one) => one < to && format >= to) && !isAccepted) {
      return `${name} cannot be taken back: ${irreversible}; to go on, add --accept-irreversible`
    }
  }
  return null
}

/** Who goes on with what was begun need not accept it again. */
function isAcceptedIn({ proposed, agreed }: ClusterState, format: number): boolean {
  const target = proposed ?? agreed
  return target?.format === format && target.acceptIrreversible
}

async function expandFirst(options: ConvergeOptions): Promise<ExpandReport | null> {
  if (options.dryRun || options.log.state.expanded >= options.migrations.length) return null
  const report = await expandAll(options)
  return report.verdict === 'done' ? null : report
}

async function forgetAll({ log, forget }: ConvergeOptions): Promise<void> {
  for (const replicaId of forget) {
    await log.append(({ forgotten }) =>
      forgotten.has(replicaId) ? null : { kind: 'forget', replicaId },
    )
  }
}

/** Proposes the format and waits until everybody has seen it, or takes the proposal back. */
async function agree(
  options: ConvergeOptions,
): Promise<{ seq: number } | { refused: string; blockers: Blocker[] }> {
  const { log, format, acceptIrreversible, clock, times, dryRun } = options
  if (dryRun) return dryAgree(options)
  const isMine = ({ proposed, agreed }: ClusterState) => (proposed ?? agreed)?.format === format
  await log.append((state) =>
    isMine(state) ? null : { kind: 'target', format, acceptIrreversible },
  )
  const startedMs = clock.monotonicMs()
  for (;;) {
    const state = await log.follow()
    const superseded = supersededBy(state, format)
    if (superseded !== null) return { refused: superseded, blockers: [] }
    const { proposed, agreed } = state
    const announced = await others(options, options.store)
    const blockers = blockersOf(format, announced, { state, times })
    if (proposed === null && agreed !== null) {
      // It was agreed before: a replica that cannot handle it never became ready.
      return { seq: state.seq }
    }
    const seq = proposed?.seq ?? state.seq
    const late = unawareOf(seq, announced, { state, times })
    if (blockers.length === 0 && late.length === 0) {
      const after = await log.append((now) =>
        now.proposed?.seq === seq ? { kind: 'agreed', format } : null,
      )
      if (after.proposed === null && after.agreed?.format === format) continue
    }
    const waitedMs = clock.monotonicMs() - startedMs
    const isPatient = blockers.every(({ draining }) => draining)
    const patienceMs = isPatient ? times.patienceMs : options.waitMs
    if (waitedMs >= patienceMs || options.isOver?.()) {
      const because = whyNot(format, blockers, late)
      await log.append((now) =>
        now.proposed?.seq === seq ? { kind: 'withdrawn', format, because } : null,
      )
      return { refused: because, blockers }
    }
    await sleep(clock, times.heartbeatMs / 4)
  }
}

async function dryAgree(options: ConvergeOptions) {
  const { log, format, times, store } = options
  const { state } = log
  const blockers = blockersOf(format, await listAnnouncements(store), { state, times })
  if (blockers.length > 0) return { refused: whyNot(format, blockers, []), blockers }
  return { seq: state.seq }
}

function whyNot(format: number, blockers: Blocker[], late: string[]): string {
  const named = blockers.map(({ replicaId, reason }) => `${replicaId} (${reason})`)
  if (named.length > 0)
    return `format ${format} is more than these replicas handle: ${named.join('; ')}`
  return notSeen(late)
}

function notSeen(late: string[]): string {
  return `these replicas have not seen the target in time: ${late.join(', ')}`
}

/** Whether another target took this one's place. */
function supersededBy(state: ClusterState, format: number, dryRun = false): string | null {
  const target = state.proposed ?? state.agreed
  if (dryRun || target?.format === format) return null
  return target === null
    ? `the target ${format} was withdrawn meanwhile`
    : `somebody replaced the target: it is ${target.format} since ${target.at}`
}

async function unaware(options: ConvergeOptions, seq: number): Promise<string[]> {
  const { store, log, times } = options
  return unawareOf(seq, await others(options, store), { state: log.state, times })
}

async function others({ self }: ConvergeOptions, store: Store): Promise<Announced[]> {
  return (await listAnnouncements(store)).filter(({ replicaId }) => replicaId !== self)
}

/** One pass over all projects. @returns how many it converted (would convert) */
async function convertAll(options: ConvergeOptions, report: ConvergeReport): Promise<number> {
  const { log, format, dryRun, conversions } = options
  const takeTurn = createTurns(options)
  let converted = 0
  const isOver = () =>
    options.isOver?.() === true || supersededBy(log.state, format, dryRun) !== null

  const visit = async (repositories: Repositories, project: ProjectName) => {
    const found = await lookAt(repositories, project)
    if (found === null) return
    if (found.format !== format) {
      if (!dryRun) {
        await takeTurn()
        await log.follow()
        if (isOver()) return
        await conversions.convert(repositories, project, { format, timeoutMs: visitTimeoutMs })
      }
      converted++
    }
    report.projects++
  }
  await walkProjects({
    open: options.open,
    onVisited: tellProgress(options, `to ${format}`),
    isOver,
    async visit(repositories, project) {
      try {
        await visit(repositories, project)
      } catch (error) {
        // A migration that throws something else has met a tree that it does not understand.
        const isOutage = isServiceError(error) || error instanceof StoreError
        if (!isOutage) report.verdict = 'failed'
        const reason = sentence(error)
        report.open.push({ project, reason })
      }
    },
  })
  return converted
}

async function conclude(options: ConvergeOptions, report: ConvergeReport): Promise<ConvergeReport> {
  const { log, format, dryRun } = options
  const [first] = report.open
  if (first !== undefined) {
    const message = `${report.open.length} projects are not there yet, as ${first.project}: ${first.reason}`
    return { ...report, verdict: report.verdict === 'failed' ? 'failed' : 'more', message }
  }
  if (dryRun) return { ...report, message: `would convert ${report.converted} projects` }
  const decide = ({ proposed, agreed, formats }: ClusterState): Decision | null => {
    if (proposed !== null || agreed?.format !== format) return null
    const isTold = agreed.reached && formats.length === 1
    return isTold ? null : { kind: 'reached', format }
  }
  const state = await log.append(decide)
  const superseded = supersededBy(state, format)
  if (superseded !== null) return { ...report, verdict: 'refused', message: superseded }
  return { ...report, message: `all ${report.projects} projects have format ${format}` }
}

/** Spaces conversions evenly. */
function createTurns({ clock, rate }: ConvergeOptions): () => Promise<void> {
  let nextMs = 0
  return () => {
    const nowMs = clock.monotonicMs()
    const turnMs = Math.max(nowMs, nextMs)
    nextMs = turnMs + 1_000 / rate
    return sleep(clock, turnMs - nowMs)
  }
}
