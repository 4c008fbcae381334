import { readFileSync } from 'node:fs'

/** The version of this build, as `package.json` has it; it stands in every entry that this build writes. */
export function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
