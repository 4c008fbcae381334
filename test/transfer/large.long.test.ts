/** 100,000 commits in packs of 500 MB, within 512 MiB of memory: in, read, and out again. */
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { makeFolder, removeFolder } from '../support/processes.ts'
import { requireServers } from '../support/servers.ts'
import { startService } from '../support/service.ts'
import { git, refsOf } from './keptn-repositories.ts'
import { makeLarge, measure } from './large.ts'

const test = suite('a large history')
const limitBytes = 512 * 2 ** 20

if (requireServers('a large history', 'git')) {
  test('100,000 commits and 500 MB come in and go out within 512 MiB', async () => {
    const folder = makeFolder('large')
    try {
      const source = join(folder, 'source.git')
      await makeLarge(source, { commits: 100_000, fileBytes: 5_000, stages: 4, services: 50 })
      assert.is((await measure(folder, ['migrate', 'expand'])).exit, 0)
      const words = ['--project', 'large', '--from', source, '--json']
      const brought = await measure(folder, ['import', ...words])
      assert.is(brought.exit, 0, brought.output)
      assert.match(brought.output, '"commits":100000')
      const packBytes = Number(/"bytes":(\d+)/.exec(brought.output)?.[1])
      assert.ok(packBytes > 500_000_000, `${packBytes} bytes`)
      assert.ok(brought.peakBytes < limitBytes, `${brought.peakBytes} bytes of memory`)

      const service = await startService({ folder, env: { CACHE_DIR: join(folder, 'cache') } })
      const slo = `${service.url}/v1/project/large/stage/stage-3/service/service-7/resource/slo.yaml`
      const began = performance.now()
      const old = git(source, ['rev-parse', 'stage-3~20000'])
      for (const url of [slo, `${slo}?gitCommitID=${old}`])
        assert.is((await fetch(url)).status, 200)
      const firstReadsMs = Math.round(performance.now() - began)
      await service.process.kill()

      const taken = await measure(folder, ['export', '--project', 'large', '--to', 'out.git'])
      assert.is(taken.exit, 0, taken.output)
      assert.ok(taken.peakBytes < limitBytes, `${taken.peakBytes} bytes of memory`)
      assert.is(refsOf(join(folder, 'out.git')), refsOf(source))
      const mib = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`
      console.log(
        `import: ${brought.seconds} s, ${mib(packBytes)} of packs, ${mib(brought.peakBytes)} of memory; first reads of a new replica ${firstReadsMs} ms; export: ${taken.seconds} s, ${mib(taken.peakBytes)}`,
      )
    } finally {
      removeFolder(folder)
    }
  })
}

test.run()
