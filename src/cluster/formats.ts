/** Which formats a build handles, and whether that is enough for what the cluster has decided. */
import type { FormatRange } from '../repository/environment.ts'
import type { Migration } from './migration.ts'
import type { ClusterState } from './state.ts'

export type { FormatRange }

export interface Formats {
  readonly reads: FormatRange
  readonly writes: FormatRange
}

/**
 * What a build with these migrations reads and writes: every format up to the newest, resp. the newest and the one before.
 * @throws Error where the list has a gap or is out of order: a mistake of whoever built it
 */
export function formatsOf(migrations: readonly Migration[]): Formats {
  for (const [at, { format, name }] of migrations.entries()) {
    if (format !== at + 1 || !name.startsWith(`${String(format).padStart(4, '0')}-`)) {
      throw new Error(`migration ${name} of format ${format} stands at place ${at + 1}`)
    }
  }
  const newest = migrations.length
  if (newest === 0) throw new Error('a build without migrations knows no format')
  return { reads: [1, newest], writes: [Math.max(1, newest - 1), newest] }
}

export function isWithin(format: number, [from, to]: FormatRange): boolean {
  return from <= format && format <= to
}

/** Whether a build reads and writes projects of a format. */
export function canHandle(formats: Formats, format: number): boolean {
  return isWithin(format, formats.reads) && isWithin(format, formats.writes)
}

/**
 * Judges whether a build may serve.
 * @returns a sentence that names what is wrong and the remedy, or null
 */
export function unfitFor(state: ClusterState, formats: Formats): string | null {
  const beyond = state.formats.find((format) => !canHandle(formats, format))
  if (beyond !== undefined) return outOfRange(`projects may have format ${beyond}`, beyond, formats)
  const { proposed } = state
  if (proposed === null || canHandle(formats, proposed.format)) return null
  return outOfRange(
    `format ${proposed.format} is the target since ${proposed.at}`,
    proposed.format,
    formats,
  )
}

/** @param finding what asks for the format */
export function outOfRange(finding: string, format: number, { reads, writes }: Formats): string {
  const range = `this build reads ${inWords(reads)} and writes ${inWords(writes)}`
  const remedy =
    format > writes[1]
      ? `before it is installed, run \`migrate to ${writes[1]}\` with the build that is installed now`
      : `a version was skipped: install the builds between one after the other, and \`migrate to ${writes[0]}\` before this one`
  return `${finding}; ${range}; ${remedy}`
}

export function inWords([from, to]: FormatRange): string {
  return from === to ? `format ${from}` : `formats ${from} to ${to}`
}
