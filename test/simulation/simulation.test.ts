/**
 * The real repository in 1,000 virtual worlds, half of them here. `SIMULATION_SEED=n node dist/test/simulation/simulation.test.js`
 * tells one world's story; `SIMULATION_FROM` and `SIMULATION_SCHEDULES` choose others.
 */
import { simulate } from './simulate.ts'

simulate({ title: 'simulation', first: 1, schedules: 500 })
