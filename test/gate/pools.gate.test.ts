import { restarts, testShortGate } from './short.ts'

/**
 * Half a second there and back: so long may a request and the end of its connection pass each other, which on a loopback
 * they hardly ever do.
 */
testShortGate('restarts in mode B, over a wide network', {
  scenario: restarts,
  mode: 'B',
  perSecond: 20,
  latencyMs: 250,
})
