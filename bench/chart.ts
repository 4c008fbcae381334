/** Results as pictures: how far each row is beyond its must, and how much each of several does. */
import { figure, type Result, type Row } from './rows.ts'

const rowHeight = 44
const left = 20
const barWidth = 520
const top = 40
/** Right end of the scale, in musts. */
const scaleEnd = 4

const style = `text{font:13px system-ui,sans-serif;fill:#24292f}
.small{font-size:11px;fill:#57606a}.aim{fill:#1a7f37}.must{fill:#0969da}.missed{fill:#cf222e}
.own{fill:#0969da}.other{fill:#bc4c00}.limit{fill:#8c959f}
line{stroke:#57606a}.goal{stroke:#1a7f37;stroke-dasharray:3 2}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#9198a1}line{stroke:#9198a1}}`

/** Draws one bar a row: 1 is the must, whichever direction is the better one. */
export function drawChart(results: readonly Result[]): string {
  const height = top + results.length * rowHeight + 16
  const mustAt = left + barWidth / scaleEnd
  return drawPicture("The benchmark's rows, each against its must", height, [
    `<text x="${mustAt}" y="20" text-anchor="middle" class="small">must</text>`,
    ...results.map((result, at) => drawRow(result, top + at * rowHeight)),
    `<line x1="${mustAt}" x2="${mustAt}" y1="26" y2="${height - 12}"/>`,
  ])
}

/** How much somebody does. */
export interface Bar {
  label: string
  side: 'own' | 'other' | 'limit'
  length: number
  /** The number that stands beside it. */
  told: string
}

/** Draws groups of bars; in each group the longest takes the whole width. */
export function drawBars(
  title: string,
  groups: readonly { title: string; bars: readonly Bar[] }[],
): string {
  const parts: string[] = []
  let y = 0
  for (const group of groups) {
    y += top
    parts.push(`<text x="${left}" y="${y - 12}">${escapeXml(group.title)}</text>`)
    const most = Math.max(...group.bars.map(({ length }) => length))
    for (const bar of group.bars) {
      parts.push(drawBar(bar, (bar.length / most) * barWidth, y))
      y += rowHeight
    }
  }
  return drawPicture(title, y + 16, parts)
}

function drawBar({ label, side, told }: Bar, length: number, y: number): string {
  return `<text x="${left}" y="${y + 10}" class="small">${escapeXml(label)}</text>
<rect x="${left}" y="${y + 16}" width="${length.toFixed(1)}" height="14" rx="2" class="${side}"/>
<text x="${(left + length + 8).toFixed(1)}" y="${y + 28}">${escapeXml(told)}</text>`
}

function drawPicture(title: string, height: number, parts: readonly string[]): string {
  const width = left + barWidth + 180
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>${title}</title>
<style>${style}</style>
${parts.join('\n')}
</svg>
`
}

function drawRow(result: Result, y: number): string {
  const { median, verdict, aim } = result
  const length = median === null ? 0 : lengthOf(result, median)
  const aimAt = left + lengthOf(result, aim)
  const told = median === null ? 'failed' : figure(result, median)
  return `<text x="${left}" y="${y + 10}" class="small">${escapeXml(result.what)}</text>
<rect x="${left}" y="${y + 16}" width="${length.toFixed(1)}" height="14" rx="2" class="${verdict}"/>
<line x1="${aimAt}" x2="${aimAt}" y1="${y + 13}" y2="${y + 33}" class="goal"/>
<text x="${left + barWidth + 12}" y="${y + 28}">${escapeXml(told)} (${figure(result, result.must)})</text>`
}

function lengthOf({ better, must }: Row, number: number): number {
  const musts = better === 'higher' ? number / must : number <= 0 ? scaleEnd : must / number
  return (Math.min(Math.max(musts, 0), scaleEnd) * barWidth) / scaleEnd
}

function escapeXml(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/`/g, '')
}
