/** Names of projects, stages and services: text becomes a name here, and nothing below asks again. */
import { ServiceError } from '../errors.ts'
import type { ProjectName } from '../repository/repository.ts'
import { isGitAttributes, isSegment } from './paths.ts'
import type { ServiceName, StageName } from './resources.ts'

/** @see docs/entry-format.md, keys */
const maxEscapedProjectBytes = 200
/** A loose ref is a file, and stock Git locks it as `<name>.lock`. */
const maxStageBytes = 255 - '.lock'.length
const maxServiceBytes = 255

/** Folders that are not anybody's service. */
const reserved = new Set(['.configuration-service', '.keptn-stages'])

/**
 * Turns text into a project's name.
 * @throws invalid_request
 */
export function parseProjectName(text: string): ProjectName {
  checkName(text)
  const bytes = Buffer.from(text)
  const plain = bytes.filter((byte) => /[A-Za-z0-9._-]/.test(String.fromCharCode(byte))).length
  if (plain + 3 * (bytes.length - plain) > maxEscapedProjectBytes) {
    throw refusal(`name must not be longer than ${maxEscapedProjectBytes} bytes when escaped`)
  }
  return text as ProjectName
}

/**
 * Turns text into a stage's name, which is a branch's.
 * @throws invalid_request
 * @see git-check-ref-format
 */
export function parseStageName(text: string): StageName {
  checkName(text)
  if (!isBranchName(text)) throw refusal('name must be a valid branch name')
  if (Buffer.byteLength(text) > maxStageBytes) {
    throw refusal(`name must not be longer than ${maxStageBytes} bytes`)
  }
  return text as StageName
}

/** Whether a branch or a folder may be a stage's: an imported one may have a name that no stage can have. */
export function isStageName(text: string): text is StageName {
  try {
    parseStageName(text)
    return true
  } catch {
    return false
  }
}

/**
 * Turns text into a service's name, which is a folder's.
 * @throws invalid_request
 */
export function parseServiceName(text: string): ServiceName {
  checkName(text)
  if (!isSegment(text) || isGitAttributes(text)) {
    throw refusal('name must be a valid folder name')
  }
  if (reserved.has(text)) throw refusal(`name must not be '${text}'`)
  if (Buffer.byteLength(text) > maxServiceBytes) {
    throw refusal(`name must not be longer than ${maxServiceBytes} bytes`)
  }
  return text as ServiceName
}

/** What Keptn refuses, in its words, and what no kind of name can be. */
function checkName(text: string): void {
  if (text === '') throw refusal('name must not be empty')
  if (/\s/u.test(text)) throw refusal('name must not contain whitespaces')
  if (text.includes('/')) throw refusal("name must not contain '/'")
  if (text === '.' || text === '..') throw refusal(`name must not be '${text}'`)
  if (/[\p{Surrogate}\p{Cc}]/u.test(text)) throw refusal('name must be text')
}

/** One segment after `refs/heads/`; `HEAD` and a leading dash would be taken for something else by commands. */
function isBranchName(name: string): boolean {
  return !/[~^:?*[\\]|\.\.|@\{/.test(name) && !/^[.-]|\.$|\.lock$/.test(name) && name !== 'HEAD'
}

function refusal(sentence: string): ServiceError {
  return new ServiceError('invalid_request', sentence)
}
