/** What answers hold, for the document of the API; a test holds real answers to it. */
import { z } from 'zod'

const id = z
  .string()
  .regex(/^[0-9a-f]{40}$/)
  .meta({ description: 'A commit.' })
const metadata = z.object({
  upstreamURL: z
    .literal('')
    .meta({ description: 'There is no upstream: the bucket is the truth.' }),
  version: id,
})
const page = {
  nextPageKey: z.string().meta({ description: 'What to ask for next; `"0"` at the end.' }),
}
const totalCount = z
  .int()
  .positive()
  .optional()
  .meta({ description: 'Of all pages; absent for 0, and where it is not known.' })
const creationDate = z.iso.datetime().optional()

export const errorAnswer = z.object({
  code: z.int().meta({ description: 'The HTTP status.' }),
  message: z.string(),
})

export const writeAnswer = z.object({ commitID: id, metadata, version: id })

export const fileAnswer = z.object({
  resourceContent: z.string().meta({ description: 'Base64.' }),
  resourceURI: z
    .string()
    .meta({ description: 'As it was asked for; in a path, still escaped once.' }),
  scope: z
    .enum(['project', 'stage', 'service'])
    .optional()
    .meta({ description: 'Where the file was found; only with `resolve=inherit`.' }),
  metadata,
})

export const filesAnswer = z.object({
  ...page,
  resources: z.array(
    z.object({
      resourceURI: z.string().meta({ description: 'With a leading slash, below the scope.' }),
      metadata,
    }),
  ),
  totalCount,
})

export const projectsAnswer = z.object({
  ...page,
  projects: z.array(z.object({ projectName: z.string(), creationDate })),
  totalCount,
})

export const stagesAnswer = z.object({
  ...page,
  stages: z.array(z.object({ stageName: z.string(), creationDate })),
  totalCount,
})

export const servicesAnswer = z.object({
  ...page,
  services: z.array(z.object({ serviceName: z.string(), creationDate })),
  totalCount,
})

export const historyAnswer = z.object({
  ...page,
  commits: z.array(
    z.object({
      commitID: id,
      author: z.object({ name: z.string(), email: z.string() }),
      date: z.iso.datetime(),
      message: z.string(),
    }),
  ),
})

const blob = z
  .string()
  .regex(/^[0-9a-f]{40}$/)
  .optional()
  .meta({ description: 'Id of the content in Git.' })
const fileChange = {
  resourceURI: z.string().meta({ description: 'With a leading slash, below the scope.' }),
  change: z.enum(['added', 'deleted', 'modified']),
  before: blob,
  after: blob,
}

export const diffAnswer = z.object({ ...page, changes: z.array(z.object(fileChange)), totalCount })

export const previewAnswer = z.object({
  dryRun: z.literal(true),
  changes: z.array(
    z.object({
      stageName: z.string().optional().meta({ description: 'Absent for the project.' }),
      ...fileChange,
    }),
  ),
})

/** What a batch answers: its commit, or what it would change. */
export const batchAnswer = z.union([writeAnswer, previewAnswer])
