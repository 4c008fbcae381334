import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { blockAfter } from '../support/markdown.ts'
import { repositoryRoot, requireServers } from '../support/programs.ts'
import { type Service, startService } from '../support/service.ts'

const test = suite('commands of the README')
const readme = readFileSync(join(repositoryRoot, 'README.md'), 'utf8')

/** Runs a block as a user would, in the service's folder; any command that fails fails the whole. */
function run(service: Service, script: string) {
  // What a user sees as an error page must fail here.
  writeFileSync(join(service.folder, '.curlrc'), 'fail-with-body\nsilent\nshow-error\n')
  const text = script.replaceAll('http://localhost:8080', service.url)
  const { status, stdout, stderr } = spawnSync('bash', ['-euc', text], {
    cwd: service.folder,
    env: { PATH: process.env.PATH ?? '', HOME: service.folder, CURL_HOME: service.folder },
    encoding: 'utf8',
    timeout: 60_000,
  })
  assert.is(status, 0, `${stdout}${stderr}`)
  return stdout
}

if (requireServers('commands of the README', 'curl', 'git')) {
  let service: Service
  test.before(async () => {
    service = await startService()
  })
  test.after(() => service?.dispose())

  test('the curl lines work as written', () => {
    const shown = run(service, blockAfter(readme, '<!-- test: curl -->'))
    assert.match(shown, /^\{"commitID":"[0-9a-f]{40}"/m, 'the answer to the write')
    assert.match(shown, /objectives: \[\]/, 'the bytes that were written')
    assert.match(shown, /"commits":\[\{"commitID":"[0-9a-f]{40}"/, 'its history')
  })

  test("Keptn's form of a write works as written", async () => {
    const [, body] = /with `(\{"resourceContent":"[^`]*"\})`/.exec(readme) ?? []
    const url = `${service.url}/v1/project/sockshop/resource/slo.yaml`
    assert.is((await fetch(url, { method: 'PUT', body: body ?? '' })).status, 200)
    const raw = await fetch(url, { headers: { Accept: 'application/octet-stream' } })
    assert.is(await raw.text(), 'objectives: []\n')
  })

  test('stock git recovers files, branches and a file too large for its entry, as written', async () => {
    const large = Buffer.alloc(300_000, 'not in the entry but in a pack\n')
    for (let i = 0; i < large.length; i += 7) large[i] = (i * 31) % 251
    const answer = await fetch(
      `${service.url}/v1/project/sockshop/resource?resourceURI=large.bin`,
      {
        method: 'PUT',
        headers: { 'Content-Type': 'application/octet-stream' },
        body: large,
      },
    )
    assert.is(answer.status, 200)
    assert.ok(existsSync(join(service.folder, 'data/store/projects/sockshop/packs')))
    run(service, blockAfter(readme, '<!-- test: recovery -->'))
    assert.ok(readFileSync(join(service.folder, 'sockshop/large.bin')).equals(large))
    const file = run(service, 'git -C sockshop show origin/dev:carts/slo.yaml')
    assert.is(file, 'objectives: []\n')
    assert.match(run(service, 'git -C sockshop branch --all'), 'remotes/origin/dev')
  })

  test('the tokens of the example are taken', async () => {
    const file = join(service.folder, 'tokens.json')
    writeFileSync(file, blockAfter(readme, '### Tokens'))
    const guarded = await startService({ env: { TOKENS_FILE: file } })
    const status = async (method: string, token?: string) => {
      const headers = token === undefined ? {} : { 'x-token': token }
      const body = '{"projectName":"team-a-x"}'
      const path = method === 'GET' ? '/v1/project/team-a-x/resource' : '/v1/project'
      const call = method === 'GET' ? { headers } : { method, headers, body }
      return (await fetch(guarded.url + path, call)).status
    }
    assert.is(await status('GET'), 401)
    assert.is(await status('GET', 'nobody'), 401)
    assert.is(await status('POST', 'test'), 403)
    assert.is(await status('POST', 'test2'), 204)
    assert.is(await status('GET', 'test'), 200)
    await guarded.dispose()
  })
}

test.run()
