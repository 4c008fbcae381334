/** Commit messages: the caller's, or one that names the request. */
import type { Scope, WriteContext } from './resources.ts'

/** More paths than this stand below the first line. */
const maxPathsInTitle = 3

/** @param verb what the request does, as an order: `Write`, `Delete` */
export function messageOf(
  { message }: Pick<WriteContext, 'message'>,
  verb: string,
  scope: Scope,
  paths: readonly string[] = [],
): string {
  if (message !== undefined && message.trim() !== '') return endLine(message)
  const shown = [...new Set(paths)].map(printable)
  if (shown.length <= maxPathsInTitle) {
    return endLine(
      `${[verb, shown.join(', '), where(scope, shown.length > 0)].filter(Boolean).join(' ')}`,
    )
  }
  const title = `${verb} ${shown.length} files ${where(scope, true)}`
  return endLine(`${title}\n\n${shown.join('\n')}`)
}

function where({ project, stage, service }: Scope, inside: boolean): string {
  const parts = [service && `service ${service}`, stage && `stage ${stage}`].filter(Boolean)
  const place = parts.length > 0 ? parts.join(' in ') : `project ${project}`
  return inside ? `in ${place}` : place
}

function printable(path: string): string {
  return path.replace(/\p{Cc}/gu, '?')
}

function endLine(text: string): string {
  return text.endsWith('\n') ? text : `${text}\n`
}
