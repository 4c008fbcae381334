import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { chanceOf } from '../support/chance.ts'
import { send } from '../support/send.ts'
import { requireServers } from '../support/servers.ts'
import { startService } from '../support/service.ts'
import { makeProject, scope } from './gate.ts'
import { blobOf } from './ledger.ts'
import { rebuild } from './rebuild.ts'

const test = suite('what stock git rebuilds for the gate')

if (requireServers('what stock git rebuilds for the gate', 'git')) {
  test('is what was written, entry by entry and in large steps', async () => {
    const service = await startService()
    const large = chanceOf(1).bytes(100_000).toString('base64')
    const expected = new Map<string, string>()
    try {
      await makeProject(service.url, 'p')
      for (let number = 0; number < 5; number++) {
        // One that is too large for an entry has a pack of its own.
        const content = number === 3 ? large : `content ${number}`
        const file = `load/${number % 3}.yaml`
        const path = `/v1/project/p${scope}/resource/${encodeURIComponent(file)}`
        const headers = { 'content-type': 'application/octet-stream' }
        const { status } = await send(service.url, { method: 'PUT', path, headers, body: content })
        assert.is(status, 200)
        expected.set(file, blobOf(content))
      }
      assert.is(await service.stop(), 0)
      const folder = join(service.folder, 'data', 'store', 'projects', 'p')
      assert.is(readdirSync(join(folder, 'packs')).length, 1)
      for (const fetchesMost of [100, 0]) {
        const { entries, blobs } = await rebuild({ folder, fetchesMost })
        assert.is(entries, 8)
        for (const [file, blob] of expected) assert.is(blobs.get(file), blob, file)
      }
    } finally {
      await service.dispose()
    }
  })

  test('is an error where something is missing', async () => {
    await rebuild({ folder: '/nowhere', fetchesMost: 0 }).then(
      () => assert.unreachable(),
      (error) => assert.match(error.message, 'ENOENT'),
    )
  })
}

test.run()
