/** Builds N and N+1 as real programs on one store: upgrades and downgrades of what it holds, disturbed. */
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { migrations } from '../../migrations/index.ts'
import { makeFolder, removeFolder, startProcess, waitFor } from '../support/processes.ts'
import { repositoryRoot } from '../support/programs.ts'
import { mainFile, type Service, startService } from '../support/service.ts'

const built = (name: string) =>
  join(repositoryRoot, 'dist', 'test', 'fixtures', 'builds', `${name}.js`)
const programs = { this: mainFile, next: built('next'), last: built('last') }
type Program = keyof typeof programs

/** The format of this build, and those of the next two. */
const newest = migrations.length
const fenced = newest + 1
const final = newest + 2
const projects = Array.from({ length: 12 }, (_, at) => `project-${at}`)

export interface Fleet {
  start(program: Program, until?: 'listening'): Promise<Service>
  migrate(program: Program, words: string): ReturnType<typeof startProcess>
  ended(program: Program, words: string): Promise<{ exit: number | string; output: string }>
  byFormat(): Promise<Record<string, number>>
  close(): Promise<void>
}

/** @param store where it is, as environment variables; a folder of its own unless told */
export function openFleet(store: Record<string, string>): Fleet {
  const folder = makeFolder('fleet')
  const env = { HEARTBEAT_SECONDS: '0.5', ...store }
  const services: Service[] = []
  const migrate: Fleet['migrate'] = (program, words) =>
    startProcess(process.execPath, [programs[program], 'migrate', ...words.split(' ')], {
      cwd: folder,
      env,
    })
  return {
    migrate,
    async start(program, until) {
      const service = await startService({
        folder,
        env: { ...env, CACHE_DIR: `cache-${services.length}` },
        program: programs[program],
        ...(until && { until }),
      })
      services.push(service)
      return service
    },
    async ended(program, words) {
      const child = migrate(program, words)
      const exit = await child.ended()
      return { exit, output: child.output() }
    },
    async byFormat() {
      const child = migrate('last', 'status --json')
      await child.ended()
      return JSON.parse(child.output().match(/^\{.*\}$/m)?.[0] ?? '{}').projects.byFormat
    },
    async close() {
      for (const { process } of services) await process.kill()
      removeFolder(folder)
    },
  }
}

const resource = (url: string, project: string) =>
  `${url}/v1/project/${project}/resource?resourceURI=a.yaml`

async function put(url: string, project: string, content: string): Promise<number> {
  const headers = { 'Content-Type': 'application/octet-stream' }
  const call = { method: 'PUT', headers, body: content }
  return (await fetch(resource(url, project), call)).status
}

async function get(url: string, project: string): Promise<string> {
  const headers = { Accept: 'application/octet-stream' }
  const answer = await fetch(resource(url, project), { headers })
  return answer.status === 200 ? answer.text() : `status ${answer.status}`
}

async function createAll(url: string): Promise<void> {
  for (const projectName of projects) {
    const call = { method: 'POST', body: JSON.stringify({ projectName }) }
    assert.is((await fetch(`${url}/v1/project`, call)).status, 204)
    assert.is(await put(url, projectName, projectName), 200)
  }
}

/** Writes to one project after the other until it is told to end; counts what was not 200. */
function startWriter(url: string): { end(): Promise<{ writes: number; failed: number[] }> } {
  let isOver = false
  const failed: number[] = []
  let writes = 0
  const work = (async () => {
    while (!isOver) {
      const project = projects[writes++ % projects.length] as string
      const status = await put(url, project, `write ${writes}`)
      if (status !== 200) failed.push(status)
    }
  })()
  return {
    async end() {
      isOver = true
      await work
      return { writes, failed }
    },
  }
}

/** A suite with a fleet of its own for each test. */
function fleetSuite(title: string, open: () => Promise<Fleet>) {
  const test = suite(title)
  let fleet: Fleet
  test.before.each(async () => {
    fleet = await open()
  })
  test.after.each(() => fleet.close())

  /** This build has made the projects and taken them to its newest format; then comes the next one. */
  async function upgrade(): Promise<{ old: Service; next: Service }> {
    const old = await fleet.start('this')
    await createAll(old.url)
    assert.is((await fleet.ended('this', `to ${newest} --rate 1000`)).exit, 0)
    return { old, next: await fleet.start('next') }
  }

  return { test, upgrade, fleet: () => fleet }
}

/** Who is refused, and told why. */
export function refusals(title: string, open: () => Promise<Fleet>): void {
  const { test, upgrade, fleet: current } = fleetSuite(title, open)

  test('an old replica that runs blocks by name; one that starts later is never ready, and ends with 78', async () => {
    const fleet = current()
    const { old, next } = await upgrade()
    const refused = await fleet.ended('next', `to ${fenced}`)
    assert.is(refused.exit, 3)
    assert.match(refused.output, /is more than these replicas handle: .* \(build .* writes/)
    assert.equal(await fleet.byFormat(), { [newest]: projects.length })
    assert.is(await old.stop(), 0)
    const done = await fleet.ended('next', `to ${fenced} --rate 1000`)
    assert.is(done.exit, 0, done.output)
    assert.equal(await fleet.byFormat(), { [fenced]: projects.length })
    const rolledBack = await fleet.ended('this', 'expand')
    assert.is(rolledBack.exit, 3)
    assert.match(rolledBack.output, new RegExp(`run \`migrate to ${newest}\` with the build that`))
    const late = await fleet.start('this', 'listening')
    const late2 = fetch(`${late.url}/readyz`).then(({ status }) => status)
    assert.is(await late2, 503)
    assert.is(await late.process.ended(), 78)
    assert.not.ok(late.events().some(({ event }) => event === 'ready'))
    for (const project of projects) assert.is(await get(next.url, project), project)
    assert.is((await fleet.ended('next', `to ${newest} --rate 1000`)).exit, 0)
    const again = await fleet.start('this')
    for (const project of projects) assert.is(await get(again.url, project), project)
    assert.is(await put(again.url, 'project-0', 'after'), 200)
    assert.is(await next.stop(), 0)
  })

  test('a writer of the build before reads on and is told why it may not write', async () => {
    const fleet = current()
    const { old, next } = await upgrade()
    // It stands still for longer than its announcement is valid, and is taken for dead.
    old.process.signal('SIGSTOP')
    const id = await waitForSilence(fleet)
    const { exit, output } = await fleet.ended('next', `to ${fenced} --rate 1000 --forget ${id}`)
    assert.is(exit, 0, output)
    old.process.signal('SIGCONT')
    await waitFor(async () => (await get(old.url, 'project-1')) === 'project-1')
    const call = { method: 'PUT', body: '{"resourceContent":"YQ=="}' }
    const answer = await fetch(`${old.url}/v1/project/project-1/resource/a.yaml`, call)
    assert.is(answer.status, 503)
    assert.match(await answer.text(), new RegExp(`has format ${fenced} for writers from ${fenced}`))
    assert.is(await put(next.url, 'project-1', 'new'), 200)
    assert.is(await get(old.url, 'project-1'), 'new')
  })

  test('where there is no way back it asks first, and the build before is shut out', async () => {
    const fleet = current()
    const { old, next } = await upgrade()
    assert.is(await old.stop(), 0)
    assert.is((await fleet.ended('next', `to ${fenced} --rate 1000`)).exit, 0)
    assert.is(await next.stop(), 0)
    const asked = await fleet.ended('last', `to ${final}`)
    assert.is(asked.exit, 3)
    assert.match(asked.output, /--accept-irreversible/)
    const gone = await fleet.ended('last', `to ${final} --rate 1000 --accept-irreversible`)
    assert.is(gone.exit, 0, gone.output)
    const back = await fleet.ended('last', `to ${fenced}`)
    assert.is(back.exit, 3)
    assert.match(back.output, 'cannot be taken back')
    assert.is((await fleet.ended('next', 'expand')).exit, 3)
    const last = await fleet.start('last')
    for (const project of projects) assert.is(await get(last.url, project), project)
  })

  test.run()
}

/** Jobs that are killed, doubled, and turned against each other. */
export function disturbances(title: string, open: () => Promise<Fleet>): void {
  const { test, upgrade, fleet: current } = fleetSuite(title, open)

  test('killed anywhere and run again it goes on, under writes of which none fails', async () => {
    const fleet = current()
    const { old, next } = await upgrade()
    assert.is(await old.stop(), 0)
    const writer = startWriter(next.url)
    for (const format of [fenced, newest]) {
      for (let afterMs = 300; afterMs < 900; afterMs += 200) {
        const job = fleet.migrate('next', `to ${format} --rate 40`)
        await new Promise((resolve) => setTimeout(resolve, afterMs))
        await job.kill()
      }
      const { exit, output } = await fleet.ended('next', `to ${format} --rate 1000`)
      assert.is(exit, 0, output)
      assert.equal(await fleet.byFormat(), { [format]: projects.length })
    }
    const { writes, failed } = await writer.end()
    assert.ok(writes > projects.length)
    assert.equal(failed, [])
  })

  test('run twice at once both are done; in opposite directions the last one wins', async () => {
    const fleet = current()
    const { old, next } = await upgrade()
    assert.is(await old.stop(), 0)
    const up = `to ${fenced} --rate 30`
    const both = await Promise.all([fleet.ended('next', up), fleet.ended('next', up)])
    for (const { exit, output } of both) assert.is(exit, 0, output)
    assert.equal(await fleet.byFormat(), { [fenced]: projects.length })

    const down = fleet.migrate('next', `to ${newest} --rate 1`)
    await waitFor(async () => Object.keys(await fleet.byFormat()).length === 2)
    const turned = await fleet.ended('next', up)
    assert.is(turned.exit, 0, turned.output)
    assert.is(await down.ended(), 3)
    assert.match(down.output(), `somebody replaced the target: it is ${fenced}`)
    assert.equal(await fleet.byFormat(), { [fenced]: projects.length })

    const crowd = [newest, fenced, newest, fenced].map((format) =>
      fleet.ended('next', `to ${format} --rate 30`),
    )
    const exits = (await Promise.all(crowd)).map(({ exit }) => exit)
    assert.ok(exits.includes(0), `${exits}`)
    assert.ok(
      exits.every((exit) => exit === 0 || exit === 3),
      `${exits}`,
    )
    assert.is(Object.keys(await fleet.byFormat()).length, 1, 'one clean end')
    for (const project of projects) assert.is(await get(next.url, project), project)
  })

  test.run()
}

/** @returns the id of the replica that is not heard from */
async function waitForSilence(fleet: Fleet): Promise<string> {
  let id = ''
  await waitFor(
    async () => {
      const { output } = await fleet.ended('last', 'status')
      id = output.match(/^ {2}(\S+) {2}silent,/m)?.[1] ?? ''
      return id !== ''
    },
    { timeoutMs: 20_000 },
  )
  return id
}
