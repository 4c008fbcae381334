/**
 * The promise that nobody's history is hostage to this service: a project of 1,000 random operations, made through the API of
 * the built program, is rebuilt by stock git from what lies in the bucket, and at every 50th entry both say the same.
 */
import { existsSync, readdirSync } from 'node:fs'
import { Agent } from 'node:http'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { finish, replay } from '../git/replay.ts'
import { stockGit } from '../git/stock-git.ts'
import { clientOf, fetchProject } from '../support/bucket-log.ts'
import { chanceOf, drawSeed } from '../support/chance.ts'
import { makeFolder, removeFolder } from '../support/processes.ts'
import { type Answered, send } from '../support/send.ts'
import { requireServers, type S3Server, startMinio } from '../support/servers.ts'
import { type Service, startService } from '../support/service.ts'
import { blobOf, type ProjectState, stateOfApi, stateOfGit } from './project-state.ts'
import { type Operation, outcomeOf, randomProject } from './random-project.ts'

const project = 'sock-shop'
const operations = 1_000
const checkEvery = 50

/** Where a project's keys lie, as somebody without a line of ours sees them. */
interface Place {
  has(key: string): Promise<boolean>
  /** A folder that holds `log/` and `packs/`. */
  fetch(): Promise<string>
}

interface Run {
  service: Service
  place: Place
  agent: Agent
  /** What the API said, by sequence. */
  states: Map<number, ProjectState>
  seq: number
  /** The entry that made the project as it is in the end. */
  madeAt: number
  /** How often which operation was answered how. */
  counts: Map<string, number>
}

/** Makes the operations, and asks the API for everything whenever the log has grown by 50 entries. */
async function write(run: Run, seed: number): Promise<void> {
  const chance = chanceOf(seed)
  const random = randomProject(project, chance)
  for (let number = 1; number <= operations; number++) {
    if (number === 330 || number === 650) await perform(run, random.drop())
    else if (number === 450) {
      for (const one of random.manyFiles(3_000)) await perform(run, one)
      run.states.set(run.seq, await stateOf(run))
    } else await perform(run, await random.next())
  }
  await perform(run, random.create(), [204, 409])
  run.states.set(run.seq, await stateOf(run))
}

async function perform(run: Run, operation: Operation, expected = operation.expected) {
  const answer = await send(run.service.url, { ...operation, agent: run.agent })
  const label = `${operation.name}: ${operation.method} ${operation.path}`
  assert.ok(expected.includes(answer.status), `${label} was answered ${textOf(answer)}`)
  const counted = `${operation.name} ${answer.status}`
  run.counts.set(counted, (run.counts.get(counted) ?? 0) + 1)
  if (answer.status < 300) operation.worked()
  if (operation.keyed) {
    const again = await send(run.service.url, { ...operation, agent: run.agent })
    assert.is(outcomeOf(again), outcomeOf(answer), `${label}, sent again`)
  }
  const before = run.seq
  while (await run.place.has(`log/${String(run.seq + 1).padStart(20, '0')}.bundle`)) run.seq++
  assert.ok(run.seq - before <= 1, `${label} made ${run.seq - before} entries`)
  if (operation.name === 'create project' && run.seq > before) run.madeAt = run.seq
  if (run.seq > before && run.seq % checkEvery === 0) run.states.set(run.seq, await stateOf(run))
}

function stateOf({ service, agent }: Run): Promise<ProjectState> {
  return stateOfApi({ url: service.url, project, agent })
}

function textOf({ status, body }: Answered): string {
  return `${status} ${body.toString('utf8').slice(0, 200)}`
}

/** Files of earlier commits of this incarnation are what they were when the API said so. */
async function checkCommits({ service, states, agent, madeAt }: Run, seed: number) {
  const chance = chanceOf(seed + 1)
  let read = 0
  for (const [seq, { heads, files }] of states) {
    if (seq < madeAt) continue
    for (const [branch, commit] of Object.entries(heads)) {
      const file = chance.pick(files[branch] ?? [])
      const scope = `/v1/project/${project}`
      const at = { url: service.url, agent }
      const there = await blobOf(at, scope, file.slice(41), `?gitCommitID=${commit}`)
      assert.is(there, file, `${branch} at entry ${seq}`)
      read++
    }
  }
  return read
}

/** Rebuilds with stock git alone, and compares wherever the API was asked. */
async function rebuild({ place, states }: Run): Promise<number> {
  const folder = await place.fetch()
  const git = stockGit()
  let compared = 0
  try {
    const compare = (seq: number) => {
      const expected = states.get(seq)
      if (expected === undefined) return
      assert.equal(stateOfGit(git), expected, `entry ${seq}`)
      compared++
    }
    replay(git, folder, compare, checkEvery)
    finish(git, 'main')
  } finally {
    git.remove()
  }
  return compared
}

async function check(open: (service: Service) => Place, env: Record<string, string>, name: string) {
  const seed = drawSeed(name)
  const service = await startService({ env })
  const agent = new Agent({ keepAlive: true })
  const run: Run = {
    service,
    place: open(service),
    agent,
    states: new Map(),
    seq: 0,
    madeAt: 0,
    counts: new Map(),
  }
  try {
    const began = performance.now()
    await write(run, seed)
    const wrote = performance.now()
    const commits = await checkCommits(run, seed)
    assert.is(await service.stop(), 0)
    const compared = await rebuild(run)
    assert.is(compared, run.states.size)
    assert.ok(compared > (run.seq / checkEvery) * 0.9, `${compared} comparisons`)
    assert.ok(run.seq > operations / 2, `${run.seq} entries`)
    const files = [...run.states.values()].flatMap((state) => Object.values(state.files).flat())
    const rebuilt = performance.now()
    console.log(
      `${name}: ${run.seq} entries, ${compared} comparisons of ${files.length} files, ${commits} reads at a commit; written in ${seconds(wrote - began)}, rebuilt in ${seconds(rebuilt - wrote)}`,
    )
    console.log([...run.counts].map(([what, count]) => `  ${count} × ${what}`).join('\n'))
  } finally {
    agent.destroy()
    await service.dispose()
  }
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(0)} s`
}

function inFolder(service: Service): Place {
  const folder = join(service.folder, 'data', 'store', 'projects', project)
  return {
    has: async (key) => existsSync(join(folder, key)),
    fetch: async () => folder,
  }
}

function inBucket(minio: S3Server, bucket: string, copy: string): Place {
  const client = clientOf(minio)
  const prefix = 'some/prefix/'
  return {
    has: (key) =>
      client.statObject(bucket, `${prefix}projects/${project}/${key}`).then(
        () => true,
        (error) => {
          if (error.code === 'NotFound') return false
          throw error
        },
      ),
    async fetch() {
      await fetchProject(client, { bucket, prefix, project }, copy)
      assert.ok(readdirSync(join(copy, 'packs')).length > 0, 'something was spilled')
      return copy
    },
  }
}

const onFolder = suite('stock git rebuilds a project from a folder')
if (requireServers('stock git rebuilds a project from a folder', 'git')) {
  onFolder('1,000 random operations: at every 50th entry it holds what the API said', () =>
    check(inFolder, {}, 'rebuild from a folder'),
  )
}
onFolder.run()

const onBucket = suite('stock git rebuilds a project from a bucket')
if (requireServers('stock git rebuilds a project from a bucket', 'git', 'minio')) {
  let minio: S3Server
  const copy = makeFolder('rebuild')
  onBucket.before(async () => {
    minio = await startMinio()
  })
  onBucket.after(async () => {
    await minio?.stop()
    removeFolder(copy)
  })
  onBucket('1,000 random operations: at every 50th entry it holds what the API said', async () => {
    const bucket = await minio.createBucket()
    const env = {
      STORE_URL: `s3://${bucket}/some/prefix?endpoint=${minio.endpoint}`,
      AWS_ACCESS_KEY_ID: minio.accessKeyId,
      AWS_SECRET_ACCESS_KEY: minio.secretAccessKey,
    }
    await check(() => inBucket(minio, bucket, copy), env, 'rebuild from a bucket')
  })
}
onBucket.run()
