/** Packs with deltas are indexed by isomorphic-git: right matters there, speed does not. */
import { packHeaderBytes, trailerBytes } from './pack.ts'

/**
 * Indexes a pack whose deltas find their bases in it.
 * @param pack its trailer already verified
 * @returns the bytes of an index of version 2
 * @throws Error where an object cannot be made from the pack alone
 */
export async function indexDeltaPack(pack: Buffer): Promise<Buffer> {
  // Loaded only here: it takes a quarter of the whole start, and most processes never need it.
  const { default: git } = await import('isomorphic-git')
  const files = new Map<string, Buffer>([['/import.pack', pack]])
  const { oids } = await git.indexPack({
    fs: memoryFs(files),
    dir: '/',
    gitdir: '/',
    filepath: 'import.pack',
  })
  const index = files.get('/import.idx')
  // It passes over what it cannot resolve, without a word.
  if (oids.length !== pack.readUInt32BE(packHeaderBytes - 4) || index === undefined) {
    throw new Error('a pack holds deltas whose bases are elsewhere')
  }
  if (index.length < trailerBytes) throw new Error('no index came of a pack')
  return index
}

/** As much of a file system as indexing takes: files by path, in memory. */
function memoryFs(files: Map<string, Buffer>) {
  const missing = () => Promise.reject(Object.assign(new Error('ENOENT'), { code: 'ENOENT' }))
  return {
    promises: {
      readFile: async (path: string) => files.get(path) ?? missing(),
      writeFile: async (path: string, data: Uint8Array) => void files.set(path, Buffer.from(data)),
      unlink: missing,
      readdir: async () => [],
      mkdir: async () => undefined,
      rmdir: missing,
      stat: missing,
      lstat: missing,
      readlink: missing,
      symlink: missing,
      chmod: missing,
    },
  }
}
