import { restarts, shortTimes, testShortGate } from './short.ts'

/** The window alone is longer than it takes for a replica to be forgotten. */
testShortGate('restarts without preStop', {
  scenario: restarts,
  mode: 'A',
  times: { ...shortTimes, preStopMs: 0, removeMs: [1_500, 1_800] },
})
