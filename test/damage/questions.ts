/** Everything that can be asked of a project, and the answers as short texts that can be compared. */
import { createHash } from 'node:crypto'
import { type ErrorCode, isServiceError } from '../../src/errors.ts'
import type { Oid } from '../../src/git/objects.ts'
import { asServiceError } from '../../src/http/errors.ts'
import type { ProjectName } from '../../src/repository/repository.ts'
import { parseServiceName, parseStageName } from '../../src/resources/names.ts'
import { parseResourcePath } from '../../src/resources/paths.ts'
import type { Page, Resources, Scope } from '../../src/resources/resources.ts'
import { namesOf, readContext } from '../resources/fixture.ts'

export interface Question {
  text: string
  /** Whether it is about the newest state: few, and asked again and again. */
  isOfTip: boolean
  ask(resources: Resources): Promise<string>
}

/** The right answer to each question. */
export type Truth = ReadonlyMap<Question, string>

/** What came of a question. */
export type Answer =
  | { text: string }
  /** An error of the service, or none of its own: that would be a 500. */
  | { code: ErrorCode; message: string }

/** A read gives up by itself after some time, and the test a little later. */
const timeoutMs = 8_000
const hangsAfterMs = 10_000
const all = { pageSize: 100_000 }

/**
 * Makes the questions: each list, each file of each scope, each history, all files of the project and of each stage at each commit,
 * and what is not there.
 * @param formerCommit of an earlier incarnation
 */
export async function questionsOn(
  resources: Resources,
  project: ProjectName,
  formerCommit?: Oid,
): Promise<Question[]> {
  const questions: Question[] = []
  const context = (at?: Oid) => readContext({ timeoutMs, ...(at && { at }) })
  const add = (text: string, ask: Question['ask'], isOfTip = true) => {
    questions.push({ text, ask, isOfTip })
  }
  const file = (scope: Scope, name: string, at?: Oid) => async (on: Resources) => {
    const { content, oid } = await on.readFile(scope, parseResourcePath(name), context(at))
    return `${oid} ${sha1(content)}`
  }

  add('stages', async (on) => told(await on.listStages(project, all, context())))
  const stages = namesOf(await resources.listStages(project, all, context())).map(parseStageName)
  const scopes: Scope[] = [{ project }]
  for (const stage of stages) {
    const scope = { project, stage }
    add(`services of ${stage}`, async (on) => told(await on.listServices(scope, all, context())))
    const services = namesOf(await resources.listServices(scope, all, context()))
    scopes.push(scope, ...services.map((name) => ({ ...scope, service: parseServiceName(name) })))
  }
  for (const scope of scopes) {
    const name = [scope.stage, scope.service].filter(Boolean).join('/') || 'the project'
    // To this one the test writes.
    if (name === 'written') continue
    add(`files of ${name}`, async (on) => told(await on.listFiles(scope, all, context())))
    const { items: files } = await resources.listFiles(scope, all, context())
    for (const { path } of files) add(`${path} of ${name}`, file(scope, path.slice(1)))
    add(`history of ${name}`, async (on) => told(await on.history(scope, all, context())))
    add(`an absent file of ${name}`, file(scope, 'absent.yaml'))
    if (scope.service) continue
    const { items: commits } = await resources.history(scope, all, context())
    for (const { commit } of commits) {
      const archive = async (on: Resources) =>
        sha1((await on.readArchive(scope, context(commit))).content)
      add(`all files of ${name} at ${commit}`, archive, false)
    }
  }
  const [main] = scopes as [Scope]
  add('a commit that is none', file(main, 'metadata.yaml', 'f'.repeat(40) as Oid))
  if (formerCommit) add('a former commit', file(main, 'former.yaml', formerCommit))
  return questions
}

/** The answers of a replica that has to know them all. */
export async function answersTo(questions: readonly Question[], on: Resources): Promise<Truth> {
  const truth = new Map<Question, string>()
  for (const question of questions) truth.set(question, inWords(await answerTo(question.ask(on))))
  return truth
}

/** Waits for an answer, and for no longer than anybody has to. */
export async function answerTo(asking: Promise<string>): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${hangsAfterMs} ms`)), hangsAfterMs)
  })
  try {
    return { text: await Promise.race([asking, tooLate]) }
  } catch (error) {
    const { code } = asServiceError(error)
    const message = (error as Error).message
    return { code, message: isServiceError(error) ? message : ((error as Error).stack ?? message) }
  } finally {
    clearTimeout(timer)
  }
}

/** A refusal is an answer too: that something is not there is told by its code. */
export function inWords(answer: Answer): string {
  return 'text' in answer ? answer.text : answer.code
}

function told({ items }: Page<unknown>): string {
  return sha1(Buffer.from(JSON.stringify(items)))
}

function sha1(bytes: Buffer): string {
  return createHash('sha1').update(bytes).digest('hex')
}
