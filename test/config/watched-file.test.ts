import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { revealTogether, Secret } from '../../src/secret.ts'
import { watchFiles } from '../../src/watched-file.ts'
import { makeFolder, removeFolder, startProcess } from '../support/processes.ts'

const test = suite('files that belong together')

/** Replaces a folder of files as the kubelet does: a new folder, and one link that is swapped. */
const swapping = `
const { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } = require('node:fs')
const folder = process.argv[1]
for (let n = 1; ; n++) {
  mkdirSync(folder + '/' + n)
  for (const name of ['id', 'secret']) writeFileSync(folder + '/' + n + '/' + name, String(n))
  symlinkSync(String(n), folder + '/next')
  renameSync(folder + '/next', folder + '/..data')
  if (n > 100) rmSync(folder + '/' + (n - 100), { recursive: true })
}
`

test('are read of one moment, however fast they are replaced', async () => {
  const folder = makeFolder('swapped')
  mkdirSync(join(folder, '0'))
  for (const name of ['id', 'secret']) writeFileSync(join(folder, '0', name), '0')
  symlinkSync('0', join(folder, '..data'))
  for (const name of ['id', 'secret']) symlinkSync(join('..data', name), join(folder, name))
  const files = ['id', 'secret'].map((name) => ({ path: join(folder, name), parse: String }))
  const child = startProcess(process.execPath, ['-e', swapping, folder])
  try {
    const seen = new Set<string>()
    for (const endMs = performance.now() + 3_000; performance.now() < endMs; ) {
      const [id, secret] = watchFiles({ files, onFailure: () => {} }).current()
      assert.is(id, secret)
      seen.add(String(id))
      // The process that swaps gets its turn on a machine with one core.
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.ok(seen.size > 20, `${seen.size} states were seen`)
  } finally {
    await child.kill()
    removeFolder(folder)
  }
})

test('one that cannot be read keeps all of them as they were, and is named once', async () => {
  const folder = makeFolder('kept')
  try {
    const paths = ['id', 'secret'].map((name) => join(folder, name))
    for (const path of paths) writeFileSync(path, 'first')
    const failed: number[] = []
    const watched = watchFiles({
      files: paths.map((path) => ({ path, parse: String })),
      onFailure: (at) => failed.push(at),
    })
    writeFileSync(`${paths[0]}.new`, 'second')
    renameSync(`${paths[0]}.new`, paths[0] as string)
    rmSync(paths[1] as string)
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    assert.equal(watched.current(), ['first', 'first'])
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    assert.equal(watched.current(), ['first', 'first'])
    assert.equal(failed, [1])
    writeFileSync(paths[1] as string, 'second')
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    assert.equal(watched.current(), ['second', 'second'])
  } finally {
    removeFolder(folder)
  }
})

test('secrets are revealed of one moment though a look falls between them', () => {
  let reveals = 0
  // The second reveal finds that the files were replaced.
  const generation = () => (++reveals >= 2 ? 'new' : 'old')
  const secrets = [new Secret(generation), undefined, new Secret(generation)]
  assert.equal(revealTogether(secrets), ['new', undefined, 'new'])
})

test.run()
