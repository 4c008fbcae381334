import { openS3Store } from '../../src/store/s3.ts'
import { type StoreAbilities, storeContract } from '../contract/store.ts'
import {
  requireServers,
  type S3Server,
  startMinio,
  startVersityGateway,
} from '../support/servers.ts'

if (requireServers('store contract: MinIO', 'minio')) {
  s3Contract('MinIO', startMinio, { longSegments: 'refused for good', keysBelowKeys: true })
}
if (requireServers('store contract: Versity Gateway', 'versitygw')) {
  s3Contract('Versity Gateway', startVersityGateway, {
    longSegments: 'failed',
    keysBelowKeys: false,
  })
}

function s3Contract(name: string, start: () => Promise<S3Server>, can: StoreAbilities): void {
  storeContract(
    name,
    async () => {
      const server = await start()
      const bucket = await server.createBucket()
      const open = (changes: { bucket?: string; secretAccessKey?: string } = {}) =>
        openS3Store({
          bucket: changes.bucket ?? bucket,
          prefix: 'some/prefix',
          endpoint: server.endpoint,
          region: server.region,
          style: 'path',
          credentials: () => ({
            accessKeyId: server.accessKeyId,
            secretAccessKey: changes.secretAccessKey ?? server.secretAccessKey,
          }),
        })
      return {
        store: await open(),
        openAgain: () => open(),
        openMissing: () => open({ bucket: 'missing-bucket' }),
        openDenied: () => open({ secretAccessKey: 'wrong-secret' }),
        close: () => server.stop(),
      }
    },
    { can },
  )
}
