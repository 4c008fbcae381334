/**
 * A bucket that has every kind of object, and what its projects answer as long as it is sound: two projects with the same history
 * and other contents, the cluster log, announcements.
 */
import {
  type Announcement,
  announcementKey,
  encodeAnnouncement,
} from '../../src/cluster/announcement.ts'
import { createClusterLog } from '../../src/cluster/cluster-log.ts'
import type { Oid } from '../../src/git/objects.ts'
import { listAll } from '../../src/repository/environment.ts'
import { type ProjectKeys, projectKeys } from '../../src/repository/keys.ts'
import { createRepositories } from '../../src/repository/repositories.ts'
import type { ProjectName } from '../../src/repository/repository.ts'
import { acceptRestore } from '../../src/repository/restore.ts'
import { parseResourcePath } from '../../src/resources/paths.ts'
import type { Resources } from '../../src/resources/resources.ts'
import { openStoreIdentity } from '../../src/store/identity.ts'
import type { Store, StoredObject } from '../../src/store/store.ts'
import { systemClock, systemRandomness } from '../../src/system-clock.ts'
import {
  convert,
  projectScope,
  put,
  resourcesOver,
  serviceScope,
  stageScope,
  writeContext,
} from '../resources/fixture.ts'
import { type Chance, chanceOf } from '../support/chance.ts'
import { projectName, replicaOptions } from '../support/repositories.ts'
import { until } from '../support/until.ts'
import { answersTo, questionsOn, type Truth } from './questions.ts'

export const damagedProject = projectName('sockshop')
export const bystander = projectName('podtato')
const call = { timeoutMs: 5_000 }
const time = { clock: systemClock, random: systemRandomness }
/** Then a segment is full, and its writer makes a checkpoint. */
const checkpointAt = 64
const entriesBehindCheckpoint = 5

export interface World {
  store: Store
  /** Every object as it was written. */
  sound: ReadonlyMap<string, Buffer>
  /** What some objects were before they were written again. */
  older: ReadonlyMap<string, Buffer>
  keys: ProjectKeys
  /** Sequence of the newest entry of the damaged project. */
  newest: number
  truth: Truth
  /** The answers to the same questions before the newest entry was written. */
  truthBefore: Truth
  truthOfBystander: Truth
  /** Puts every object back as it was written, and removes what came since. */
  reset(): Promise<void>
}

/** Makes the bucket. @param store holds nothing yet */
export async function makeWorld(store: Store): Promise<World> {
  const keys = projectKeys(damagedProject)
  const older = new Map<string, Buffer>()
  await decide(store)
  await announce(store, older)
  await live(store, bystander, chanceOf(1))
  const { replaced, formerCommit } = await live(store, damagedProject, chanceOf(2))
  older.set(keys.entry(replaced.seq), replaced.bytes)

  const sound = await objectsOf(store)
  const newest = Math.max(...[...sound.keys()].map((key) => keys.parseEntry(key) ?? 0))
  const reset = await createReset(store, sound)
  const questions = await questionsOn(await openSound(store), damagedProject, formerCommit)
  const truth = await answersTo(questions, await openSound(store))
  await store.delete(keys.entry(newest), call)
  const truthBefore = await answersTo(questions, await openSound(store))
  await reset()
  const ofBystander = (await questionsOn(await openSound(store), bystander)).filter(
    ({ isOfTip }) => isOfTip,
  )
  const truthOfBystander = await answersTo(ofBystander, await openSound(store))
  return { store, sound, older, keys, newest, truth, truthBefore, truthOfBystander, reset }
}

/** A replica without anything, on a store of which nothing is damaged. */
async function openSound(store: Store): Promise<Resources> {
  const { storeId } = await openStoreIdentity(store, call)
  return resourcesOver(createRepositories(replicaOptions(store, { storeId })))
}

/** What the cluster decided: a log of its own. */
async function decide(store: Store): Promise<void> {
  const log = createClusterLog({ store, ...time, build: '0.0.0-test' })
  await log.append(() => ({ kind: 'expanded', format: 2, formats: [1] }))
  await log.append(() => ({ kind: 'permitted', format: 2 }))
  await log.append(() => ({ kind: 'forget', replicaId: 'gone' }))
}

async function announce(store: Store, older: Map<string, Buffer>): Promise<void> {
  for (const replicaId of ['one', 'two']) {
    const said: Announcement = {
      replicaId,
      role: 'replica',
      build: '0.0.0-test',
      reads: [1, 2],
      writes: [1, 2],
      clusterSeq: 1,
      startedAt: '2026-11-22T12:00:00.000Z',
      at: '2026-11-22T12:00:00.000Z',
      draining: false,
      stopped: [],
      recent: [bystander],
    }
    const key = announcementKey(replicaId)
    older.set(key, encodeAnnouncement(said))
    await store.put(key, encodeAnnouncement({ ...said, clusterSeq: 3 }), call)
  }
}

/**
 * Writes a project's history, of every kind of entry but an import's, which only differs in where its packs come from.
 * @returns an entry that a `restore` entry took the place of, and a commit of an earlier incarnation
 */
async function live(store: Store, project: ProjectName, chance: Chance) {
  const { storeId } = await openStoreIdentity(store, call)
  const keys = projectKeys(project)
  const open = () => {
    const repositories = createRepositories(replicaOptions(store, { storeId }))
    return { resources: resourcesOver(repositories), bench: { repositories } }
  }
  let on = open()
  let number = 0
  const { resources } = on
  const scope = projectScope(project)
  const dev = stageScope('dev', project)
  const carts = serviceScope('dev', 'carts', project)
  const text = () => `${project} ${++number}`
  const keyed = () => ({ idempotency: { key: `key ${++number}`, digest: 'd' } })

  // An incarnation of its own makes a segment, and a checkpoint.
  await resources.createProject(project, writeContext())
  const { commit } = await put(on, scope, { 'former.yaml': text() }, keyed())
  await resources.deleteProject(project, writeContext())
  await resources.createProject(project, writeContext())
  await until(async () => (await keysBelow(store, keys.checkpointPrefix)).length > 0)

  for (const stage of ['dev', 'big', 'written', 'lost']) {
    await resources.createStage(stageScope(stage, project), writeContext())
  }
  await resources.createService(carts, writeContext())
  await put(on, carts, { 'slo.yaml': text(), 'job/config.yaml': text() }, keyed())
  // Spilled packs: of a blob; of a blob, with an index beside the checkpoints; of a blob and a tree.
  await put(on, dev, { 'load.jmx': chance.bytes(80_000) })
  await put(on, stageScope('big', project), { 'big.bin': chance.bytes(1_100_000) })
  const names = Array.from({ length: 700 }, () => `many/${chance.bytes(100).toString('hex')}`)
  await put(on, dev, Object.fromEntries(names.map((name) => [name, ''])))
  await resources.deleteFile(dev, parseResourcePath('many'), writeContext())
  // The stage is deleted and comes back, the project turns to the other format and back again, and is deleted and comes back.
  await resources.deleteStage(stageScope('lost', project), writeContext())
  await resources.undeleteStage(stageScope('lost', project), writeContext())
  await convert(on, 2, project)
  await put(on, carts, { 'slo.yaml': text() })
  await convert(on, 1, project)
  await resources.deleteProject(project, writeContext())
  await resources.undeleteProject(project, writeContext())

  // Two entries are lost, the second of them not from the bucket, and a person goes on without.
  await put(on, carts, { 'slo.yaml': 'lost' })
  const lost = await newestOf(store, keys)
  await put(on, carts, { 'slo.yaml': 'lost too' })
  const stray = await store.get(keys.entry(lost + 1), call)
  await store.delete(keys.entry(lost), call)
  await acceptRestore({ store, keys, ...time, build: '0.0.0-test', applied: 0, format: 1 })
  on = open()

  while ((await newestOf(store, keys)) < checkpointAt) {
    await put(on, scope, { 'sli.yaml': text() }, number % 4 === 0 ? keyed() : {})
  }
  await until(async () =>
    (await keysBelow(store, keys.checkpointPrefix)).some(
      (key) => keys.parseCheckpoint(key) === checkpointAt,
    ),
  )
  await put(on, dev, { 'late.jmx': chance.bytes(70_000) })
  for (let at = 1; at < entriesBehindCheckpoint; at++) {
    await put(on, carts, { 'slo.yaml': text() }, keyed())
  }
  return { replaced: { seq: lost + 1, bytes: bodyOf(stray) }, formerCommit: commit as Oid }
}

async function keysBelow(store: Store, prefix: string): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of listAll(store, prefix)) keys.push(key)
  return keys
}

async function newestOf(store: Store, keys: ProjectKeys): Promise<number> {
  const entries = await keysBelow(store, keys.logPrefix)
  return Math.max(0, ...entries.map((key) => keys.parseEntry(key) ?? 0))
}

function bodyOf(object: StoredObject | 'not-modified' | null): Buffer {
  if (object === null || object === 'not-modified') throw new Error('an object is absent')
  return object.body
}

async function objectsOf(store: Store): Promise<Map<string, Buffer>> {
  const objects = new Map<string, Buffer>()
  for (const key of await keysBelow(store, '')) objects.set(key, bodyOf(await store.get(key, call)))
  return objects
}

/** Writes again what has another ETag than it had, so that little is written. */
async function createReset(store: Store, sound: ReadonlyMap<string, Buffer>) {
  const etags = new Map<string, string>()
  for await (const { key, etag } of listAll(store, '')) etags.set(key, etag)
  return async () => {
    const there = new Map<string, string>()
    for await (const { key, etag } of listAll(store, '')) there.set(key, etag)
    for (const key of there.keys()) if (!sound.has(key)) await store.delete(key, call)
    for (const [key, body] of sound) {
      if (there.get(key) === etags.get(key)) continue
      etags.set(key, (await store.put(key, body, call)).etag)
    }
  }
}
