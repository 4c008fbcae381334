/**
 * `npm run simulate`: schedules of the real code in virtual worlds, on every core. See docs/proof.md.
 *
 *   npm run simulate                          10,000 schedules
 *   npm run simulate -- --schedules 500 --from 1000
 *   npm run simulate -- --minutes 60          as many as fit
 *   npm run simulate -- --minutes 60 --keep-going   also after one that failed, and tells all of them
 *   npm run simulate -- --seed 17             one, with its whole story; made shorter where it fails
 *   npm run simulate -- --mutants [--rotate 3]   what breaks the protocol is found: all of it, or so many, others each day
 *   npm run simulate -- --coverage            prints which fault met which step
 */
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { addAll } from './counts.ts'
import { describeCoverage, emptyCells } from './coverage.ts'
import { runProtocolMutants } from './mutants.ts'
import { runSchedule } from './schedule.ts'
import { describeSchedule, shrink } from './shrink.ts'
import type { Share, Told } from './worker.ts'

const shareSize = 25
const shrinkMs = 120_000
const toldEveryMs = 30_000

const options = {
  seed: { type: 'string' },
  from: { type: 'string', default: '1' },
  schedules: { type: 'string', default: '10000' },
  minutes: { type: 'string' },
  coverage: { type: 'boolean', default: false },
  'keep-going': { type: 'boolean', default: false },
  mutants: { type: 'boolean', default: false },
  rotate: { type: 'string' },
  // What finds a mutant needs no story.
  brief: { type: 'boolean', default: false },
} as const

/** Ends the program: it was called wrongly. */
function wrong(problem: string): never {
  console.error(`simulate: ${problem}`)
  process.exit(2)
}

function valuesOf() {
  try {
    return parseArgs({ options }).values
  } catch (error) {
    return wrong((error as Error).message)
  }
}

const values = valuesOf()
process.exitCode = await main()

async function main(): Promise<number> {
  if (values.mutants)
    return runProtocolMutants(values.rotate === undefined ? null : whole('rotate'))
  if (values.seed !== undefined) return tell(whole('seed'))
  return campaign()
}

function whole(name: 'seed' | 'from' | 'schedules' | 'minutes' | 'rotate'): number {
  const value = Number(values[name])
  if (Number.isInteger(value) && value >= 0) return value
  return wrong(`--${name} takes a whole number, not ${values[name]}`)
}

/** Tells one schedule. */
async function tell(seed: number): Promise<number> {
  const { failures, story } = await runSchedule(seed)
  console.log(story.join('\n'))
  if (failures.length === 0) {
    console.log(`seed ${seed}: nothing is wrong`)
    return 0
  }
  return tellShrunk(seed)
}

async function tellShrunk(seed: number): Promise<number> {
  const shrunk = await shrink(seed, shrinkMs)
  console.log(shrunk ? describeSchedule(seed, shrunk) : `seed ${seed} does not fail again`)
  return 1
}

/** Lives through many, up to the first that fails, or beyond it. */
async function campaign(): Promise<number> {
  const from = whole('from')
  const last = values.minutes === undefined ? from + whole('schedules') : Number.MAX_SAFE_INTEGER
  const startedAt = performance.now()
  const endsAt = values.minutes === undefined ? Infinity : startedAt + whole('minutes') * 60_000
  const sum = { schedules: 0, events: 0, met: new Map() }
  const failed: number[] = []
  let next = from
  let toldAt = startedAt

  const take = (): Share | null => {
    if (next >= last || performance.now() > endsAt) return null
    if (failed.length > 0 && !values['keep-going']) return null
    const share = { from: next, schedules: Math.min(shareSize, last - next) }
    next += share.schedules
    return share
  }
  const progress = () => {
    const seconds = (performance.now() - startedAt) / 1000
    return `${sum.schedules} schedules, ${sum.events} lines of story, ${seconds.toFixed(0)} s`
  }
  await Promise.all(
    Array.from({ length: availableParallelism() }, () =>
      work(take, (told) => {
        sum.schedules += told.share.schedules
        sum.events += told.events
        addAll(sum.met, told.met)
        failed.push(...told.failed)
        for (const seed of told.failed) console.error(`seed ${seed} fails`)
        if (performance.now() - toldAt < toldEveryMs) return
        toldAt = performance.now()
        console.error(progress())
      }),
    ),
  )
  const [first] = failed.sort((a, b) => a - b)
  console.log(`${progress()}; from seed ${from}`)
  if (first !== undefined) {
    for (const seed of failed) console.log(`FAILED: npm run simulate -- --seed ${seed}`)
    if (!values.brief) await tellShrunk(first)
    return 1
  }
  if (values.coverage) console.log(describeCoverage(sum.met))
  for (const cell of emptyCells(sum.met)) console.log(`never met: ${cell}`)
  return 0
}

/** One thread, share after share. */
async function work(take: () => Share | null, told: (told: Told) => void): Promise<void> {
  const worker = new Worker(new URL('./worker.js', import.meta.url))
  try {
    for (let share = take(); share; share = take()) {
      const answer = once(worker, 'message')
      worker.postMessage(share)
      told((await answer)[0] as Told)
    }
  } finally {
    await worker.terminate()
  }
}
