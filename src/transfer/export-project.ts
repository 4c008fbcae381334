/** Writes a project as a bare repository, ref by ref what stock git makes of its log. It takes no git. */
import { hash } from 'node:crypto'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { parseBundle } from '../git/bundle.ts'
import { toByteString } from '../git/bytes.ts'
import type { Oid } from '../git/objects.ts'
import { encodePack, type PackedObject, parsePack } from '../git/pack.ts'
import { indexEncodedPack, indexPack } from '../git/pack-index.ts'
import { type Entry, type SpilledPack, sha256, transactionRef } from '../repository/entry.ts'
import { type ProjectKeys, projectKeys } from '../repository/keys.ts'
import type { ProjectName } from '../repository/repository.ts'
import { exists, type Snapshot, snapshotOf } from '../repository/snapshot.ts'
import { readEntries } from '../repository/whole-log.ts'
import type { Store } from '../store/store.ts'
import { bareConfig } from './git.ts'
import { Refusal } from './refusal.ts'
import type { OnProgress } from './repack.ts'

export interface ExportOptions {
  store: Store
  project: ProjectName
  /** A folder that is absent or empty. */
  to: string
  onProgress: OnProgress
  /** Ends the work. */
  signal: AbortSignal
}

export interface Exported {
  project: ProjectName
  /** The repository. */
  to: string
  /** The entry up to which it goes: what comes later is not in it. */
  seq: number
  format: number
  defaultBranch: string
  refs: number
  packs: number
}

/** Objects of entries are gathered to packs of about so much. */
const packAimBytes = 16 * 2 ** 20
const getTimeoutMs = 300_000

/**
 * Exports one project as it is at its newest entry.
 * @throws Refusal, StoreError, EntryError: the folder is left as it was
 */
export async function exportProject(options: ExportOptions): Promise<Exported> {
  const { project } = options
  const to = resolve(options.to)
  await checkEmpty(to)
  // Beside it, so that the last step is a rename: a folder that is there is whole.
  const making = `${to}.making`
  await rm(making, { recursive: true, force: true })
  try {
    await mkdir(join(making, 'objects/pack'), { recursive: true })
    const { last, packs } = await writeObjects(making, options)
    if (last === null || !exists(snapshotOf(last))) {
      throw new Refusal(`there is no project ${project}`)
    }
    const snapshot = snapshotOf(last)
    await writeRefs(making, last, snapshot)
    await rename(making, to)
    const { seq, format, defaultBranch, refs } = snapshot
    return { project, to, seq, format, defaultBranch, refs: refs.size, packs }
  } finally {
    await rm(making, { recursive: true, force: true })
  }
}

async function checkEmpty(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    if (error.code === 'ENOTDIR') throw new Refusal(`${folder} is no folder`)
    throw error
  })
  if (names.length > 0) throw new Refusal(`${folder} is not empty`)
  await mkdir(dirname(folder), { recursive: true })
}

/** Packs what entries hold, and fetches what they name. */
async function writeObjects(
  folder: string,
  { store, project, onProgress, signal }: ExportOptions,
): Promise<{ last: Entry | null; packs: number }> {
  const keys = projectKeys(project)
  const named = new Map<string, SpilledPack>()
  let gathered = new Map<Oid, PackedObject>()
  let gatheredBytes = 0
  let packs = 0
  let last: Entry | null = null

  const flush = async () => {
    if (gathered.size === 0) return
    const objects = [...gathered.values()]
    const pack = encodePack(objects)
    await writePack(folder, pack, indexEncodedPack(objects, pack))
    gathered = new Map()
    gatheredBytes = 0
    packs++
  }
  const gather = (object: PackedObject) => {
    if (gathered.has(object.oid)) return
    gathered.set(object.oid, object)
    gatheredBytes += object.deflated.length
  }

  for await (const { entry, total } of readEntries({ store, keys })) {
    signal.throwIfAborted()
    for (const object of entry.objects) gather(object)
    for (const info of entry.transaction.packs) named.set(info.name, info)
    if (gatheredBytes >= packAimBytes) await flush()
    last = entry
    onProgress('entries', entry.seq, total)
  }
  if (last !== null) gather(transactionOf(last))
  await flush()
  let fetched = 0
  for (const info of named.values()) {
    signal.throwIfAborted()
    const pack = await fetchPack(store, keys, info)
    await writePack(folder, pack, await indexOf(store, keys, info, pack))
    onProgress('packs', ++fetched, named.size)
  }
  return { last, packs: packs + fetched }
}

/** Entries are read without the blob that says what they are, and a ref of theirs names it. */
function transactionOf({ bytes }: Entry): PackedObject {
  const { refs, packOffset } = parseBundle(bytes)
  const oid = refs.get(transactionRef)
  const found = parsePack(bytes.subarray(packOffset)).find((object) => object.oid === oid)
  if (found === undefined) throw new Error('an entry does not hold its transaction')
  return { ...found, sizeBytes: found.content.length }
}

async function writeRefs(folder: string, last: Entry, { refs, defaultBranch }: Snapshot) {
  const all = new Map<string, Oid>([...refs, [transactionRef, transactionOf(last).oid]])
  const rows = Array.from(all, ([name, oid]) => ({ name: toByteString(name), oid }))
  rows.sort((left, right) => (left.name < right.name ? -1 : 1))
  const packed = rows.map(({ name, oid }) => `${oid} ${name}\n`).join('')
  await writeFile(join(folder, 'packed-refs'), Buffer.from(packed, 'latin1'))
  await mkdir(join(folder, 'refs/heads'), { recursive: true })
  await writeFile(join(folder, 'config'), bareConfig)
  const head = `ref: refs/heads/${toByteString(defaultBranch)}\n`
  await writeFile(join(folder, 'HEAD'), Buffer.from(head, 'latin1'))
}

async function writePack(folder: string, pack: Buffer, index: Buffer): Promise<void> {
  const path = join(folder, `objects/pack/pack-${hash('sha1', pack)}`)
  await writeFile(`${path}.pack`, pack)
  await writeFile(`${path}.idx`, index)
}

async function fetchPack(store: Store, keys: ProjectKeys, info: SpilledPack): Promise<Buffer> {
  const object = await store.get(keys.spilledPack(info.name), { timeoutMs: getTimeoutMs })
  if (object === null || object === 'not-modified') throw new Error(`packs/${info.name} is gone`)
  if (sha256(object.body) === info.sha256) return object.body
  throw new Error(`packs/${info.name} is not what its entry says`)
}

async function indexOf(store: Store, keys: ProjectKeys, info: SpilledPack, pack: Buffer) {
  if (info.indexSha256 !== undefined) {
    const key = keys.checkpointIndex(info.sha256)
    const object = await store.get(key, { timeoutMs: getTimeoutMs })
    const body = object === null || object === 'not-modified' ? null : object.body
    if (body !== null && sha256(body) === info.indexSha256) return body
  }
  return indexPack(pack)
}
