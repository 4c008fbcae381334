/** The files that are read and written: SLOs of 2.7 KB, as Keptn's evaluations read them, and the project they live in. */

export const project = 'sockshop'
const stages = ['dev', 'staging', 'production'] as const
const services = [
  'carts',
  'carts-db',
  'catalogue',
  'front-end',
  'orders',
  'payment',
  'queue-master',
  'shipping',
  'user',
  'user-db',
] as const

/** The file that is read. */
export const readPath = filePath('production', 'carts', 'slo.yaml')
const fileBytes = 2_700

const objectives = Array.from(
  { length: 20 },
  (_, at) => `  - sli: response_time_p${at}
    displayName: Response time of carts, objective ${at}
    key_sli: ${at % 3 === 0}
    pass: [{criteria: ["<=+${(at * 7) % 23}%", "<${(at * 137) % 997}"]}]
    warning: [{criteria: ["<=${(at * 211) % 1_999}"]}]
    weight: ${(at % 5) + 1}
`,
).join('')

/** A file of 2.7 KB of YAML. @param id makes the content one of its own */
export function yamlFile(id: string): Buffer {
  const head = `spec_version: "1.0"\n# ${id}\ncomparison:\n  compare_with: several_results\nobjectives:\n`
  return Buffer.from((head + objectives).slice(0, fileBytes))
}

/** Where a writer's own file lives: writers are spread over the services of all stages. */
export function writerPath(writer: number): string {
  const stage = stages[writer % stages.length] as string
  const service = services[Math.floor(writer / stages.length) % services.length] as string
  return filePath(stage, service, `writer-${writer}.yaml`)
}

function filePath(stage: string, service: string, name: string): string {
  return `/v1/project/${project}/stage/${stage}/service/${service}/resource/${name}`
}

/** Makes the project with three stages of ten services, and the file that is read. */
export async function makeProject(url: string): Promise<void> {
  const at = `${url}/v1/project`
  await send('POST', at, { projectName: project })
  for (const stage of stages) {
    await send('POST', `${at}/${project}/stage`, { stageName: stage })
    const serviceUrl = `${at}/${project}/stage/${stage}/service`
    await Promise.all(services.map((service) => send('POST', serviceUrl, { serviceName: service })))
  }
  const resourceContent = yamlFile('read').toString('base64')
  await send('PUT', url + readPath, { resourceContent })
}

/** Counts the commits of all stages, by their histories. */
export async function countCommits(url: string): Promise<number> {
  let count = 0
  for (const stage of stages) {
    const history = `${url}/v1/project/${project}/stage/${stage}/history?pageSize=1000`
    let key = ''
    do {
      const answer = await fetch(key === '' ? history : `${history}&nextPageKey=${key}`)
      if (!answer.ok) throw new Error(`GET ${history}: ${answer.status} ${await answer.text()}`)
      const page = (await answer.json()) as { commits: unknown[]; nextPageKey: string }
      count += page.commits.length
      key = page.nextPageKey
    } while (key !== '0')
  }
  return count
}

async function send(method: string, url: string, body: unknown): Promise<void> {
  const answer = await fetch(url, { method, body: JSON.stringify(body) })
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${await answer.text()}`)
  await answer.arrayBuffer()
}
