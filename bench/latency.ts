/** One connection: how much a request takes beside the one call to the store that it cannot do without. */
import type { Latencies } from './client.ts'
import { makeProject, project, readPath } from './files.ts'
import { runClient } from './place.ts'
import type { RowName, Sample } from './rows.ts'
import type { Scenario } from './scenario.ts'

export const readLatency = latencyOf('read', 'read-latency', readPath)
export const writeLatency = latencyOf('write', 'write-latency', readPath)
export const batchLatency = latencyOf('batch', 'batch', `/v1/project/${project}/resource`)

function latencyOf(what: 'read' | 'write' | 'batch', row: RowName, path: string): Scenario {
  return {
    rows: [row],
    async run(place, { samples }): Promise<Partial<Record<RowName, Sample>>> {
      const bucket = await place.makeBucket()
      const service = await place.startService({ bucket })
      await makeProject(service.url)
      const url = service.url + path
      return { [row]: await runClient<Latencies>({ kind: 'latency', what, bucket, url, samples }) }
    },
  }
}
