/** What `import` and `export` print in the end: one line of JSON, or text for people. */
import type { Exported } from './transfer/export-project.ts'
import type { Imported } from './transfer/import-project.ts'

/** What became of one project. */
export interface Told {
  project: string
  verdict: 'done' | 'refused' | 'failed'
  message: string
  /** A sentence each. */
  notes?: readonly string[]
  [more: string]: unknown
}

const singleCodes = { done: 0, failed: 2, refused: 3 }

/** @returns 0 done, 1 of several some are not done, 2 failed, 3 refused */
export function exitCodeOf(told: readonly Told[], { isAll }: { isAll: boolean }): number {
  const open = told.find(({ verdict }) => verdict !== 'done')
  if (open === undefined) return 0
  return isAll ? 1 : singleCodes[open.verdict]
}

/** Prints what became of projects: to stdout what was done, to stderr what was not and why. */
export function tellTransfer(
  command: { verb: string; json: boolean },
  told: readonly Told[],
): void {
  if (command.json) {
    process.stdout.write(`${JSON.stringify({ verb: command.verb, projects: told })}\n`)
    return
  }
  for (const { project, verdict, message, notes = [] } of told) {
    const lines = [`${project}: ${message}`, ...notes.map((note) => `  ${note}`)].join('\n')
    if (verdict === 'done') process.stdout.write(`${lines}\n`)
    else process.stderr.write(`configuration-service: ${command.verb}: ${verdict}: ${lines}\n`)
  }
}

export function describeImported(imported: Imported, { dryRun }: { dryRun: boolean }): Told {
  const { outcome, kind, format, defaultBranch, stages, branches, tags, commits } = imported
  const structure = format === 1 ? 'branches' : `folders of ${defaultBranch}`
  const held = `${branches} branches, ${tags} tags, ${commits} commits`
  const size = `${imported.packs} packs of ${imported.bytes} bytes`
  const what = {
    imported: dryRun ? 'would be imported' : 'imported',
    updated: dryRun ? 'would be brought up to date' : 'brought up to date',
    unchanged: 'there is nothing new',
  }[outcome]
  const message = `${what} from a ${kind}: ${held}; format ${format}, stages are ${structure}: ${stages.join(', ') || 'none'}; ${size}`
  return { verdict: 'done', message, ...imported }
}

export function describeExported(exported: Exported): Told {
  const { to, seq, format, refs } = exported
  const message = `exported to ${to}: ${refs} refs, format ${format}, up to entry ${seq} of its log`
  return { verdict: 'done', message, ...exported }
}
