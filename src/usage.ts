import { settings } from './config.ts'

/** What `help` prints: the verbs, and every variable with its default. */
export function usage(): string {
  return `configuration-service [verb]

Verbs
  serve      serves until SIGTERM or SIGINT (the default)
  help       prints this
  version    prints the version

Variables (those marked * may be given as the path of a file, <VARIABLE>_FILE)
${Object.values<Row>(settings).map(row).join('')}`
}

interface Row {
  variable: string
  default?: string
  unit: string
  help: string
  secret?: true
}

function row(setting: Row): string {
  const name = `${setting.variable}${setting.secret ? ' *' : ''}`
  const unset = setting.default === undefined || setting.default === ''
  return `  ${name}\n      ${setting.help}\n      ${setting.unit}; ${unset ? 'unset' : `default ${setting.default}`}\n`
}
