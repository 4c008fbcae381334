import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { previous, previousBuild } from './previous-build.ts'
import { makeFolder, removeFolder } from './processes.ts'
import { run } from './run.ts'

const test = suite('N-1 of the gates')

test('a history that does not reach back to it is told, and nothing half-made is left', async () => {
  const root = makeFolder('shallow')
  try {
    await run(['git', 'init', '--quiet', root])
    const failure = await previousBuild(root).then(
      () => '',
      (error) => error.message,
    )
    assert.match(failure, previous.name)
    assert.match(failure, previous.commit)
    assert.match(failure, 'git fetch --unshallow')
    assert.equal(readdirSync(join(root, '.servers', 'builds')), [])
  } finally {
    removeFolder(root)
  }
})

test.run()
