import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parseBundle } from '../../src/git/bundle.ts'
import { hashObject, type Oid } from '../../src/git/objects.ts'
import { parsePack } from '../../src/git/pack.ts'
import { decodeEntry, encodeEntry, encodeTransaction } from '../../src/repository/entry.ts'
import { projectKeys } from '../../src/repository/keys.ts'
import type { Draft, ProjectName, View } from '../../src/repository/repository.ts'
import { acceptRestore } from '../../src/repository/restore.ts'
import type { Store, StoredObject } from '../../src/store/store.ts'
import { systemClock, systemRandomness } from '../../src/system-clock.ts'
import { type Expected, sha256 } from '../git/golden-log.ts'
import { finish, list, replay } from '../git/replay.ts'
import { stockGit } from '../git/stock-git.ts'
import { repositoryRoot, requireServers } from '../support/programs.ts'
import { type Bench, openBench, projectName } from '../support/repositories.ts'
import { request } from '../support/requests.ts'

const test = suite<{ bench: Bench }>('golden entries in the repository')
const folder = join(repositoryRoot, 'test/fixtures/entries')
const soon = { timeoutMs: 10_000 }

test.before.each(async (context) => {
  context.bench = await openBench()
})
test.after.each(async ({ bench }) => {
  await bench.close()
})

for (const name of ['sockshop', 'imported', 'accepted', 'followed']) {
  const project = projectName(name)
  const path = join(folder, name)
  const expected = JSON.parse(readFileSync(join(path, 'expected.json'), 'utf8')) as Expected[]

  test(`${name}: an entry that was read is written again as it was`, () => {
    for (const [at, file] of list(join(path, 'log')).entries()) {
      const bytes = readFileSync(file)
      const entry = decodeEntry(at + 1, bytes)
      const { prerequisites } = parseBundle(bytes)
      const again = encodeEntry({ ...entry, prerequisites })
      // Another zlib may deflate the transaction to other bytes; nothing else is deflated again.
      const [left, right] = [partsOf(bytes), partsOf(again.bytes)]
      assert.equal(right, left)
      const transaction = encodeTransaction(entry.transaction).toString()
      assert.is(transaction, left.transaction)
    }
  })

  test(`${name}: every state of a golden log is served`, async ({ bench }) => {
    await putPacks(bench.store, project, path)
    for (const [at, file] of list(join(path, 'log')).entries()) {
      await put(bench.store, `projects/${project}/log/${basename(file)}`, file)
      for (const repositories of [bench.repositories, bench.another()]) {
        const { value } = await repositories.read(project, stateOf, soon)
        assert.equal(value, servedState(expected[at] as Expected))
      }
    }
  })
}

test('a log of golden entries goes on, and its keys are still bound', async ({ bench }) => {
  const project = projectName('sockshop')
  await putPacks(bench.store, project, join(folder, project))
  for (const file of list(join(folder, project, 'log'))) {
    await put(bench.store, `projects/${project}/log/${basename(file)}`, file)
  }
  const { repositories } = bench
  const transaction = decodeEntry(3, golden(project, 3)).transaction
  const first = transaction.requests[0]?.outcome
  const key = (text: string, digest = `request ${text}`) => ({ key: text, digest: sha256(digest) })
  const keyed = async (text: string, digest?: string) =>
    repositories.write(project, request(putOnTrunk, { idempotency: key(text, digest) }))
  assert.equal(await keyed('order-1'), first)
  assert.is((await keyed('order-2')).status, 404)
  assert.is((await keyed('order-1', 'another request')).status, 422)
  const outcome = await keyed('order-4')
  const { value } = await repositories.read(project, stateOf, soon)
  assert.equal([value.seq, value.refs['refs/heads/trunk']], [10, outcome.commit])
  if (requireServers('a golden log that goes on, replayed by stock git', 'git')) {
    const git = stockGit()
    try {
      replay(git, join(bench.folder, 'store/projects', project))
      finish(git, 'trunk')
      assert.is(git.text(['show', 'trunk:new.yaml']), 'new: true')
      assert.is(git.text(['rev-parse', 'trunk']), outcome.commit)
    } finally {
      git.remove()
    }
  }
})

test('what takes the slot of an entry that was given up is what it is, whoever makes it', async ({
  bench,
}) => {
  const project = projectName('accepted')
  const path = join(folder, project)
  for (const file of list(join(path, 'log')).slice(0, 8)) {
    await put(bench.store, `projects/${project}/log/${basename(file)}`, file)
  }
  const [aside = ''] = readdirSync(join(path, 'set-aside'))
  const stray = readFileSync(join(path, 'set-aside', aside))
  const keys = projectKeys(project)
  await bench.store.create(keys.entry(9), stray, soon)
  const accepting = { store: bench.store, keys, clock: systemClock, random: systemRandomness }
  const limits = { build: '9.9.9', applied: 9, format: 2 }
  const { intact, acceptedUpTo } = await acceptRestore({ ...accepting, ...limits })
  assert.equal([intact, acceptedUpTo], [8, 10])
  const made = await bench.store.get(keys.entry(9), soon)
  assert.equal(partsOf((made as StoredObject).body), partsOf(golden(project, 9)))
  const kept = await bench.store.get(`projects/${project}/set-aside/${aside}`, soon)
  assert.ok((kept as StoredObject).body.equals(stray))
})

async function putOnTrunk(draft: Draft) {
  const tip = draft.refs.get('refs/heads/trunk') as Oid
  const { tree } = await draft.readCommit(tip)
  const entries = new Map(await draft.readTree(tree))
  entries.set('new.yaml', { mode: '100644', oid: draft.writeBlob(Buffer.from('new: true\n')) })
  const message = 'put new.yaml'
  return { status: 200, commit: draft.commit('trunk', { tree: draft.writeTree(entries), message }) }
}

/** Everything that an entry says, the deflated bytes left out. */
function partsOf(bytes: Buffer) {
  const bundle = parseBundle(bytes)
  const objects = parsePack(bytes.subarray(bundle.packOffset))
  const transaction = bundle.refs.get('refs/meta/transaction')
  return {
    header: bytes.toString('latin1', 0, bundle.packOffset),
    objects: objects.map(({ type, oid }) => `${type} ${oid}`),
    transaction: objects.find(({ oid }) => oid === transaction)?.content.toString(),
  }
}

async function stateOf(view: View) {
  const { seq, exists, defaultBranch } = view
  const heads = [...view.refs].filter(([name]) => name.startsWith('refs/heads/'))
  const files: Expected['files'] = {}
  for (const [, oid] of heads) {
    files[oid] ??= await filesOf(view, (await view.readCommit(oid)).tree, '')
  }
  return { seq, exists, defaultBranch, refs: Object.fromEntries(view.refs), files }
}

/** Files by path, each blob read and named anew. */
async function filesOf(view: View, tree: Oid, prefix: string): Promise<Record<string, Oid>> {
  const files: Record<string, Oid> = {}
  for (const [name, entry] of await view.readTree(tree)) {
    const path = `${prefix}${name}`
    if (entry.mode === '040000') Object.assign(files, await filesOf(view, entry.oid, `${path}/`))
    else files[path] = hashObject('blob', await view.readBlob(entry.oid))
  }
  return files
}

function servedState({ seq, defaultBranch, refs, files }: Expected) {
  const { 'refs/meta/transaction': _, ...others } = refs
  return { seq, exists: `refs/heads/${defaultBranch}` in refs, defaultBranch, refs: others, files }
}

function golden(project: ProjectName, seq: number): Buffer {
  return readFileSync(join(folder, project, 'log', `${String(seq).padStart(20, '0')}.bundle`))
}

async function putPacks(store: Store, project: ProjectName, path: string): Promise<void> {
  const packs = join(path, 'packs')
  for (const file of existsSync(packs) ? list(packs) : []) {
    await put(store, `projects/${project}/packs/${basename(file)}`, file)
  }
}

async function put(store: Store, key: string, path: string): Promise<void> {
  await store.create(key, readFileSync(path), { timeoutMs: 5_000 })
}

test.run()
