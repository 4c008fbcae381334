/** Readers beside writers: how much longer the slowest reads take. */
import type { Writes } from './client.ts'
import { makeProject, project, readPath } from './files.ts'
import { runClient } from './place.ts'
import { mean, type Scenario } from './scenario.ts'
import { loadByWrk } from './wrk.ts'

const writers = 32

export const mixedLoad: Scenario = {
  rows: ['mixed-p99'],
  async run(place, { rounds, sliceSeconds: seconds, warmUpSeconds }) {
    const service = await place.startService({ bucket: await place.makeBucket() })
    await makeProject(service.url)
    const readers = { url: service.url + readPath, seconds }
    await loadByWrk({ ...readers, seconds: warmUpSeconds })
    const alone: number[] = []
    const beside: number[] = []
    const writes: number[] = []
    for (let round = 0; round < rounds; round++) {
      alone.push((await loadByWrk(readers)).p99Ms)
      const task = { kind: 'writers', urls: [service.url], writers, projects: [project] }
      const [load, { perSecond }] = await Promise.all([
        loadByWrk(readers),
        runClient<Writes>({ ...task, seconds, warmUpSeconds: 0 }),
      ])
      beside.push(load.p99Ms)
      writes.push(perSecond)
    }
    const notes = { writesPerSecond: mean(writes) }
    return { 'mixed-p99': { value: mean(beside), baseline: mean(alone), notes } }
  },
}
