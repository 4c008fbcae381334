/** The load in a process of its own: settings in GATE_LOAD, ended by SIGTERM, its summary is its last line. */
import { type LoadSettings, runLoad } from './load.ts'

const settings = JSON.parse(process.env.GATE_LOAD ?? '') as LoadSettings
const stop = new Promise((resolve) => process.once('SIGTERM', resolve))
console.log(JSON.stringify(await runLoad(settings, stop)))
process.exit(0)
