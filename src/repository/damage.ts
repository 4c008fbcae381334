/** What a person is told of an object of the bucket that is not what it has to be, and what to do about it. */
import { ServiceError } from '../errors.ts'

/** One thing that is not as it has to be. */
export interface Problem {
  /** Its key in the bucket. */
  object: string
  problem: string
  /** What a person does about it; absent where it was put right. */
  remedy?: string
}

export const fromCopy = 'bring it back from a copy of the bucket'
export const orWithout = `${fromCopy}, or from the cache folder of a replica (entries/); else accept-restore lets the project go on without`
export const unreadable = `${fromCopy}: files in it cannot be read`

/** A problem in one line. */
export function inWords({ object, problem, remedy }: Problem): string {
  return `${object}: ${problem}; ${remedy}`
}

/** The error of whoever needs a damaged object; who does not need it goes on. */
export function damaged(problem: Required<Problem>): ServiceError {
  const { object } = problem
  return new ServiceError('project_stopped', inWords(problem), { data: { object } })
}
