/** Which paths and names may stand in a tree: what stock Git, checking strictly, takes on every system, and our own limits. */
import { ServiceError } from '../errors.ts'
import type { ResourcePath } from './resources.ts'

const maxPathBytes = 1024
const maxSegmentBytes = 255

/** Code points that HFS+ leaves out when it compares names, as Git counts them. */
const ignoredByHfs = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/gu
/** What Windows drops at the end of a name: spaces, periods, and a stream's name after a colon. */
const ntfsEnd = '[ .]*(?::.*)?$'
const dotGitOnNtfs = new RegExp(`^(?:\\.git|git~1)${ntfsEnd}`, 'is')

/** A file whose content Git judges, under each name that some file system takes for it. */
interface Judged {
  hfs: string
  ntfs: RegExp
}

const gitModules = judged('gitmodules', 'gi7eba')
const gitAttributes = judged('gitattributes', 'gi7d29')

/**
 * Turns text into a path: empty and `.` segments are dropped, every other one is checked.
 * @param text fully decoded
 * @throws invalid_request, in Keptn's words
 */
export function parseResourcePath(text: string): ResourcePath {
  const segments = text.split('/').filter((segment) => segment !== '' && segment !== '.')
  if (segments.length === 0 || !segments.every(isSegment)) throw invalidPath()
  if (segments.slice(0, -1).some(isGitAttributes)) throw invalidPath()
  const path = segments.join('/')
  if (Buffer.byteLength(path) > maxPathBytes) {
    throw invalidPath(`longer than ${maxPathBytes} bytes`)
  }
  if (segments.some((segment) => Buffer.byteLength(segment) > maxSegmentBytes)) {
    throw invalidPath(`a segment is longer than ${maxSegmentBytes} bytes`)
  }
  return path as ResourcePath
}

/** The refusal of a path, with Keptn's sentence first. */
export function invalidPath(reason?: string): ServiceError {
  const sentence = 'invalid resource uri'
  return new ServiceError('invalid_request', reason ? `${sentence}: ${reason}` : sentence)
}

/** Whether a name, of any length, may stand in a tree. A file of it may still be judged (`isGitAttributes`). */
export function isSegment(name: string): boolean {
  return (
    !/^(?:|\.|\.\.|~.*)$/su.test(name) &&
    !/[\0\\/\p{Surrogate}]/u.test(name) &&
    !isDotGit(name) &&
    !isJudged(name, gitModules)
  )
}

/** Whether Git reads a file of this name as attributes: it refuses long lines in it, and folders of its name. */
export function isGitAttributes(name: string): boolean {
  return isJudged(name, gitAttributes)
}

function isDotGit(name: string): boolean {
  return asHfsCompares(name) === '.git' || dotGitOnNtfs.test(name)
}

function isJudged(name: string, file: Judged): boolean {
  return asHfsCompares(name) === file.hfs || file.ntfs.test(name)
}

function asHfsCompares(name: string): string {
  return name.replace(ignoredByHfs, '').replace(/[A-Z]/g, (letter) => letter.toLowerCase())
}

/**
 * The name itself, and the two kinds of short names that NTFS makes for it: six letters with `~1` to `~4`, or a part of the
 * hash with a longer number, eight characters in all.
 */
function judged(name: string, hash: string): Judged {
  const hashed = Array.from({ length: hash.length + 1 }, (_, length) => {
    return `${hash.slice(0, length)}~[1-9][0-9]{${hash.length - length}}`
  })
  const forms = [`\\.${name}`, `${name.slice(0, 6)}~[1-4]`, ...hashed]
  return { hfs: `.${name}`, ntfs: new RegExp(`^(?:${forms.join('|')})${ntfsEnd}`, 'is') }
}
