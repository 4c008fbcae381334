import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { finish, replay } from '../git/replay.ts'
import { stockGit } from '../git/stock-git.ts'
import { makeFolder, removeFolder, startProcess, waitFor } from '../support/processes.ts'
import { mainFile, type Service, startService } from '../support/service.ts'

const test = suite('accept-restore')

let folder: string
const opened: Service[] = []
test.before.each(() => {
  folder = makeFolder('restore')
})
test.after.each(async () => {
  for (const service of opened.splice(0)) await service.process.kill()
  removeFolder(folder)
})

/** Runs the verb to its end. */
async function accept(words: string) {
  const child = startProcess(process.execPath, [mainFile, 'accept-restore', ...words.split(' ')], {
    cwd: folder,
  })
  const exit = await child.ended()
  const line = child.output().match(/^\{.*\}$/m)?.[0]
  return { exit, output: child.output(), json: line === undefined ? null : JSON.parse(line) }
}

async function serve(): Promise<Service> {
  const service = await startService({ folder, env: { HEARTBEAT_SECONDS: '0.5' } })
  opened.push(service)
  return service
}

const file = (url: string) => `${url}/v1/project/shop/resource/a.yaml`

async function write(url: string, content: string): Promise<number> {
  const resourceContent = Buffer.from(content).toString('base64')
  const answer = await fetch(file(url), {
    method: 'PUT',
    body: JSON.stringify({ resourceContent }),
  })
  return answer.status
}

async function read(url: string): Promise<string> {
  const answer = await fetch(file(url))
  const { resourceContent = '', message = '' } = (await answer.json()) as Record<string, string>
  return answer.ok ? Buffer.from(resourceContent, 'base64').toString() : message
}

const place = (...path: string[]) => join(folder, 'data', 'store', 'projects', 'shop', ...path)
const entry = (seq: number) => place('log', `${String(seq).padStart(20, '0')}.bundle`)

/** Entry 1 makes the project, 2 to 5 write versions of its file. */
async function begin(): Promise<Service> {
  const service = await serve()
  await fetch(`${service.url}/v1/project`, { method: 'POST', body: '{"projectName":"shop"}' })
  for (const n of [2, 3, 4, 5]) assert.is(await write(service.url, `version ${n}`), 200)
  return service
}

test('it says what is left, changes nothing when dry, and then lets every replica go on', async () => {
  const before = await begin()
  // Its cache folder stays, and knows of the entries that will be gone.
  assert.is(await before.stop(), 0)
  rmSync(entry(4))
  const stopped = await serve()
  assert.match(await read(stopped.url), 'the project is stopped')
  let dry = await accept('--project shop --dry-run --json')
  await waitFor(async () => {
    dry = await accept('--project shop --dry-run --json')
    return dry.json?.applied === 5
  })
  assert.is(dry.exit, 0)
  assert.equal([dry.json.intact, dry.json.because], [3, 'entry 4 is absent'])
  assert.equal(
    dry.json.beyond.map(({ seq, kind }: { seq: number; kind: string }) => [seq, kind]),
    [[5, 'commit']],
  )
  assert.not.ok(existsSync(entry(4)))
  const lost = readFileSync(entry(5))

  const { exit, output } = await accept('--project shop')
  assert.is(exit, 0, output)
  assert.match(output, 'Entries 1 to 3 are there and whole.')
  assert.match(output, 'Entry 5 is there, beyond the gap: commit')
  assert.match(output, 'accepted: the log goes on after entry 6')
  const [aside = ''] = readdirSync(place('set-aside'))
  assert.equal(readFileSync(place('set-aside', aside)), lost)

  // It would look again within 30 s; a new one looks at once, and finds the cache folder that knew more.
  assert.is(await stopped.stop(), 0)
  const after = await serve()
  assert.is(await read(after.url), 'version 3')
  assert.is(await write(after.url, 'version 7'), 200)
  assert.ok(after.events().some(({ event }) => event === 'restore_accepted'))

  const git = stockGit()
  try {
    replay(git, place())
    finish(git, 'main')
    assert.is(git.text(['show', 'main:a.yaml']), 'version 7')
  } finally {
    git.remove()
  }
})

test('a project whose log is whole is left as it is, one that was never there too', async () => {
  const service = await begin()
  const whole = await accept('--project shop')
  assert.is(whole.exit, 0, whole.output)
  assert.match(whole.output, 'nothing to accept: the log is whole, entries 1 to 5')
  const none = await accept('--project none')
  assert.match(none.output, 'nothing to accept: the log is empty')
  assert.equal(readdirSync(place('log')).length, 5)
  assert.not.ok(existsSync(join(folder, 'data', 'store', 'projects', 'none')))
  assert.is(await read(service.url), 'version 5')
})

test('called wrongly it ends with 2 and a sentence', async () => {
  for (const words of ['--dry-run', '--project', '--project shop now', '--project shop --to 3']) {
    const { exit, output } = await accept(words)
    assert.is(exit, 2, words)
    assert.match(output, /^configuration-service: accept-restore: .+/, words)
  }
})

test.run()
