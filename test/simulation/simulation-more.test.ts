/** The other half of the 1,000 worlds, beside the first on another core. */
import { simulate } from './simulate.ts'

simulate({ title: 'simulation, more', first: 501, schedules: 500 })
