/** Commit messages: the caller's, or one that names the request. */
import type { Scope, WriteContext } from './resources.ts'

/** More paths than this stand below the first line. */
const maxPathsInTitle = 3

/**
 * Makes a commit's message.
 * @param verb what the request does, as an order: `Write`, `Delete`
 * @param paths of the files that it names, if any
 */
export function messageOf(
  { message, onBehalfOf }: Pick<WriteContext, 'message' | 'onBehalfOf'>,
  verb: string,
  scope: Scope,
  paths: readonly string[] = [],
): string {
  const isGiven = message !== undefined && message.trim() !== ''
  const text = isGiven ? message : describe(verb, scope, paths)
  const label = onBehalfOf === undefined ? '' : `\nOn-behalf-of: ${onBehalfOf}\n`
  return `${text}${text.endsWith('\n') ? '' : '\n'}${label}`
}

function describe(verb: string, scope: Scope, paths: readonly string[]): string {
  const shown = [...new Set(paths)].map(printable)
  const place = where(scope)
  if (shown.length === 0) return `${verb} ${place}`
  if (shown.length <= maxPathsInTitle) return `${verb} ${shown.join(', ')} in ${place}`
  return `${verb} ${shown.length} files in ${place}\n\n${shown.join('\n')}`
}

function where({ project, stage, service }: Scope): string {
  const parts = [service && `service ${service}`, stage && `stage ${stage}`].filter(Boolean)
  return parts.length > 0 ? parts.join(' in ') : `project ${project}`
}

function printable(path: string): string {
  return path.replace(/\p{Cc}/gu, '?')
}
