/** The release that scenarios are played on: installed for the first of them, brought to how each begins, and removed. */
import type { S3Server } from '../support/servers.ts'
import type { Cluster } from './cluster.ts'
import { leftovers, type Operator } from './operator.ts'
import { podsOf, settled } from './pods.ts'
import type { Beginning } from './scenarios.ts'

export interface Release {
  /** Brings it to how a scenario begins; without load. */
  begin(beginning: Beginning): Promise<void>
  /** Removes it. @returns what was left behind, in sentences */
  remove(): Promise<string[]>
}

/** A release that is not installed yet. */
export function createRelease(parts: {
  cluster: Cluster
  operator: Operator
  minio: S3Server
}): Release {
  const { cluster, operator, minio } = parts
  let isInstalled = false
  return {
    async begin({ build, replicas }) {
      await operator.takes(build, { replicaCount: replicas })
      if (isInstalled) await operator.does('upgrade')
      else {
        operator.write('accessKeyId', minio.accessKeyId)
        operator.write('secretAccessKey', minio.secretAccessKey)
        await operator.does('secret')
        await operator.does('install')
        isInstalled = true
      }
      await settled(cluster)
      const pods = await podsOf(cluster)
      if (pods.size !== replicas)
        throw new Error(`there are ${pods.size} replicas, not ${replicas}`)
    },
    async remove() {
      if (!isInstalled) return []
      await operator.does('uninstall')
      await operator.runs(
        'kubectl delete secret configuration-service-store configuration-service-redis --ignore-not-found',
      )
      await settled(cluster)
      isInstalled = false
      return leftovers(cluster)
    },
  }
}
