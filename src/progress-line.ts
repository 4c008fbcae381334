/** How far something is, for whoever watches: a bar that grows on a terminal, a line now and then elsewhere. */
import type { WriteStream } from 'node:tty'

export interface Progress {
  what: string
  visited: number
  total: number
  /** What is counted, after a space; projects unless told. */
  unit?: string
}

export interface ProgressLine {
  show(progress: Progress): void
  /** Leaves the last state behind, on a line of its own. */
  end(): void
}

const barWidth = 30
const barEveryMs = 100
const lineEveryMs = 3_000

/** @param stream stderr; stdout is for the report */
export function createProgressLine(
  stream: Pick<WriteStream, 'write'> & { isTTY?: boolean },
  nowMs: () => number = () => performance.now(),
): ProgressLine {
  const everyMs = stream.isTTY ? barEveryMs : lineEveryMs
  let shownMs = nowMs()
  let isBarShown = false

  const bar = ({ what, visited, total }: Progress) => {
    const filled = Math.floor((barWidth * visited) / Math.max(1, total))
    const dots = '#'.repeat(filled) + '.'.repeat(barWidth - filled)
    return `\r${what} [${dots}] ${visited}/${total}`
  }

  return {
    show(progress) {
      const isLast = progress.visited === progress.total
      if (nowMs() - shownMs < everyMs && !(stream.isTTY && isLast)) return
      shownMs = nowMs()
      isBarShown = stream.isTTY === true
      const { what, visited, total, unit = ' projects' } = progress
      stream.write(isBarShown ? bar(progress) : `${what}: ${visited} of ${total}${unit}\n`)
    },
    end() {
      if (isBarShown) stream.write('\n')
      isBarShown = false
    },
  }
}
