/** Keys of a MinIO besides its first one, so that they can be rotated: its admin API, whose bodies are encrypted. */
import { createCipheriv, pbkdf2Sync, randomBytes, randomUUID } from 'node:crypto'
import { clientOf } from '../support/bucket-log.ts'
import type { S3Server } from '../support/servers.ts'

export interface StoreKey {
  accessKeyId: string
  secretAccessKey: string
  /** Nobody gets in with it any more. */
  remove(): Promise<void>
}

/** Makes a key that may do what the first one may. */
export async function makeKey(minio: S3Server): Promise<StoreKey> {
  const accessKeyId = randomUUID().slice(0, 18)
  const secretAccessKey = randomUUID()
  const body = { accessKey: accessKeyId, secretKey: secretAccessKey }
  await ask(minio, 'PUT', 'add-service-account', {
    body: encrypt(minio.secretAccessKey, Buffer.from(JSON.stringify(body))),
  })
  const query = `accessKey=${accessKeyId}`
  const remove = () => ask(minio, 'DELETE', 'delete-service-account', { query })
  return { accessKeyId, secretAccessKey, remove }
}

async function ask(
  minio: S3Server,
  method: string,
  verb: string,
  { body = Buffer.alloc(0), query = '' }: { body?: Buffer; query?: string },
): Promise<void> {
  // It is signed as a request for an object is.
  const place = { method, bucketName: 'minio', objectName: `admin/v3/${verb}`, query }
  const answer = await clientOf(minio).makeRequestAsync(place, body, [200, 204])
  answer.resume()
}

/**
 * A salt, how the key is made of it (2: PBKDF2 for AES-GCM), a nonce, and one piece of an authenticated stream, which is its last.
 * @see https://github.com/minio/madmin-go (EncryptData), https://github.com/secure-io/sio-go
 */
function encrypt(password: string, content: Buffer): Buffer {
  const salt = randomBytes(32)
  const nonce = randomBytes(8)
  const key = pbkdf2Sync(password, salt, 8_192, 32, 'sha256')
  const seal = (number: number, text: Buffer, associated: Buffer) => {
    const count = Buffer.alloc(4)
    count.writeUInt32LE(number)
    const cipher = createCipheriv('aes-256-gcm', key, Buffer.concat([nonce, count]))
    cipher.setAAD(associated)
    return Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()])
  }
  const none = Buffer.alloc(0)
  const last = Buffer.concat([Buffer.from([0x80]), seal(0, none, none)])
  return Buffer.concat([salt, Buffer.from([2]), nonce, seal(1, content, last)])
}
