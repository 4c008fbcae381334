/** Logs as they lie in a bucket, read by the simulation's second reader of entries, without any code of the service. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { Client } from 'minio'
import { type Entry, parseCommit, parseEntry, parsePack, sha256 } from '../simulation/bundles.ts'
import type { S3Server } from './servers.ts'

export interface BucketLog {
  entries: Entry[]
  /** How many commits bear a message. */
  messages: Map<string, number>
  /** The message of each commit. */
  commits: Map<string, string>
  /** Keys and how often an entry binds them. */
  keys: Map<string, number>
  /** Gaps, broken chains, packs that are not what their entry says. */
  faults: string[]
}

/** A client of another maker than the service's adapter. */
export function clientOf(server: S3Server): Client {
  return new Client({
    endPoint: '127.0.0.1',
    port: server.port,
    useSSL: false,
    region: server.region,
    accessKey: server.accessKeyId,
    secretKey: server.secretAccessKey,
  })
}

/** Reads the whole log of a project. @param at.prefix of the store in the bucket, with a slash at its end */
export async function readBucketLog(
  client: Client,
  at: { bucket: string; prefix: string; project: string },
): Promise<BucketLog> {
  const { bucket, prefix, project } = at
  const place = `${prefix}projects/${project}/`
  const names: string[] = []
  for await (const { name } of client.listObjectsV2(bucket, `${place}log/`, true)) names.push(name)
  return await readLog(
    names.map((name) => name.slice(place.length)),
    async (name) => buffer(await client.getObject(bucket, place + name)),
  )
}

/** Reads the whole log of a project of a `file:` store. @param folder of the project */
export async function readFolderLog(folder: string): Promise<BucketLog> {
  // Beside the entries lie files that were never linked.
  const names = readdirSync(join(folder, 'log')).filter((name) => name.endsWith('.bundle'))
  return await readLog(
    names.map((name) => `log/${name}`),
    (name) => readFile(join(folder, name)),
  )
}

/** @param names of the entries, such as `log/….bundle` @param get reads what lies beneath the project */
async function readLog(
  names: string[],
  get: (name: string) => Promise<Buffer>,
): Promise<BucketLog> {
  const bodies = await inParallel(names.sort(), get)

  const log: BucketLog = {
    entries: [],
    messages: new Map(),
    commits: new Map(),
    keys: new Map(),
    faults: [],
  }
  let previous: string | null = null
  for (const [index, body] of bodies.entries()) {
    const seq = String(index + 1).padStart(20, '0')
    if (names[index] !== `log/${seq}.bundle`) log.faults.push(`entry ${seq} is absent`)
    const entry = parseEntry(body)
    if (entry.transaction.previous !== previous) log.faults.push(`entry ${seq} breaks the chain`)
    previous = sha256(body)
    log.entries.push(entry)
    const objects = new Map(entry.objects)
    for (const pack of entry.transaction.packs) {
      const bytes = await get(`packs/${pack.name}`)
      if (sha256(bytes) !== pack.sha256) log.faults.push(`${pack.name} is not what it was`)
      for (const [oid, object] of parsePack(bytes)) objects.set(oid, object)
    }
    for (const [oid, { type, content }] of objects) {
      if (type !== 'commit' || log.commits.has(oid)) continue
      const { message } = parseCommit(content)
      log.commits.set(oid, message)
      add(log.messages, message)
    }
    for (const { key } of entry.transaction.requests) if (key !== undefined) add(log.keys, key)
  }
  return log
}

/** Copies what the bucket holds of a project into a folder, which then holds `log/` and `packs/`. @param at as of `readBucketLog` */
export async function fetchProject(
  client: Client,
  at: { bucket: string; prefix: string; project: string },
  copy: string,
): Promise<void> {
  const { bucket, prefix, project } = at
  for (const folder of ['log', 'packs']) {
    const target = join(copy, folder)
    mkdirSync(target, { recursive: true })
    const names: string[] = []
    const place = `${prefix}projects/${project}/${folder}/`
    for await (const { name } of client.listObjectsV2(bucket, place, true)) names.push(name)
    await inParallel(names, async (name) =>
      writeFileSync(
        join(target, basename(name)),
        await buffer(await client.getObject(bucket, name)),
      ),
    )
  }
}

function add(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}

async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const worker = async () => {
    for (let at = next++; at < items.length; at = next++) results[at] = await work(items[at] as T)
  }
  await Promise.all(Array.from({ length: 8 }, worker))
  return results
}
