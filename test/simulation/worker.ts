/** A thread of `npm run simulate`: lives through schedules, a few at a time, until it is told to end. */
import { parentPort } from 'node:worker_threads'
import { addAll, type Counts } from './counts.ts'
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
  met: Counts
}

parentPort?.on('message', async (share: Share) => {
  const told: Told = { share, failed: [], events: 0, met: new Map() }
  for (let seed = share.from; seed < share.from + share.schedules; seed++) {
    const { failures, story, met } = await runSchedule(seed)
    if (failures.length > 0) told.failed.push(seed)
    told.events += story.length
    addAll(told.met, met)
  }
  parentPort?.postMessage(told)
})
