/** Helm charts: people write and read `helm/<name>.tgz`, the tree holds the files of `helm/<name>/`. */

export interface ChartPath {
  name: string
  /** Path of the file that people name. */
  archive: string
  /** Path of the folder that the tree holds. */
  folder: string
}

/** Tells whether a path names a chart's archive, in any folder called `helm`, as Keptn does; null where it does not. */
export function parseChartPath(path: string): ChartPath | null {
  const match = /^((?:.*\/)?helm\/([^/]+))\.tgz$/su.exec(path)
  if (match === null) return null
  return { name: match[2] as string, archive: path, folder: match[1] as string }
}

/** Reads a stream to its end; `node:stream/consumers` makes a Blob of each, which is slow for 10,000 small files. */
export async function collect(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
