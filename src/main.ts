#!/usr/bin/env node
import { main } from './program.ts'

await main(process.argv.slice(2), {
  migrations: async () => (await import('../migrations/index.ts')).migrations,
})
