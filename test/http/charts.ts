/** Helm archives, made and read as Helm does. */
import { gunzipSync, gzipSync } from 'node:zlib'
import { extract, pack } from 'tar-stream'

/** @param top the one folder at the top @param files by path below it */
export async function makeChart(top: string, files: Record<string, string>): Promise<Buffer> {
  const archive = pack()
  for (const [path, text] of Object.entries(files)) archive.entry({ name: `${top}/${path}` }, text)
  archive.finalize()
  const chunks: Buffer[] = []
  for await (const chunk of archive) chunks.push(chunk as Buffer)
  return gzipSync(Buffer.concat(chunks))
}

/** Files of an archive by path. */
export async function readChart(archive: Buffer): Promise<Record<string, string>> {
  const files: Record<string, string> = {}
  const reader = extract()
  reader.end(gunzipSync(archive))
  for await (const entry of reader) {
    const chunks: Buffer[] = []
    for await (const chunk of entry) chunks.push(chunk as Buffer)
    files[entry.header.name] = Buffer.concat(chunks).toString()
  }
  return files
}
