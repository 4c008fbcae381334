/** The last witness: repositories that stock git rebuilds from the bucket, as the README tells it but for its pace. */
import { once } from 'node:events'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Client } from 'minio'
import { fetchProject } from '../support/bucket-log.ts'
import { removeFolder } from '../support/processes.ts'
import type { Ledger } from './ledger.ts'
import type { Rebuild } from './rebuild-worker.ts'

const workerFile = new URL('rebuild-worker.js', import.meta.url)
const atOnce = 2
/** As many as take a few seconds. */
const fetchesMost = 250

/** @param at.folder for copies of the bucket, removed again @returns a sentence for each file that is not what was acknowledged */
export async function compareRebuilt(
  ledger: Ledger,
  at: { client: Client; bucket: string; prefix: string; folder: string },
): Promise<{ wrong: string[]; entries: number }> {
  const found = { wrong: [] as string[], entries: 0 }
  // The largest first, so that none of them is left alone in the end.
  const left = [...ledger.files].sort(([, one], [, other]) => one.size - other.size)
  const work = async () => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      const [project, files] = next
      const copy = join(at.folder, project)
      await fetchProject(at.client, { ...at, project }, copy)
      const { entries, blobs } = await rebuild({ folder: copy, fetchesMost })
      removeFolder(copy)
      found.entries += entries
      for (const [file, expected] of files) {
        if (!expected.includes(blobs.get(file) ?? null))
          found.wrong.push(`lost: ${project}/${file} in stock git`)
      }
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  return found
}

/** @throws where git is not content */
export async function rebuild(
  options: Rebuild,
): Promise<{ entries: number; blobs: Map<string, string> }> {
  const worker = new Worker(workerFile, { workerData: options })
  const [rebuilt] = await once(worker, 'message')
  return rebuilt
}
