import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { migrations } from '../../migrations/index.ts'
import { createClusterLog } from '../../src/cluster/cluster-log.ts'
import type { Decision } from '../../src/cluster/state.ts'
import { openFileStore } from '../../src/store/file.ts'
import { systemClock, systemRandomness } from '../../src/system-clock.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { makeFolder, removeFolder, startProcess, waitFor } from '../support/processes.ts'
import { requireServers, type S3Server, startMinio } from '../support/servers.ts'
import { mainFile, startService } from '../support/service.ts'

const newest = migrations.length
const beyond = newest + 1

const test = suite('migrate, and serve in a cluster, as programs')

let folder: string
const closers: (() => Promise<void>)[] = []
test.before.each(() => {
  folder = makeFolder('migrate')
})
test.after.each(async () => {
  for (const close of closers.splice(0)) await close()
  removeFolder(folder)
})

/** Runs a verb to its end. */
async function migrate(words: string, env: Record<string, string> = {}) {
  const child = startProcess(process.execPath, [mainFile, 'migrate', ...words.split(' ')], {
    cwd: folder,
    env: { HEARTBEAT_SECONDS: '0.5', ...env },
  })
  const exit = await child.ended()
  const line = child.output().match(/^\{.*\}$/m)?.[0]
  return { exit, output: child.output(), json: line === undefined ? null : JSON.parse(line) }
}

async function serve(env: Record<string, string> = {}, until: 'ready' | 'listening' = 'ready') {
  const service = await startService({ folder, until, env: { HEARTBEAT_SECONDS: '0.5', ...env } })
  closers.push(() => service.process.kill())
  return service
}

const create = (url: string, projectName: string) =>
  fetch(`${url}/v1/project`, { method: 'POST', body: JSON.stringify({ projectName }) })

/** What another build has decided. */
async function decide(...decisions: Decision[]): Promise<void> {
  const store = await openFileStore(join(folder, 'data/store'))
  const log = createClusterLog({ store, clock: systemClock, random: systemRandomness, build: '9' })
  for (const decision of decisions) await log.append(() => decision)
  await store.close()
}

function files(path: string): string[] {
  try {
    return readdirSync(join(folder, 'data/store/cluster', path))
  } catch {
    return []
  }
}

test('each verb ends with its code, says what it did, and may be run again', async () => {
  const service = await serve()
  for (const name of ['one', 'two']) assert.is((await create(service.url, name)).status, 204)
  for (let again = 0; again < 2; again++) {
    assert.is((await migrate('expand')).exit, 0)
    const to = await migrate('to 1 --json')
    assert.is(to.exit, 0)
    assert.equal([to.json.verdict, to.json.projects, to.json.converted], ['done', 2, 0])
  }
  assert.is(files('log').length, 4, 'expanded, target, agreed, reached')
  const { json, exit } = await migrate('status --json')
  assert.is(exit, 0)
  assert.equal(json.projects.byFormat, { 1: 2 })
  assert.equal([json.expanded, json.target.format, json.target.state], [newest, 1, 'reached'])
  assert.equal(
    json.replicas.map(({ liveness, role }: Record<string, string>) => [liveness, role]),
    [['live', 'replica']],
  )
  const text = await migrate('status')
  assert.match(text.output, /projects {4}2: 2 of format 1/)
  assert.match(text.output, /live, heard \d+ s ago, build \S+, reads formats 1 to 2/)
})

test('a format that this build does not know is refused with 3, and nothing is decided', async () => {
  const { exit, output } = await migrate(`to ${beyond}`)
  assert.is(exit, 3)
  assert.match(output, `format ${beyond} takes another build`)
  assert.equal(files('log'), [])
})

test('a dry run decides nothing and announces nothing', async () => {
  assert.match((await migrate('expand --dry-run')).output, `would expand to format ${newest}`)
  assert.match((await migrate('to 1 --dry-run')).output, /would convert 0 projects/)
  assert.equal([files('log'), files('replicas')], [[], []])
})

test('called wrongly it ends with 2 and a sentence', async () => {
  for (const words of ['', 'down', 'to', 'to two', 'to 0', 'to 1 2', 'expand 1', 'to 1 --fast']) {
    const { exit, output } = await migrate(words)
    assert.is(exit, 2, words)
    assert.match(output, /^configuration-service: migrate: .+/, words)
  }
  const { exit, output } = await migrate('expand --rate 3')
  assert.is(exit, 2)
  assert.match(output, 'expand takes no --rate')
  assert.match((await migrate('to 1 --rate fast')).output, /--rate must be a number from 0.01/)
})

test('a rolled back build is refused by expand before a replica of it starts', async () => {
  await decide(
    { kind: 'expanded', format: beyond, formats: [newest] },
    { kind: 'target', format: beyond, acceptIrreversible: false },
    { kind: 'agreed', format: beyond },
    { kind: 'reached', format: beyond },
  )
  const { exit, output } = await migrate('expand')
  assert.is(exit, 3)
  assert.match(output, `run \`migrate to ${newest}\` with the build that is installed now`)
})

test('out of range it is never ready, says so, and ends with 78', async () => {
  await decide(
    { kind: 'expanded', format: beyond, formats: [newest] },
    { kind: 'target', format: beyond, acceptIrreversible: false },
  )
  const service = await serve({}, 'listening')
  let ready = ''
  await waitFor(async () => {
    const answer = await fetch(`${service.url}/readyz?verbose`).catch(() => null)
    ready = (await answer?.text()) ?? ready
    assert.is.not(answer?.status, 200)
    return ready.includes(`cluster not ok: format ${beyond} is the target`)
  })
  const early = await fetch(`${service.url}/v1/project/p/resource`)
  assert.is(early.status, 503)
  assert.match(await early.text(), `not ready: cluster: format ${beyond} is the target`)
  assert.is(await service.process.ended(), 78)
  assert.not.ok(service.events().some(({ event }) => event === 'ready'))
  assert.equal(files('replicas'), [])
})

test('the announcement is there until the drain is over, and gone when the program is', async () => {
  const service = await serve({ DRAIN_WINDOW_SECONDS: '2' })
  const [file = ''] = files('replicas')
  const ended = service.stop()
  await waitFor(() => service.events().some(({ phase }) => phase === 'accepting'))
  const announced = () =>
    JSON.parse(readFileSync(join(folder, 'data/store/cluster/replicas', file), 'utf8'))
  await waitFor(() => announced().draining === true)
  assert.is(await ended, 0)
  assert.equal(files('replicas'), [])
})

test('a replica that was killed is told of as silent, and can be forgotten', async () => {
  const service = await serve()
  await service.process.kill()
  const [file = ''] = files('replicas')
  const id = file.replace('.json', '')
  const replica = async () => (await migrate('status --json')).json.replicas[0]
  await waitFor(async () => (await replica()).liveness === 'silent', { timeoutMs: 20_000 })
  assert.is((await migrate(`to 1 --forget ${id}`)).exit, 0)
  assert.is((await replica()).liveness, 'forgotten')
})

test('two jobs and three replicas at once come to one clean end', async () => {
  const jobs = [migrate('expand'), migrate('to 1'), migrate('expand'), migrate('to 1')]
  const services = await Promise.all([serve(), serve(), serve()])
  for (const { exit, output } of await Promise.all(jobs)) assert.is(exit, 0, output)
  assert.is(services.length, 3)
  const { json } = await migrate('status --json')
  assert.equal([json.expanded, json.target.state, json.replicas.length], [newest, 'reached', 3])
  assert.is(files('log').length, 4)
})

if (requireServers('migrate on a bucket', 'minio')) {
  let minio: S3Server
  test.before(async () => {
    minio = await startMinio()
  })
  test.after(() => minio?.stop())

  test('a bucket that is slow to delete keeps no announcement that a replica took away', async () => {
    const proxy = await startFaultProxy(minio.endpoint)
    closers.push(proxy.stop)
    const bucket = await minio.createBucket()
    const service = await serve({
      STORE_URL: `s3://${bucket}?endpoint=${proxy.endpoint}`,
      AWS_ACCESS_KEY_ID: minio.accessKeyId,
      AWS_SECRET_ACCESS_KEY: minio.secretAccessKey,
    })
    const deletes: string[] = []
    proxy.decide = ({ method, path }) => {
      if (method !== 'DELETE') return 'pass'
      deletes.push(path)
      return deletes.length === 1 ? 'lose-request' : { delayMs: 4_000 }
    }
    assert.is(await service.stop(), 0)
    assert.match(deletes[0] ?? '', /cluster\/replicas\//)
    assert.is(deletes.length, 2, 'what the bucket did not hear is said again')
    assert.is(
      service.events().some(({ event }) => event === 'close_failed'),
      false,
    )
  })

  test('on a bucket: killed anywhere and run again, one clean end', async () => {
    const env = {
      STORE_URL: `s3://${await minio.createBucket()}?endpoint=${minio.endpoint}`,
      AWS_ACCESS_KEY_ID: minio.accessKeyId,
      AWS_SECRET_ACCESS_KEY: minio.secretAccessKey,
    }
    const service = await serve(env)
    assert.is((await create(service.url, 'one')).status, 204)
    for (let afterMs = 250; afterMs < 800; afterMs += 75) {
      const child = startProcess(process.execPath, [mainFile, 'migrate', 'to', '1'], {
        cwd: folder,
        env: { HEARTBEAT_SECONDS: '0.5', ...env },
      })
      await new Promise((resolve) => setTimeout(resolve, afterMs))
      await child.kill()
    }
    const { exit, output } = await migrate('to 1', env)
    assert.is(exit, 0, output)
    const { json } = await migrate('status --json', env)
    assert.equal([json.expanded, json.target.state], [newest, 'reached'])
    assert.ok(json.replicas.some(({ liveness }: { liveness: string }) => liveness === 'live'))
    assert.is(await service.stop(), 0)
    const after = (await migrate('status --json', env)).json
    assert.not.ok(after.replicas.some(({ role }: { role: string }) => role === 'replica'))
  })
}

test.run()
