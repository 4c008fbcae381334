/** Digests of what may be large: 10 MiB take some 10 ms, which everybody else would wait for. */
import { hash, subtle } from 'node:crypto'

/** From this size on another thread is asked. */
const asideFromBytes = 256 * 1024

const onThread = { sha1: 'SHA-1', sha256: 'SHA-256' }

/** Hashes bytes, large ones on another thread. */
export async function digest(algorithm: keyof typeof onThread, bytes: Buffer): Promise<Buffer> {
  if (bytes.length < asideFromBytes) return hash(algorithm, bytes, 'buffer')
  return Buffer.from(await subtle.digest(onThread[algorithm], bytes))
}
