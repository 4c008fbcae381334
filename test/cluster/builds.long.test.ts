import { requireServers } from '../support/programs.ts'
import { startMinio } from '../support/servers.ts'
import { disturbances, openFleet, refusals } from './builds.ts'

if (requireServers('builds on a bucket', 'minio')) {
  const open = async () => {
    const minio = await startMinio()
    const fleet = openFleet({
      STORE_URL: `s3://${await minio.createBucket()}?endpoint=${minio.endpoint}`,
      AWS_ACCESS_KEY_ID: minio.accessKeyId,
      AWS_SECRET_ACCESS_KEY: minio.secretAccessKey,
    })
    return {
      ...fleet,
      async close() {
        await fleet.close()
        await minio.stop()
      },
    }
  }
  refusals('builds on a bucket', open)
  disturbances('disturbed builds on a bucket', open)
}
