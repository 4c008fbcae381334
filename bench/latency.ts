/** One connection: how much a read or a write takes beyond the one call to the store that it cannot do without. */
import type { Latencies } from './client.ts'
import { makeProject, readPath } from './files.ts'
import { runClient } from './place.ts'
import type { RowName, Sample } from './rows.ts'
import type { Scenario } from './scenario.ts'

export const readLatency = latencyOf('read', 'read-latency')
export const writeLatency = latencyOf('write', 'write-latency')

function latencyOf(what: 'read' | 'write', row: RowName): Scenario {
  return {
    rows: [row],
    async run(place, { samples }): Promise<Partial<Record<RowName, Sample>>> {
      const bucket = await place.makeBucket()
      const service = await place.startService({ bucket })
      await makeProject(service.url)
      const url = service.url + readPath
      const measured = await runClient<Latencies>({ kind: 'latency', what, bucket, url, samples })
      return { [row]: { value: measured.service, baseline: measured.store } }
    },
  }
}
