/** A run of the gate as a drawing: how long requests took, second by second, above the replicas that were there, by their build. */
import type { Step } from './fleet.ts'
import { latencyOf, type Seen, shortLines } from './report.ts'

const width = 1_000
const left = 60
const right = 20
const latencyPanel = { top: 40, height: 240 }
const fleetPanel = { top: 320, height: 120 }
const height = 490
const colours = ['#4878cf', '#e08214', '#5aae61', '#9970ab']
const lines = [
  { name: 'longest', colour: '#d6604d' },
  { name: 'p99', colour: '#f4a582' },
  { name: 'p50', colour: '#2166ac' },
] as const

/** @returns the text of an SVG that needs nothing beside itself */
export function drawRun(seen: Seen): string {
  const { seconds } = seen.summary
  const at = (second: number) => left + (second / seconds) * (width - left - right)
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
<rect width="${width}" height="${height}" fill="white"/>
<text x="${left}" y="20" font-size="14">${inXml(seen.title)}</text>
${[...drawLatency(seen, at), ...drawFleet(seen, at), ...drawTime(seconds, at)].join('\n')}
</svg>
`
}

type Scale = (second: number) => number

/** By a logarithm, since the longest are what one looks for and the others must be seen beside them. */
function drawLatency(seen: Seen, at: Scale): string[] {
  const { top, height: panel } = latencyPanel
  const bySecond = new Map<number, Parameters<typeof latencyOf>[0][number][]>()
  for (const line of shortLines(seen.ledger)) {
    const second = Math.floor(line.sentMs / 1_000)
    const there = bySecond.get(second)
    if (there) there.push(line)
    else bySecond.set(second, [line])
  }
  const points = [...bySecond]
    .sort(([one], [other]) => one - other)
    .map(([second, taken]) => ({ second, ...(latencyOf(taken) ?? { p50: 0, p99: 0, longest: 0 }) }))
  const highest = Math.max(10, ...points.map(({ longest }) => longest))
  const decades = Math.ceil(Math.log10(highest))
  const y = (ms: number) => top + panel * (1 - Math.log10(Math.max(1, ms)) / decades)
  const grid = Array.from({ length: decades + 1 }, (_, power) => {
    const ms = 10 ** power
    return `<line x1="${left}" x2="${width - right}" y1="${round(y(ms))}" y2="${round(y(ms))}" stroke="#ddd"/><text x="${left - 6}" y="${round(y(ms) + 4)}" text-anchor="end">${ms} ms</text>`
  })
  const curves = lines.map(({ name, colour }) => {
    const path = points.map((point) => `${round(at(point.second))},${round(y(point[name]))}`)
    return `<polyline fill="none" stroke="${colour}" points="${path.join(' ')}"/>`
  })
  return [...grid, ...curves, ...drawNames(lines, top - 8)]
}

function drawFleet(seen: Seen, at: Scale): string[] {
  const { steps = [], summary } = seen
  const { top, height: panel } = fleetPanel
  const second = ({ atMs }: Step) =>
    Math.min(summary.seconds, Math.max(0, (atMs - summary.startedAtMs) / 1_000))
  const builds = [...new Set(steps.map(({ build }) => build))]
  const names = builds.map((name, index) => ({
    name,
    colour: colours[index % colours.length] ?? 'black',
  }))
  const spans = spansOf(steps)
  const most = Math.max(1, ...spans.map(({ counts }) => sumOf(counts.values())))
  const areas = spans.flatMap(({ from, to, counts }) => {
    const [x, end] = [at(second(from)), to === undefined ? width - right : at(second(to))]
    let below = 0
    return names.map(({ name, colour }) => {
      const count = counts.get(name) ?? 0
      below += count
      const y = top + panel * (1 - below / most)
      return `<rect x="${round(x)}" y="${round(y)}" width="${round(end - x)}" height="${round((panel * count) / most)}" fill="${colour}"/>`
    })
  })
  const marks = steps
    .filter(({ what, atMs }) => what === 'SIGTERM' && atMs < endOf(seen))
    .map((step) => {
      const x = round(at(second(step)))
      return `<line x1="${x}" x2="${x}" y1="${latencyPanel.top}" y2="${top + panel}" stroke="#888" stroke-dasharray="2 3"/>`
    })
  const counts = Array.from({ length: most + 1 }, (_, count) => {
    const y = round(top + panel * (1 - count / most) + 4)
    return `<text x="${left - 6}" y="${y}" text-anchor="end">${count}</text>`
  })
  const legend = [...names, { name: 'SIGTERM (dotted)', colour: '#888' }]
  return [...areas, ...marks, ...counts, ...drawNames(legend, top - 8)]
}

function endOf({ summary }: Seen): number {
  return summary.startedAtMs + summary.seconds * 1_000
}

/** How many replicas of which build there were, from each step to the next. */
function spansOf(steps: readonly Step[]) {
  const changes = steps.filter(({ what }) => what !== 'SIGTERM')
  const counts = new Map<string, number>()
  return changes.map((from, index) => {
    const change = from.what === 'ready' ? 1 : -1
    counts.set(from.build, (counts.get(from.build) ?? 0) + change)
    return { from, to: changes[index + 1], counts: new Map(counts) }
  })
}

function drawTime(seconds: number, at: Scale): string[] {
  const y = fleetPanel.top + fleetPanel.height + 20
  const every = Math.max(10, 10 * Math.ceil(seconds / 120))
  const marks = Array.from({ length: Math.floor(seconds / every) + 1 }, (_, index) => index * every)
  return marks.map(
    (second) => `<text x="${round(at(second))}" y="${y}" text-anchor="middle">${second} s</text>`,
  )
}

function drawNames(names: readonly { name: string; colour: string }[], y: number): string[] {
  return names.map(
    ({ name, colour }, index) =>
      `<text x="${left + index * 150}" y="${y}" fill="${colour}">${inXml(name)}</text>`,
  )
}

function sumOf(numbers: Iterable<number>): number {
  return [...numbers].reduce((sum, number) => sum + number, 0)
}

function round(number: number): number {
  return Math.round(number * 10) / 10
}

function inXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
