/** The results as a picture: how far each row is beyond its must. */
import { figure, type Result, type Row } from './rows.ts'

const rowHeight = 44
const left = 20
const barWidth = 520
const top = 40
/** Right end of the scale, in musts. */
const scaleEnd = 4

const style = `text{font:13px system-ui,sans-serif;fill:#24292f}
.small{font-size:11px;fill:#57606a}.aim{fill:#1a7f37}.must{fill:#0969da}.missed{fill:#cf222e}
line{stroke:#57606a}.goal{stroke:#1a7f37;stroke-dasharray:3 2}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#9198a1}line{stroke:#9198a1}}`

/** Draws one bar a row: 1 is the must, whichever direction is the better one. */
export function drawChart(results: readonly Result[]): string {
  const height = top + results.length * rowHeight + 16
  const width = left + barWidth + 180
  const mustAt = left + barWidth / scaleEnd
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>The benchmark's rows, each against its must</title>
<style>${style}</style>
<text x="${mustAt}" y="20" text-anchor="middle" class="small">must</text>
${results.map((result, at) => drawRow(result, top + at * rowHeight)).join('\n')}
<line x1="${mustAt}" x2="${mustAt}" y1="26" y2="${height - 12}"/>
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
