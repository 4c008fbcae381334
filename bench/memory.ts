/** How much memory a replica takes that is set up as the chart sets up one of 256 MiB, and has seen more than fits into it. */
import { runClient } from './place.ts'
import type { Scenario } from './scenario.ts'
import { loadByWrk } from './wrk.ts'

const limitMiB = 256
const files = 50
/** As `charts/configuration-service/templates/_pod.tpl` and the Dockerfile have it. */
const nodeFlags = [`--max-old-space-size=${(limitMiB * 3) / 8}`, '--max-semi-space-size=8']
const env = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '65536' }

export const memory: Scenario = {
  rows: ['memory'],
  async run(place, { projects, sliceSeconds }) {
    const bucket = await place.makeBucket()
    const maker = await place.startService({ bucket })
    await runClient({ kind: 'make-many', url: maker.url, projects, files })
    await maker.stop()

    const service = await place.startService({ bucket, env, nodeFlags })
    const idleMiB = await service.peakMiB()
    await runClient({ kind: 'read-many', url: service.url, projects, files })
    const readMiB = await service.peakMiB()
    await loadByWrk({
      url: `${service.url}/v1/project/many-0/resource/file-0.yaml`,
      seconds: sliceSeconds,
    })
    return { memory: { value: await service.peakMiB(), notes: { idleMiB, readMiB } } }
  },
}
