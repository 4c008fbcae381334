/** What `npm run gate` is asked for, and what it therefore runs. */
import { parseArgs } from 'node:util'
import type { GateOptions } from './gate.ts'
import { type Mode, modes } from './gateway.ts'
import { findScenario, rolls, scenarios } from './scenarios.ts'

export const usage = `npm run gate [-- flags]: upgrades and downgrades a fleet under load; exit 0 green, 1 red, 2 a wrong flag

  --scenario NAME   plays one of docs/zero-downtime.md, section 8, such as S5; may be repeated
  --mode A|B|C      how the gateway reaches the replicas: a connection for each request, kept connections, the pods' own addresses
  --long            40 upgrades in each of the modes A and B, and judges latencies: alone on a machine of two cores
  --seed NUMBER     draws again what was drawn with it; it is printed
  --report FOLDER   where report.md and its drawings are written, a temporary folder unless told
  --list            names the scenarios
  --help            says this

Without a flag: S1, 6 upgrades of 3 replicas, in mode A (60 requests a second) and in mode B (100), 36 replacements, at least
10,000 requests, about 8 minutes.
With --long: 40 upgrades of 3 replicas in each mode are 240 replacements. Each takes 8 s at least, so 120 are 16 minutes; two
thirds of 60 and of 100 requests a second are 107 POSTs for each second of both, 105,000 in twice 16 minutes.
A run that misses its numbers is red.
`

export interface Plan {
  runs: Omit<GateOptions, 'seed' | 'say'>[]
  /** What all runs together must come to; less proves too little. */
  least: { requests: number; posts: number; replacements: number }
  seed?: number
  report?: string
}

export type Asked = { plan: Plan } | { text: string } | { problem: string }

const rates: Record<Mode, number> = { A: 60, B: 100, C: 60 }
const shortSteadyMs = 8_000
const longSteadyMs = 20_000
const longPaceMs = 8_000
const nothing = { requests: 0, posts: 0, replacements: 0 }

/** @param words of the command line */
export function planOf(words: string[]): Asked {
  try {
    const { values } = parseArgs({
      args: words,
      options: {
        scenario: { type: 'string', multiple: true },
        mode: { type: 'string' },
        long: { type: 'boolean' },
        seed: { type: 'string' },
        report: { type: 'string' },
        list: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    })
    if (values.help) return { text: usage }
    if (values.list) return { text: listed() }
    const { scenario: names = [], mode, long = false, seed, report } = values
    const plan = choose({ names, long, ...(mode !== undefined && { mode: parseMode(mode) }) })
    return {
      plan: {
        ...plan,
        ...(seed !== undefined && { seed: parseSeed(seed) }),
        ...(report !== undefined && { report }),
      },
    }
  } catch (error) {
    return { problem: (error as Error).message }
  }
}

function choose({ names, mode, long }: { names: string[]; mode?: Mode; long: boolean }): Plan {
  if (long && (names.length > 0 || mode !== undefined)) {
    throw new Error('--long is a run of its own: without --scenario and --mode')
  }
  if (long) return longPlan
  if (names.length === 0 && mode === undefined) return shortPlan
  const chosen = names.length === 0 ? [mode === 'C' ? 'S17' : 'S1'] : names
  const runs = chosen.map(findScenario).map((scenario) => {
    const way = mode ?? scenario.mode ?? 'A'
    return { scenario, mode: way, perSecond: rates[way], steadyMs: shortSteadyMs }
  })
  return { runs, least: nothing }
}

const shortPlan: Plan = {
  runs: (['A', 'B'] as const).map((mode) => ({
    scenario: rolls(6),
    mode,
    perSecond: rates[mode],
    steadyMs: shortSteadyMs,
  })),
  least: { requests: 10_000, posts: 0, replacements: 36 },
}

const longPlan: Plan = {
  runs: (['A', 'B'] as const).map((mode) => ({
    scenario: rolls(40, longPaceMs),
    mode,
    perSecond: rates[mode],
    steadyMs: longSteadyMs,
    quiet: true,
  })),
  least: { requests: 100_000, posts: 100_000, replacements: 240 },
}

function parseMode(text: string): Mode {
  const mode = modes.find((one) => one === text)
  if (mode === undefined) throw new Error(`there is no mode ${text}; there are ${modes.join(', ')}`)
  return mode
}

function parseSeed(text: string): number {
  const seed = Number(text)
  if (!Number.isInteger(seed) || seed < 1 || seed >= 2 ** 32)
    throw new Error(`--seed takes a whole number from 1 to ${2 ** 32 - 1}`)
  return seed
}

function listed(): string {
  return scenarios.map(({ name, title }) => `${name.padEnd(4)} ${title}\n`).join('')
}
