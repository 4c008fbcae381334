/** A file that grows, read line by line: logs of a long run are too long to be read whole again and again. */
import { closeSync, openSync, readSync } from 'node:fs'

const chunkBytes = 1 << 20

/** @returns what gives the lines that were finished since it was last asked; none while there is no such file */
export function tail(path: string): () => string[] {
  let readBytes = 0
  let rest = ''
  const decoder = new TextDecoder()
  const chunk = Buffer.alloc(chunkBytes)

  return () => {
    let file: number
    try {
      file = openSync(path, 'r')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw error
    }
    try {
      const lines: string[] = []
      for (;;) {
        const length = readSync(file, chunk, 0, chunkBytes, readBytes)
        if (length === 0) return lines
        readBytes += length
        const parts = (rest + decoder.decode(chunk.subarray(0, length), { stream: true })).split(
          '\n',
        )
        rest = parts.pop() ?? ''
        lines.push(...parts)
      }
    } finally {
      closeSync(file)
    }
  }
}
