/** One damage at a time: what replicas answer, whether what they acknowledge lasts, and what `verify` says. */
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createClusterLog } from '../../src/cluster/cluster-log.ts'
import { sentence } from '../../src/errors.ts'
import { type Observer, silent } from '../../src/observe.ts'
import { inWords as inOneLine, type Problem } from '../../src/repository/damage.ts'
import { projectKeys } from '../../src/repository/keys.ts'
import { createRepositories } from '../../src/repository/repositories.ts'
import type { ProjectName, Repositories } from '../../src/repository/repository.ts'
import { verifyProject } from '../../src/repository/verify.ts'
import type { Resources } from '../../src/resources/resources.ts'
import { openStoreIdentity } from '../../src/store/identity.ts'
import { systemRandomness } from '../../src/system-clock.ts'
import { verifyStore } from '../../src/verify.ts'
import { get, put, resourcesOver, stageScope } from '../resources/fixture.ts'
import { replicaOptions } from '../support/repositories.ts'
import { createTestClock, type TestClock } from '../support/test-clock.ts'
import { until } from '../support/until.ts'
import type { Damage } from './damages.ts'
import {
  type Answer,
  answersTo,
  answerTo,
  inWords,
  type Question,
  type Truth,
} from './questions.ts'
import { bystander, damagedProject, type World } from './world.ts'

const call = { timeoutMs: 5_000 }
/** Past it the witness looks again. */
const witnessMs = 11_000
/** Past it the whole log is looked at, too. */
const wholeLookMs = 61_000

/** Who reads: one that starts with nothing, one that starts with a cache folder, one that ran before. */
export const readers = ['fresh', 'warm', 'running'] as const
export type Reader = (typeof readers)[number]

export interface Outcome {
  /** In a word or two, by reader. */
  seen: Record<Reader, string>
  /** What `verify` says. */
  verified: string
  /** What must not be: empty. */
  wrong: string[]
}

/** Where the cases take place. */
export interface Ground {
  world: World
  /** A cache folder that knows all of the sound world. */
  cache: string
  /** For what a case needs. */
  folder: string
}

interface Replica {
  resources: Resources
  repositories: Repositories
  clock: TestClock
  /** Log lines, `<event> <fields>`. */
  lines: string[]
}

/** Fills a cache folder with everything that the world's projects hold. */
export async function prepare(world: World, folder: string): Promise<Ground> {
  const ground = { world, cache: join(folder, 'cache'), folder }
  const replica = await openReplica(world, ground.cache)
  await answersTo([...world.truth.keys()], replica.resources)
  await answersTo([...world.truthOfBystander.keys()], replica.resources)
  await replica.repositories.close()
  return ground
}

/** Does one damage for each reader, and once for `verify`; the bucket is sound before and behind it. */
export async function runCase(ground: Ground, damage: Damage): Promise<Outcome> {
  const { world } = ground
  const wrong: string[] = []
  const seen = {} as Outcome['seen']
  for (const reader of readers) {
    const complain = (what: string) => void wrong.push(`${reader}: ${what}`)
    seen[reader] = await see(ground, damage, reader, complain)
    await world.reset()
  }
  await damage.apply()
  const verified = await verifyAfter(world, damage, (what) => void wrong.push(`verify: ${what}`))
  await world.reset()
  return { seen, verified, wrong }
}

type Complain = (what: string) => void

/** Opens a replica as the program does: the store's identity, the cluster log, then the projects. */
async function openReplica({ store }: World, cache: string | null): Promise<Replica> {
  const clock = createTestClock()
  const { storeId } = await openStoreIdentity(store, call)
  await createClusterLog({ store, clock, random: systemRandomness, build: '0.0.0-test' }).follow()
  const lines: string[] = []
  const observer: Observer = {
    ...silent,
    log: (_, event, fields) => void lines.push(`${event} ${JSON.stringify(fields)}`),
  }
  const repositories = createRepositories(
    replicaOptions(store, {
      storeId,
      clock,
      observer,
      cache: cache === null ? null : { folder: cache, maxBytes: 2 ** 30 },
    }),
  )
  return { resources: resourcesOver(repositories), repositories, clock, lines }
}

async function see(
  ground: Ground,
  damage: Damage,
  reader: Reader,
  complain: Complain,
): Promise<string> {
  const { world, cache, folder } = ground
  const own = reader === 'warm' ? join(folder, 'case') : null
  if (own) await cp(cache, own, { recursive: true })
  let replica: Replica | undefined
  try {
    if (reader === 'running') {
      replica = await openReplica(world, null)
      await answersTo([...world.truth.keys()], replica.resources)
    }
    await damage.apply()
    replica ??= await openReplica(world, own)
    return await look(ground, damage, replica, { reader, complain })
  } catch (error) {
    if (replica !== undefined) throw error
    if (!names(sentence(error), damage)) complain(`not ready, and says only: ${sentence(error)}`)
    return 'not ready'
  } finally {
    await replica?.repositories.close()
    if (own) await rm(own, { recursive: true, force: true })
  }
}

async function look(
  ground: Ground,
  damage: Damage,
  replica: Replica,
  { reader, complain }: { reader: Reader; complain: Complain },
): Promise<string> {
  const { world } = ground
  // Nothing tells who begins with nothing of an entry that was the newest.
  const isBefore = isTailLost(damage) && reader === 'fresh'
  const truth = isBefore ? world.truthBefore : world.truth
  const expected = { truth, damage, complain }
  const first = await ask(replica, [...truth], expected)
  const written = await write(world, replica, expected, isBefore)
  if (isBefore && written === 'written') await requireStop(ground, complain)
  const ofTip = [...truth].filter(([{ isOfTip }]) => isOfTip)
  replica.clock.advance(witnessMs)
  await ask(replica, ofTip.slice(0, 1), expected)
  replica.clock.advance(wholeLookMs)
  let last = await ask(replica, ofTip, expected)
  if (isEntryGone(damage) && !isBefore) {
    await becomesStopped(replica, world)
    last = 'stopped'
  }
  if (replica.repositories.stopped().length > 0) requireLine(replica, damage, complain)
  await askBystander(world, replica, complain)
  const told = isBefore ? 'the state before' : first
  return `${told}${last === first ? '' : `, later ${last}`}; ${written}`
}

/** @returns in a word what came of the questions */
async function ask(
  { resources }: Replica,
  truth: readonly (readonly [Question, string])[],
  { damage, complain }: { damage: Damage; complain: Complain },
): Promise<string> {
  let right = 0
  for (const [question, wanted] of truth) {
    const answer = await answerTo(question.ask(resources))
    if (inWords(answer) === wanted) right++
    else judgeFailure(`${question.text}: instead of ${wanted}`, answer, { damage, complain })
  }
  if (right === truth.length) return 'right'
  return right === 0 ? 'stopped' : 'right, or 503'
}

/** The one error that may stand for an answer, with the object and the remedy. */
function judgeFailure(
  what: string,
  answer: Answer,
  { damage, complain }: { damage: Damage; complain: Complain },
): void {
  if ('text' in answer) complain(`${what}: ${answer.text}`)
  else if (answer.code !== 'project_stopped') complain(`${what}: ${answer.code} ${answer.message}`)
  else if (!names(answer.message, damage)) complain(`${what}: says only: ${answer.message}`)
}

/** Writes; what is acknowledged has to be there once the damage is undone, in a log that is whole. */
async function write(
  world: World,
  replica: Replica,
  expected: { truth: Truth; damage: Damage; complain: Complain },
  isSlotTaken: boolean,
): Promise<string> {
  const { damage, complain } = expected
  const scope = stageScope('written', damagedProject)
  const writing = put(replica, scope, { 'written.yaml': 'x' }, { timeoutMs: 8_000 })
  const answer = await answerTo(writing.then(({ status }) => String(status)))
  if (!('text' in answer)) {
    judgeFailure('a write', answer, expected)
    return 'refused'
  }
  if (answer.text !== '201') complain(`a write is answered ${answer.text}`)
  if (isSlotTaken) return 'written'
  const changed = new Map<string, Buffer>()
  for (const key of damage.keys) {
    const object = await world.store.get(key, call)
    if (object && object !== 'not-modified') changed.set(key, object.body)
    await world.store.put(key, world.sound.get(key) as Buffer, call)
  }
  const after = await openReplica(world, null)
  const found = await answerTo(get(after, scope, 'written.yaml'))
  if (inWords(found) !== 'x') complain(`what was written reads ${inWords(found)}`)
  await after.repositories.close()
  const { problems } = await verifyOne(world, damagedProject)
  if (problems.length > 0) complain(`a write made ${JSON.stringify(problems)}`)
  for (const key of damage.keys) {
    const body = changed.get(key)
    if (body) await world.store.put(key, body, call)
    else await world.store.delete(key, call)
  }
  return 'written'
}

/** Where a lost entry's slot was taken again, who knew the entry has to see it, at every start. */
async function requireStop({ world, cache, folder }: Ground, complain: Complain): Promise<void> {
  const own = join(folder, 'forked')
  await cp(cache, own, { recursive: true })
  const [question] = world.truth.keys()
  for (const start of ['first', 'second']) {
    const replica = await openReplica(world, own)
    const answer = await answerTo((question as Question).ask(replica.resources))
    await replica.repositories.close()
    if (inWords(answer) === 'project_stopped') continue
    complain(`who knew the lost entry goes on without it at the ${start} start`)
  }
  await rm(own, { recursive: true })
}

/** The look at the whole log finds it; nobody waits for that. */
async function becomesStopped({ repositories, resources, clock }: Replica, { truth }: World) {
  const [question] = truth.keys()
  await until(async () => {
    clock.advance(wholeLookMs)
    await answerTo((question as Question).ask(resources))
    return repositories.stopped().length > 0
  })
}

async function askBystander(world: World, replica: Replica, complain: Complain): Promise<void> {
  for (const [question, wanted] of world.truthOfBystander) {
    const answer = await answerTo(question.ask(replica.resources))
    if (inWords(answer) !== wanted) {
      complain(`the bystander's ${question.text}: ${JSON.stringify(answer)} instead of ${wanted}`)
    }
  }
  const scope = stageScope('written', bystander)
  const writing = put(replica, scope, { 'written.yaml': 'x' }, { timeoutMs: 8_000 })
  const answer = await answerTo(writing.then(({ status }) => String(status)))
  if (inWords(answer) !== '201') complain(`the bystander's write: ${JSON.stringify(answer)}`)
}

function requireLine({ lines }: Replica, damage: Damage, complain: Complain): void {
  const line = lines.find((one) => one.startsWith('project_stopped'))
  if (line === undefined || !names(line, damage)) complain(`it stopped, and logged: ${line}`)
}

const isEntry = ({ kind }: Damage) => /^(newest entry|entry (that|behind))/.test(kind)
const isEntryGone = (damage: Damage) => isEntry(damage) && damage.group === 'deleted'
const isTailLost = ({ kind, group }: Damage) => kind === 'newest entry' && group === 'deleted'

const remedy = /bring (it|them) back from a copy of the bucket|--repair-checkpoints/

/** Whether a sentence names what is damaged, and what to do. Where a chain breaks, the entry behind is as good a name. */
function names(text: string, { keys }: Damage): boolean {
  return remedy.test(text) && keys.some((key) => text.includes(key) || text.includes(behind(key)))
}

function behind(key: string): string {
  return key.replace(/(\d{20})(?=\.bundle$|\.json$)/, (digits) => {
    return String(Number(digits) + 1).padStart(digits.length, '0')
  })
}

/** What nobody can tell from the bucket alone, or what does not matter to anybody. */
function mayPass({ kind, group, detail }: Damage): boolean {
  if (kind === 'announcement') return true
  // The end of its last line.
  if (isLineCutOff(detail) && /checkpoint|newest of|store/.test(kind)) return true
  // The time at which it was made.
  if (kind === 'store.json' && group === 'bit flipped') return /middle|last/.test(detail)
  // Of the newest, which no next one names by its hash.
  if (kind === 'newest of the cluster log' && group === 'bit flipped') return true
  return (
    group === 'deleted' &&
    /^(newest entry|newest of the cluster log|checkpoint|entry set aside)$/.test(kind)
  )
}

function isLineCutOff(detail: string): boolean {
  const [, to, of] = /^to (\d+) of (\d+) bytes$/.exec(detail) ?? []
  return to !== undefined && Number(to) === Number(of) - 1
}

/** Another id is as good, but for the checkpoints: those are named. */
function isOtherStore({ kind, group }: Damage): boolean {
  return kind === 'store.json' && group === 'bit flipped'
}

/** What can be made again from the log. */
const disposable = new Set<string>([
  'index of a spilled pack',
  'checkpoint',
  'pack of a checkpoint',
  'index of a checkpoint',
  'outcomes of a checkpoint',
])

async function verifyOne(world: World, project: ProjectName, repairs = false) {
  const { storeId } = await verifyStore(world.store)
  const place = { environment: { store: world.store, storeId }, keys: projectKeys(project) }
  return verifyProject({ place, repairs })
}

/** @returns in a word or two what `verify` says of a damaged bucket */
async function verifyAfter(world: World, damage: Damage, complain: Complain): Promise<string> {
  let problems: Problem[]
  try {
    problems = await verifyAll(world)
  } catch (error) {
    complain(sentence(error))
    return 'fails'
  }
  if (problems.length === 0) {
    if (!mayPass(damage)) complain('it finds nothing')
    return 'nothing'
  }
  const told = problems.map(inOneLine)
  const isNamed = told.some((line) => names(line, damage))
  if (!isNamed && !isOtherStore(damage)) complain(`it says only: ${told.join('\n')}`)
  for (const line of told) if (!remedy.test(line)) complain(`it has no remedy: ${line}`)
  if (!disposable.has(damage.kind)) return 'names it'
  const { repaired } = await verifyOne(world, damagedProject, true)
  const { problems: left } = await verifyOne(world, damagedProject)
  if (repaired.length === 0 || left.length > 0) complain(`left: ${JSON.stringify(left)}`)
  return 'names and repairs it'
}

async function verifyAll(world: World): Promise<Problem[]> {
  const { problems } = await verifyStore(world.store)
  const projects = [damagedProject, bystander].map(async (name) => {
    return (await verifyOne(world, name)).problems
  })
  return [problems, ...(await Promise.all(projects))].flat()
}
