/** What `npm run faults` is asked for. */
import { parseArgs } from 'node:util'
import { type FaultKind, kinds } from './kinds.ts'

export const usage = `npm run faults [-- flags]: breaks real parts under real clients; exit 0 where every promise was kept, 1 where not, 2 a wrong flag

  --kind NAME       one kind of fault; may be repeated
  --rounds NUMBER   how often each, instead of what its kind says
  --short           each kind once, about three minutes
  --seed NUMBER     draws again what was drawn with it; it is printed
  --report FOLDER   where faults.md and faults.json are written, a temporary folder unless told
  --program FILE    tries another build: its dist/src/main.js
  --list            names the kinds
  --help            says this
`

export interface Plan {
  kinds: readonly FaultKind[]
  /** Of a kind, how often. */
  roundsOf(kind: FaultKind): number
  /** For how long a fault lasts, milliseconds, from and to. */
  lastsMs: readonly [number, number]
  seed?: number
  report?: string
  program?: string
}

export type Asked = { plan: Plan } | { text: string } | { problem: string }

/** Shorter and longer than what a call of the store may take. */
const longMs = [1_000, 8_000] as const
const shortMs = [1_000, 2_500] as const

/** @param words of the command line */
export function planOf(words: string[]): Asked {
  try {
    const { values } = parseArgs({
      args: words,
      options: {
        kind: { type: 'string', multiple: true },
        rounds: { type: 'string' },
        short: { type: 'boolean' },
        seed: { type: 'string' },
        report: { type: 'string' },
        program: { type: 'string' },
        list: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    })
    if (values.help) return { text: usage }
    if (values.list) return { text: listed() }
    const { kind: names = [], short = false, report, program } = values
    const seed = parseNumber('seed', values.seed)
    const rounds = parseNumber('rounds', values.rounds) ?? (short ? 1 : undefined)
    return {
      plan: {
        kinds: names.length === 0 ? kinds : names.map(findKind),
        roundsOf: (kind) => rounds ?? kind.rounds,
        lastsMs: short ? shortMs : longMs,
        ...(seed !== undefined && { seed }),
        ...(report !== undefined && { report }),
        ...(program !== undefined && { program }),
      },
    }
  } catch (error) {
    return { problem: (error as Error).message }
  }
}

function findKind(name: string): FaultKind {
  const kind = kinds.find((one) => one.name === name)
  if (kind === undefined) throw new Error(`there is no fault ${name} (--list names them)`)
  return kind
}

function parseNumber(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1 || number >= 2 ** 31)
    throw new Error(`--${flag} takes a whole number from 1 to ${2 ** 31 - 1}`)
  return number
}

function listed(): string {
  return kinds
    .map(({ name, rounds, title }) => `${name.padEnd(26)} ${`${rounds} ×`.padStart(4)}  ${title}\n`)
    .join('')
}
