/**
 * Projects that were made before anything else happened: whatever becomes of their format, their files stay what they were, and
 * so does what each of their commits holds.
 */
import { Agent } from 'node:http'
import { jsonOf, send } from '../support/send.ts'

export interface Made {
  readonly projects: number
  /** Reads everything, and everything at the commits of before. @returns a sentence for whatever is not what was written */
  check(url: string): Promise<string[]>
}

/** One write of one file. */
interface Write {
  project: string
  path: string
  content: string
  commitID: string
  /** Whether a later one replaced it. */
  isOld: boolean
}

const atOnce = 8
const file = 'helm/values.yaml'
const stages = ['dev', 'production']

/** Makes projects of two stages, with files of the project, of stages and of services, some of them written twice. */
export async function makeProjects(url: string, count: number): Promise<Made> {
  const agent = new Agent({ keepAlive: true })
  const writes: Write[] = []
  const post = async (path: string, body: object) => {
    const sent = { method: 'POST' as const, path, agent, body: JSON.stringify(body) }
    const answer = await send(url, sent)
    if (answer.status !== 204) throw new Error(`${path} was answered ${answer.status}`)
  }
  const write = async (project: string, scope: string, version: number) => {
    const path = `/v1/project/${project}${scope}/resource/${encodeURIComponent(file)}`
    const content = `# ${project}${scope} ${version}\n`
    const answer = await send(url, {
      method: 'PUT',
      path,
      agent,
      headers: { 'content-type': 'application/octet-stream' },
      body: content,
    })
    if (answer.status !== 200) throw new Error(`${path} was answered ${answer.status}`)
    const { commitID } = jsonOf<{ commitID: string }>(answer)
    writes.push({ project, path, content, commitID, isOld: version === 1 })
  }
  const make = async (project: string) => {
    await post('/v1/project', { projectName: project })
    for (const stageName of stages) await post(`/v1/project/${project}/stage`, { stageName })
    const ofStage = `/stage/${stages[1]}`
    await post(`/v1/project/${project}${ofStage}/service`, { serviceName: 'carts' })
    await write(project, '', 2)
    await write(project, ofStage, 2)
    for (const version of [1, 2]) await write(project, `${ofStage}/service/carts`, version)
  }

  async function check(at: string): Promise<string[]> {
    const wrong: string[] = []
    const read = async (path: string, content: string) => {
      const headers = { accept: 'application/octet-stream' }
      const { status, body } = await send(at, { method: 'GET', path, headers, agent: checking })
      const isRight = status === 200 && body.toString('utf8') === content
      if (!isRight) wrong.push(`${path} at ${at} is not what was written: ${status}`)
    }
    const checking = new Agent({ keepAlive: true })
    await inParallel(writes, async ({ path, content, commitID, isOld }) => {
      await read(`${path}?gitCommitID=${commitID}`, content)
      if (!isOld) await read(path, content)
    })
    checking.destroy()
    return wrong
  }

  const names = Array.from({ length: count }, (_, index) => `before-${index}`)
  await inParallel(names, make)
  agent.destroy()
  return { projects: count, check }
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items]
  const worker = async () => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) await work(next)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}
