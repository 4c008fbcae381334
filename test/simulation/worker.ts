/** A thread of `npm run simulate`: lives through schedules, a few at a time, until it is told to end. */
import { parentPort } from 'node:worker_threads'
import { runSchedule } from './schedule.ts'

/** What a thread is asked for, and what it tells. */
export interface Share {
  from: number
  schedules: number
}
export interface Told {
  share: Share
  /** Seeds that fail. */
  failed: number[]
  events: number
  counts: Map<string, number>
  met: Map<string, number>
}

parentPort?.on('message', async (share: Share) => {
  const told: Told = { share, failed: [], events: 0, counts: new Map(), met: new Map() }
  for (let seed = share.from; seed < share.from + share.schedules; seed++) {
    const { failures, story, counts, met } = await runSchedule(seed)
    if (failures.length > 0) told.failed.push(seed)
    told.events += story.length
    addAll(told.counts, counts)
    addAll(told.met, met)
  }
  parentPort?.postMessage(told)
})

/** Adds counts to others. */
export function addAll(to: Map<string, number>, counts: ReadonlyMap<string, number>): void {
  for (const [name, times] of counts) to.set(name, (to.get(name) ?? 0) + times)
}
