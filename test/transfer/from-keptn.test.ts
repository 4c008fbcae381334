/** `docs/from-keptn.md`, as written, with the built program. */
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { blockAfter } from '../support/markdown.ts'
import { makeFolder, removeFolder } from '../support/processes.ts'
import { repositoryRoot } from '../support/programs.ts'
import { requireServers, type S3Server, startMinio } from '../support/servers.ts'
import { mainFile, startService } from '../support/service.ts'
import { commitFiles, git, makeKeptn, refsOf } from './keptn-repositories.ts'

const document = readFileSync(join(repositoryRoot, 'docs/from-keptn.md'), 'utf8')
const test = suite<{ folder: string }>('from Keptn and back')
let minio: S3Server
const isAble = requireServers('from Keptn and back', 'git', 'minio')
const whenAble = isAble ? test : test.skip

test.before(async () => {
  if (isAble) minio = await startMinio()
})
test.after(() => minio?.stop())
test.before.each((context) => {
  context.folder = makeFolder('from-keptn')
})
test.after.each(({ folder }) => removeFolder(folder))

async function bucketEnvironment(): Promise<Record<string, string>> {
  return {
    STORE_URL: `s3://${await minio.createBucket()}/keptn?endpoint=${minio.endpoint}`,
    AWS_ACCESS_KEY_ID: minio.accessKeyId,
    AWS_SECRET_ACCESS_KEY: minio.secretAccessKey,
  }
}

/** Runs blocks of the document as an operator would. */
function operator(folder: string, env: Record<string, string>) {
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  const command = join(bin, 'configuration-service')
  writeFileSync(command, `#!/bin/sh\nexec ${process.execPath} ${mainFile} "$@"\n`)
  chmodSync(command, 0o755)
  return (mark: string): string => {
    const { status, stdout, stderr } = spawnSync(
      'bash',
      ['-euc', blockAfter(document, `<!-- test: ${mark} -->`)],
      {
        cwd: folder,
        env: {
          PATH: `${bin}:${process.env.PATH}`,
          HOME: folder,
          TMPDIR: folder,
          GIT_CONFIG_NOSYSTEM: '1',
          UPSTREAM: join(folder, 'upstream'),
          ...env,
        },
        encoding: 'utf8',
        timeout: 100_000,
      },
    )
    assert.is(status, 0, `${mark}: ${stdout}${stderr}`)
    return stdout
  }
}

async function readRaw(url: string, path: string): Promise<string> {
  const answer = await fetch(url + path, { headers: { accept: 'application/octet-stream' } })
  return answer.status === 200 ? answer.text() : `${answer.status}`
}

whenAble('every command of the document works as written, into a bucket', async ({ folder }) => {
  const { sockshop, upstream } = makeKeptn(folder)
  const env = await bucketEnvironment()
  const run = operator(folder, env)
  run('expand')
  run('mirror')
  const told = run('import')
  assert.match(told, /^podtato: would be imported from a bare repository: .*format 2/m)
  assert.match(told, /^sockshop: imported from a bare repository: .*format 1.*: dev, prod;/m)
  run('import-one')
  run('check')

  git(sockshop, ['checkout', '--quiet', 'dev'])
  commitFiles(sockshop, { 'carts/slo.yaml': 'objectives: [while Keptn runs]\n' }, 'meanwhile')
  git(sockshop, ['push', '--quiet', join(upstream, 'sockshop.git'), 'dev'])
  const caughtUp = run('catch-up')
  assert.match(caughtUp, /^podtato: there is nothing new/m)
  assert.match(caughtUp, /^sockshop: brought up to date/m)

  const service = await startService({ env })
  try {
    const slo = '/v1/project/sockshop/stage/dev/service/carts/resource/slo.yaml'
    assert.is(await readRaw(service.url, slo), 'objectives: [while Keptn runs]\n')
    const old = git(sockshop, ['rev-parse', 'dev~2'])
    assert.is(await readRaw(service.url, `${slo}?gitCommitID=${old}`), 'objectives: [dev]\n')
    const listed = await fetch(`${service.url}/v1/project/podtato/stage`)
    const { stages } = (await listed.json()) as { stages: { stageName: string }[] }
    assert.equal(
      stages.map(({ stageName }) => stageName),
      ['dev', 'prod'],
    )
    const body = JSON.stringify({ resourceContent: Buffer.from('here\n').toString('base64') })
    assert.is((await fetch(service.url + slo, { method: 'PUT', body })).status, 200)
  } finally {
    await service.dispose()
  }
  run('back')
  const back = join(upstream, 'sockshop.git')
  assert.is(git(back, ['show', 'dev:carts/slo.yaml']), 'here')
  assert.is(git(back, ['log', '-1', '--format=%s', 'dev~1']), 'meanwhile')
  assert.is(git(back, ['for-each-ref', '--format=%(refname)', 'refs/meta']), '')
  mkdirSync(join(folder, 'restored'))
  run('back-volume')
  assert.is(refsOf(join(folder, 'restored/podtato')), refsOf(join(folder, 'work/podtato')))
  assert.ok(existsSync(join(folder, 'restored/podtato/.keptn-stages/dev/carts/slo.yaml')))
  assert.equal(
    readdirSync(folder).filter((name) => name.startsWith('configuration-service-')),
    [],
    'temporary folders',
  )
})

test.run()
