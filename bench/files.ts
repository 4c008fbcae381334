/** The files that are read and written: SLOs of 2.7 KB, as Keptn's evaluations read them, and the project they live in. */

/** The project that is measured, where there is one. */
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
export const readPath = readPathOf(project)
const fileBytes = 2_700

/** As different from one another as those of a real file, so that it deflates as well as one: to a third. */
const objectives = [
  ['response_time_p95', 'Slowest twentieth of all answers', '<=+10%', '<600', '<=800', 3],
  ['response_time_p50', 'Median of the basket page', '<=+5%', '<180', '<=250', 2],
  ['error_rate', 'Failed requests, percent', '<=+2%', '<0.5', '<=1', 4],
  ['throughput', 'Requests a minute at the gateway', '>=-15%', '>4200', '>=3600', 1],
  ['cpu_usage', 'Processor time of all pods', '<=+20%', '<70', '<=85', 1],
  ['memory_working_set', 'Largest pod, MiB', '<=+12%', '<384', '<=448', 1],
  ['gc_pause_total', 'Stop-the-world time', '<=+25%', '<45', '<=90', 1],
  ['db_calls', 'Queries for each order', '<=+0%', '<12', '<=17', 2],
  ['db_time', 'Share spent in MongoDB', '<=+8%', '<31', '<=40', 2],
  ['queue_depth', 'Shipping messages that wait', '<=+50%', '<75', '<=220', 1],
  ['checkout_success', 'Baskets that became orders', '>=-3%', '>93', '>=88', 5],
  ['payment_timeouts', 'Declined after 5 s', '<=+1%', '<3', '<=6', 3],
  ['cache_hit_ratio', 'Catalogue pages from Redis', '>=-6%', '>81', '>=74', 1],
  ['disk_io_wait', 'carts-db volume, ms', '<=+30%', '<14', '<=28', 1],
  ['network_out', 'Egress through Istio, MB', '<=+40%', '<512', '<=900', 1],
  ['pod_restarts', 'Since the deployment', '<=+0%', '<1', '<=2', 4],
  ['apdex', 'User satisfaction by Dynatrace', '>=-4%', '>0.91', '>=0.85', 3],
].map(
  ([sli, name, change, pass, warning, weight]) => `  - sli: "${sli}"
    displayName: "${name}"
    pass:
      - criteria: ["${change}", "${pass}"]
    warning:
      - criteria: ["${warning}"]
    weight: ${weight}
`,
)

/** A file of 2.7 KB of YAML. @param id makes the content one of its own */
export function yamlFile(id: string): Buffer {
  const head = `spec_version: "1.0"\n# ${id}\ncomparison:\n  compare_with: several_results\nobjectives:\n`
  return Buffer.from((head + objectives.join('')).slice(0, fileBytes))
}

/** The same file in another project. */
export function readPathOf(name: string): string {
  return filePath('production', 'carts', 'slo.yaml', name)
}

/** Where a writer's own file lives: writers are spread over the services of all stages. */
export function writerPath(writer: number, name = project): string {
  const stage = stages[writer % stages.length] as string
  return filePath(stage, serviceOf(writer), `writer-${writer}.yaml`, name)
}

/** The same in a repository whose branches are the stages, as ours are in the older format. */
export function writerFile(writer: number): string {
  return `${serviceOf(writer)}/writer-${writer}.yaml`
}

function serviceOf(writer: number): string {
  return services[Math.floor(writer / stages.length) % services.length] as string
}

function filePath(stage: string, service: string, name: string, of = project): string {
  return `/v1/project/${of}/stage/${stage}/service/${service}/resource/${name}`
}

/** Makes the project with three stages of ten services, and the file that is read. */
export async function makeProject(url: string, name = project): Promise<void> {
  const at = `${url}/v1/project`
  await send('POST', at, { projectName: name })
  for (const stage of stages) {
    await send('POST', `${at}/${name}/stage`, { stageName: stage })
    const serviceUrl = `${at}/${name}/stage/${stage}/service`
    await Promise.all(services.map((service) => send('POST', serviceUrl, { serviceName: service })))
  }
  const resourceContent = yamlFile('read').toString('base64')
  await send('PUT', url + readPathOf(name), { resourceContent })
}

/** Counts the commits of all stages, by their histories. */
export async function countCommits(url: string, name = project): Promise<number> {
  let count = 0
  for (const stage of stages) {
    const history = `${url}/v1/project/${name}/stage/${stage}/history?pageSize=1000`
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
