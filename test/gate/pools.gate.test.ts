import { restarts, testShortGate } from './short.ts'

/**
 * 0.3 s there and back: so long may a request and the end of its connection pass each other, which on a loopback
 * they hardly ever do. nginx lets go of what it does not use sooner than the window closes, so that a drain that asks clients
 * to leave leaves nothing to be closed under them.
 */
testShortGate('restarts in mode B, over a wide network', {
  scenario: restarts,
  mode: 'B',
  perSecond: 40,
  latencyMs: 150,
  idleMs: 800,
})
