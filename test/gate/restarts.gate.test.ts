import { restarts, testShortGate } from './short.ts'

// So many that every replica that goes has some of them under way: a request that is short hides what is not awaited.
testShortGate('restarts in mode A', { scenario: restarts, mode: 'A', longRequests: 12 })
