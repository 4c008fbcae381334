/** What a replica takes that is set up as the chart sets up one of 256 MiB, and meets more than fits into that. */
import { randomBytes } from 'node:crypto'
import { answers, type Place, readMetric, runClient, type Subject } from './place.ts'
import type { Effort, Scenario } from './scenario.ts'
import { loadByWrk } from './wrk.ts'

const limitMiB = 256
const files = 50
const uploadBytes = 10 * 1024 * 1024
/** As `charts/configuration-service/templates/_pod.tpl` and the Dockerfile have it. */
const nodeFlags = [`--max-old-space-size=${(limitMiB * 3) / 8}`, '--max-semi-space-size=8']
const env = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '65536' }

export const memory: Scenario = {
  rows: ['memory', 'upload-delay'],
  async run(place, effort) {
    const service = await startAmid(place, effort)
    const idleMiB = await service.peakMiB()
    await runClient({ kind: 'read-many', url: service.url, projects: effort.projects, files })
    const readMiB = await service.peakMiB()
    const readers = {
      url: `${service.url}/v1/project/many-0/resource/file-0.yaml`,
      seconds: effort.sliceSeconds,
    }
    await loadByWrk(readers)
    const loadedMiB = await service.peakMiB()

    // Read once, it begins anew.
    await answers(`${service.url}/metrics`)
    let isOver = false
    const uploads = uploadUntil(service, () => isOver)
    const { p99Ms } = await loadByWrk(readers)
    isOver = true
    const count = await uploads
    const delaySeconds = await readMetric(service.url, 'nodejs_eventloop_lag_p99_seconds')
    return {
      memory: { value: await service.peakMiB(), notes: { idleMiB, readMiB, loadedMiB } },
      'upload-delay': { value: delaySeconds * 1_000, notes: { uploads: count, readsP99Ms: p99Ms } },
    }
  },
}

/** A fresh process on a bucket with more projects than it may keep in memory. */
async function startAmid(place: Place, { projects }: Effort): Promise<Subject> {
  const bucket = await place.makeBucket()
  const maker = await place.startService({ bucket })
  await runClient({ kind: 'make-many', url: maker.url, projects, files })
  await maker.stop()
  return place.startService({ bucket, env, nodeFlags })
}

/** As raw bytes and as JSON by turns. @returns how many files were written, at least one of each */
async function uploadUntil({ url }: Subject, isOver: () => boolean): Promise<number> {
  for (let count = 1; ; count++) {
    const isRaw = count % 2 === 1
    const answer = await fetch(`${url}/v1/project/many-1/resource/large-${count % 2}.bin`, {
      method: 'PUT',
      headers: { 'content-type': isRaw ? 'application/octet-stream' : 'application/json' },
      body: isRaw ? randomBytes(uploadBytes) : jsonOf(uploadBytes),
    })
    if (!answer.ok) throw new Error(`an upload: ${answer.status} ${await answer.text()}`)
    await answer.arrayBuffer()
    if (isOver() && !isRaw) return count
  }
}

/** A body of so many bytes at the most. */
function jsonOf(sizeBytes: number): string {
  const content = randomBytes(Math.floor(((sizeBytes - 100) * 3) / 4))
  return JSON.stringify({ resourceContent: content.toString('base64') })
}
