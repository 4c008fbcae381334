import { openFleet, refusals } from './builds.ts'

refusals('builds on a file store', async () => openFleet({}))
