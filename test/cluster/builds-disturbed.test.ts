import { disturbances, openFleet } from './builds.ts'

disturbances('disturbed builds on a file store', async () => openFleet({}))
