/** Writes that work with the history: batches over scopes, restores, what was deleted. */
import { ServiceError } from '../errors.ts'
import type { Oid } from '../git/objects.ts'
import type { ProjectName } from '../repository/repository.ts'
import { parseServiceName, parseStageName } from '../resources/names.ts'
import { parseResourcePath } from '../resources/paths.ts'
import type { Batch, Change, Located, Preview, Scope } from '../resources/resources.ts'
import { type Answer, json } from './answer.ts'
import { commitsBody, named, parseBody, parseContent, restoreBody } from './bodies.ts'
import { parseCommitId, scopeOf } from './call.ts'
import { refuseConditions } from './conditions.ts'
import { renderChange } from './read-states.ts'
import { stageOf, write } from './writes.ts'

const maxChanges = 1_000
type CommitsBody = ReturnType<typeof commitsBody.parse>
type ChangeBody = CommitsBody['changes'][number]
type PlaceBody = Pick<ChangeBody, 'stageName' | 'serviceName' | 'resourceURI'>

export const createCommits = write(async ({ call, tools, body, context }) => {
  refuseConditions(call.ctx.req.headers)
  const parsed = parseBody(body, commitsBody)
  const { project } = scopeOf(call)
  const batch = parseBatch(project, parsed)
  const asked = context(parsed.message)
  if (parsed.dryRun !== true) return tools.resources.changeFiles(project, batch, asked)
  if (asked.idempotency !== undefined) {
    throw new ServiceError('invalid_request', 'a dry run takes no Idempotency-Key')
  }
  const preview = await tools.resources.previewChanges(project, batch, asked)
  return 'status' in preview ? preview : renderPreview(preview)
})

export const restore = write(async ({ call, tools, body, context }) => {
  refuseConditions(call.ctx.req.headers)
  const { gitCommitID, resourceURI, message } = parseBody(body, restoreBody)
  const commit = parseCommitId(gitCommitID)
  const from = resourceURI ? { commit, path: parseResourcePath(resourceURI) } : { commit }
  return tools.resources.restore(scopeOf(call), from, context(message))
})

export const undeleteProject = write(async ({ call, tools, context }) => {
  refuseConditions(call.ctx.req.headers)
  return tools.resources.undeleteProject(scopeOf(call).project, context())
})

export const undeleteStage = write(async ({ call, tools, context }) => {
  refuseConditions(call.ctx.req.headers)
  return tools.resources.undeleteStage(stageOf(call), context())
})

/** @throws invalid_request that names the element */
function parseBatch(project: ProjectName, { changes, expectedHead }: CommitsBody): Batch {
  if (changes.length > maxChanges) {
    throw new ServiceError('invalid_request', `more than ${maxChanges} changes in one request`)
  }
  const expected: { scope: Scope; head: Oid }[] = []
  const parsed = changes.map((change, index) => {
    try {
      const parsedChange = parseChange(project, change)
      const head = change.expectedHead || expectedHead
      if (head) expected.push({ scope: parsedChange.scope, head: parseCommitId(head) })
      return parsedChange
    } catch (error) {
      throw named(error, `changes[${index}]`)
    }
  })
  if (expectedHead && new Set(parsed.map(({ scope }) => scope.stage)).size > 1) {
    throw new ServiceError(
      'invalid_request',
      'expectedHead is for changes of one stage: name it in each change instead',
    )
  }
  return { changes: parsed, expected }
}

function parseChange(project: ProjectName, change: ChangeBody): Change {
  const place = parsePlace(project, change)
  if (change.action === 'put') {
    return { kind: 'put', ...place, content: parseContent(change.resourceContent ?? '') }
  }
  if (change.resourceContent) {
    throw new ServiceError('invalid_request', `${change.action} takes no resourceContent`)
  }
  if (change.action === 'delete') return { kind: 'delete', ...place }
  if (!change.to) throw new ServiceError('invalid_request', 'move needs to')
  return { kind: 'move', ...place, to: parsePlace(project, change.to) }
}

function parsePlace(
  project: ProjectName,
  { stageName, serviceName, resourceURI }: PlaceBody,
): Located {
  const scope: Scope = { project }
  if (stageName) scope.stage = parseStageName(stageName)
  if (serviceName) {
    if (!stageName) throw new ServiceError('invalid_request', 'serviceName needs a stageName')
    scope.service = parseServiceName(serviceName)
  }
  return { scope, path: parseResourcePath(resourceURI ?? '') }
}

function renderPreview(preview: Preview): Answer {
  const changes = preview.map(({ stage, ...change }) => {
    return { ...(stage !== undefined && { stageName: stage }), ...renderChange(change) }
  })
  return json(200, { dryRun: true, changes })
}
