/** The report of the gate as files: what was seen, what that proves, and what it does not. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { drawRun } from './chart.ts'
import { certaintyOf, type Report } from './report.ts'

const notProven = [
  'kube-proxy, kubelet and Helm: a proxy of 80 lines and a controller stand for them, stricter than they are in what they delay (`npm run gate:kubernetes` has the real ones, and fewer replacements)',
  "the gateway's own restart: nginx lives as long as the run, and is reloaded in mode C alone, where its clients keep no connection (docs/gateway.md says what its roll costs)",
  'several machines: everything runs on one, over its loopback, with one clock',
  'memory limits: nothing is limited, and nobody is killed for its size',
  "the bucket's own failures, and those of Redis, but for what scenarios do to them on purpose",
  "times as they are in production: all but the longest request are a third of the chart's",
]

export interface Whole {
  runs: readonly Report[]
  /** What makes it red beside the runs. */
  failures: readonly string[]
  seed: number
  words: readonly string[]
}

/** Writes `report.md` and a drawing of each run. @returns the paths */
export function writeReport(folder: string, whole: Whole): string[] {
  mkdirSync(folder, { recursive: true })
  const drawings = whole.runs.map(({ seen }, index) => {
    if (seen === undefined) return null
    const name = `run-${index + 1}.svg`
    writeFileSync(join(folder, name), drawRun(seen))
    return name
  })
  writeFileSync(join(folder, 'report.md'), markdownOf(whole, drawings))
  return ['report.md', ...drawings.filter((name) => name !== null)].map((name) =>
    join(folder, name),
  )
}

/** What all runs come to. */
export function sumOf(runs: readonly Report[]) {
  const sum = { requests: 0, posts: 0, replacements: 0 }
  for (const run of runs) {
    for (const key of ['requests', 'posts', 'replacements'] as const) sum[key] += run[key]
  }
  return sum
}

function markdownOf(whole: Whole, drawings: readonly (string | null)[]): string {
  const { runs, failures, seed, words } = whole
  const isGreen = failures.length === 0 && runs.every((run) => run.failures.length === 0)
  const sum = sumOf(runs)
  const parts = [
    `# The gate was ${isGreen ? 'green' : 'red'}`,
    `\`npm run gate -- ${[...words, `--seed ${seed}`].join(' ')}\`, ${new Date().toISOString()}, Node ${process.version}, ${cpus().length} cores.`,
    `${sum.replacements} replacements, ${sum.requests} requests, ${sum.posts} of them POST. ${isGreen ? `${capital(certaintyOf(sum))}.` : ''}`,
    ...failures.map((failure) => `- **${failure}**`),
    ...runs.flatMap(({ text, seen }, index) => [
      `## ${seen?.title ?? `Run ${index + 1}, cut short`}`,
      ...(drawings[index] ? [`![latency and replicas over time](${drawings[index]})`] : []),
      `\`\`\`text\n${text}\n\`\`\``,
    ]),
    '## What this does not prove',
    [...notProven, ...(isGreen ? [certaintyOf(sum)] : [])].map((line) => `- ${line}`).join('\n'),
  ]
  return `${parts.join('\n\n')}\n`
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
