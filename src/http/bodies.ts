/**
 * What the bodies of writes say. JSON whatever the content type, unknown fields ignored, absent and `null` the same, as in Keptn;
 * the schemas are those of the document of the API too.
 */
import { z } from 'zod'
import { ServiceError } from '../errors.ts'
import { parseResourcePath } from '../resources/paths.ts'
import type { FileWrite } from '../resources/resources.ts'

const maxFiles = 1_000
const maxDepth = 64
const maxValues = 100_000

const [quote, comma, backslash] = [0x22, 0x2c, 0x5c]
const [openBracket, closeBracket, openBrace, closeBrace] = [0x5b, 0x5d, 0x7b, 0x7d]

const message = z.string().nullish().meta({ description: 'Commit message, at most 1 KiB.' })
const content = z
  .string()
  .nullish()
  .meta({ description: 'The file, base64 (standard, padded); absent for an empty file.' })

export const projectBody = z.object({
  projectName: z.string().nullish(),
  migrate: z.boolean().nullish().meta({
    description: 'On PUT, where true: makes stages folders of the default branch (format 2).',
  }),
  message,
})
export const stageBody = z.object({ stageName: z.string().nullish(), message })
export const serviceBody = z.object({ serviceName: z.string().nullish(), message })
export const resourceBody = z.object({
  resourceContent: content,
  message,
  // Taken for an empty file, a list would empty the one that is there.
  resources: z.never({ error: 'a list is no single resource' }).optional(),
})
export const resourcesBody = z.object({
  resources: z
    .array(z.object({ resourceURI: z.string().nullish(), resourceContent: content }))
    .nullish()
    .meta({ description: `At most ${maxFiles}; of two for one path the last counts.` }),
  message,
})

const head = z
  .string()
  .nullish()
  .meta({ description: 'A commit; 412 where the stage, or the project, is at another.' })
const place = {
  stageName: z.string().nullish().meta({ description: 'Absent for the project.' }),
  serviceName: z.string().nullish().meta({ description: 'Absent for the stage.' }),
  resourceURI: z.string().nullish(),
}
export const commitsBody = z.object({
  changes: z
    .array(
      z.object({
        action: z.enum(['put', 'delete', 'move']),
        ...place,
        resourceContent: content,
        to: z.object(place).nullish().meta({
          description: 'Where a file, a chart or a folder moves; nothing may be there.',
        }),
        expectedHead: head,
      }),
    )
    .meta({ description: 'At most 1,000; each sees what those before it did.' }),
  expectedHead: head.meta({ description: 'For all changes, where they are of one stage.' }),
  dryRun: z.boolean().nullish().meta({ description: 'Where true: says what would change.' }),
  message,
})
export const restoreBody = z.object({
  gitCommitID: z.string().meta({ description: 'The commit that it is to be as in.' }),
  resourceURI: z
    .string()
    .nullish()
    .meta({ description: 'A file, a chart or a folder; absent for the whole scope.' }),
  message,
})

/**
 * Reads a body of JSON.
 * @throws invalid_request, "Invalid request format" and what is wrong
 */
export function parseBody<Schema extends z.ZodType>(
  bytes: Buffer,
  schema: Schema,
): z.output<Schema> {
  const parsed = schema.safeParse(parseJson(bytes))
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  const place = issue === undefined ? '' : z.core.toDotPath(issue.path)
  throw invalidFormat(place === '' ? 'not an object' : `${place}: ${issue?.message}`)
}

/**
 * Reads a body that writes several files.
 * @throws invalid_request that names the element
 */
export function parseFiles(body: z.output<typeof resourcesBody>): FileWrite[] {
  const elements = body.resources ?? []
  if (elements.length > maxFiles) {
    throw new ServiceError('invalid_request', `more than ${maxFiles} resources in one request`)
  }
  return elements.map(({ resourceURI, resourceContent }, index) => {
    try {
      return {
        path: parseResourcePath(resourceURI ?? ''),
        content: parseContent(resourceContent ?? ''),
      }
    } catch (error) {
      throw named(error, `resources[${index}]`)
    }
  })
}

/**
 * Decodes base64: standard alphabet, padded, line ends ignored, as Go decodes it.
 * @throws invalid_request
 */
export function parseContent(text: string): Buffer {
  const digits = /[\r\n]/.test(text) ? text.replace(/[\r\n]/g, '') : text
  if (digits.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(digits)) {
    throw new ServiceError('invalid_request', 'resource content is not base64 encoded')
  }
  return Buffer.from(digits, 'base64')
}

function parseJson(bytes: Buffer): unknown {
  checkShape(bytes)
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw invalidFormat(error instanceof SyntaxError ? 'not JSON' : 'not UTF-8')
  }
}

/**
 * Refuses what would take the parser seconds (10 MiB of brackets do) before it is parsed. Strings, where nearly all bytes are, are
 * jumped over.
 */
function checkShape(bytes: Buffer): void {
  let depth = 0
  let values = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === quote) at = endOfString(bytes, at)
    else if (byte === openBracket || byte === openBrace) depth++
    else if (byte === closeBracket || byte === closeBrace) depth--
    else if (byte === comma) values++
    if (depth > maxDepth) throw invalidFormat(`nested deeper than ${maxDepth}`)
    if (values > maxValues) throw invalidFormat(`more than ${maxValues} values`)
  }
}

function endOfString(bytes: Buffer, start: number): number {
  for (let at = start; ; ) {
    at = bytes.indexOf(quote, at + 1)
    if (at === -1) return bytes.length
    let backslashes = 0
    while (bytes[at - 1 - backslashes] === backslash) backslashes++
    if (backslashes % 2 === 0) return at
  }
}

function invalidFormat(reason: string): ServiceError {
  return new ServiceError('invalid_request', `Invalid request format: ${reason}`)
}

/** Adds to a refusal which element it is about. */
export function named(error: unknown, element: string): unknown {
  if (!(error instanceof ServiceError)) return error
  return new ServiceError(error.code, `${error.message}: ${element}`, { cause: error })
}
