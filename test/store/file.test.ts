import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openFileStore } from '../../src/store/file.ts'
import type { Store } from '../../src/store/store.ts'
import { storeContract } from '../contract/store.ts'

storeContract(
  'file',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'store-'))
    const openMissing = async () => {
      const gone = join(folder, 'gone')
      const store = await openFileStore(gone)
      await rm(gone, { recursive: true })
      return store
    }
    return {
      store: await openFileStore(folder),
      openAgain: () => openFileStore(folder),
      openMissing,
      openDenied: null,
      close: () => rm(folder, { recursive: true }),
    }
  },
  { can: { longSegments: 'refused for good', keysBelowKeys: false } },
)

const test = suite('file store')
const timeoutMs = 10_000
let folder: string
let store: Store

test.before.each(async () => {
  folder = await mkdtemp(join(tmpdir(), 'store-'))
  store = await openFileStore(folder)
})

test.after.each(async () => {
  await store.close()
  await rm(folder, { recursive: true })
})

test('a key is a path, so that stock tools read and write the folder', async () => {
  await store.create('projects/a%2Fb/log/1.bundle', Buffer.from('x'), { timeoutMs })
  assert.is(await readFile(join(folder, 'projects/a%2Fb/log/1.bundle'), 'utf8'), 'x')
  await writeFile(join(folder, 'projects/a%2Fb/log/2.bundle'), 'y')
  const page = await store.list({ prefix: 'projects/', timeoutMs })
  assert.is(page.objects.at(-1)?.key, 'projects/a%2Fb/log/2.bundle')
})

test('of several processes on one folder exactly one creates a key', async () => {
  const creators = await Promise.all([1, 2, 3, 4].map(() => startCreator(100, 3_000)))
  const won = await Promise.all(creators.map((creator) => creator.run()))
  const slots = won.flat().sort((a, b) => a - b)
  assert.equal(
    slots,
    Array.from({ length: 100 }, (_, i) => i),
  )
})

test('a process killed midway leaves whole objects only, and none of its temporaries is listed', async () => {
  const sizeBytes = 1_000_000
  const creator = await startCreator(200, sizeBytes)
  const gone = creator.run().catch(() => null)
  await until(async () => (await keys('slots/')).length > 2)
  creator.kill()
  await gone
  const left = await store.list({ prefix: '', timeoutMs })
  assert.ok(left.objects.length > 2)
  for (const { key, sizeBytes: size } of left.objects) {
    assert.match(key, /^slots\//)
    assert.is(size, sizeBytes)
  }
})

test('temporary files are removed when a call ends, and old ones of dead processes at start', async () => {
  await store.create('a', Buffer.from('x'), { timeoutMs })
  await store.create('a', Buffer.from('x'), { timeoutMs })
  await store.put('a', Buffer.from('x'), { timeoutMs })
  assert.equal(await readdir(join(folder, '.tmp')), [])
  await writeFile(join(folder, '.tmp/old'), 'x')
  await utimes(join(folder, '.tmp/old'), 1, 1)
  await writeFile(join(folder, '.tmp/young'), 'x')
  await (await openFileStore(folder)).close()
  assert.equal(await readdir(join(folder, '.tmp')), ['young'])
})

test('the folder of temporary files holds no keys', async () => {
  const error = await store.create('.tmp/a', Buffer.from('x'), { timeoutMs }).catch((e) => e)
  assert.equal([error.reason, error.definite], ['InvalidKey', true])
})

test('a folder where a key should be is an error, never a taken key', async () => {
  await mkdir(join(folder, 'slot'))
  const error = await store.create('slot', Buffer.from('x'), { timeoutMs }).catch((e) => e)
  assert.equal([error.reason, error.definite], ['EEXIST', true])
  assert.is(await store.get('slot', { timeoutMs }), null)
})

test('a folder that was replaced under the store is an error, not absence', async () => {
  await store.create('a', Buffer.from('x'), { timeoutMs })
  await rename(folder, `${folder}-moved`)
  await mkdir(join(folder, '.tmp'), { recursive: true })
  const error = await store.get('a', { timeoutMs }).catch((e) => e)
  assert.is(error.reason, 'FolderReplaced')
  const other = await store.create('b/c', Buffer.from('x'), { timeoutMs }).catch((e) => e)
  assert.equal([other.reason, other.definite], ['FolderReplaced', true])
  await rm(`${folder}-moved`, { recursive: true })
})

test('a file system that takes Foo and foo for one name is refused at start', async () => {
  const exists = (path: string) => existsSync(join(dirname(path), basename(path).toLowerCase()))
  const error = await openFileStore(folder, { exists }).catch((e) => e)
  assert.is(error.reason, 'CaseInsensitive')
})

test('a file that gets no folder is an error that names it', async () => {
  await writeFile(join(folder, 'file'), 'x')
  const error = await openFileStore(join(folder, 'file')).catch((e) => e)
  assert.match(error.message, join(folder, 'file'))
})

test('files written in one instant with one length differ in their ETags', async () => {
  const etags = new Set<string>()
  for (let round = 0; round < 20; round++) {
    const pages = Array.from({ length: 20 }, (_, i) =>
      store.put(`put/${i}`, Buffer.from('same'), { timeoutMs }),
    )
    for (const { etag } of await Promise.all(pages)) etags.add(etag)
  }
  assert.is(etags.size, 400)
})

test.run()

async function keys(prefix: string): Promise<string[]> {
  const page = await store.list({ prefix, timeoutMs })
  return page.objects.map(({ key }) => key)
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 2))
}

async function startCreator(slots: number, bodyBytes: number) {
  const program = fileURLToPath(new URL('./file-creator.js', import.meta.url))
  const child = spawn(process.execPath, [program, folder, `${slots}`, `${bodyBytes}`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const [ready] = await once(child.stdout, 'data')
  assert.is(String(ready), 'ready\n')
  const run = async (): Promise<number[]> => {
    let output = ''
    child.stdout.on('data', (data) => {
      output += data
    })
    child.stdin.end('go\n')
    await once(child, 'close')
    return JSON.parse(output)
  }
  return { run, kill: () => child.kill('SIGKILL') }
}
