import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { encodeBundle, parseBundle } from '../../src/git/bundle.ts'
import { encodeCommit, encodeTree, type Oid } from '../../src/git/objects.ts'
import { encodePack, packObject, parsePack } from '../../src/git/pack.ts'
import { hasGit, stockGit } from './stock-git.ts'

const by = { name: 'Anna', email: 'anna@example.org', seconds: 1_795_300_000 }
const file = packObject('blob', Buffer.from('name: sockshop\n'))
const tree = packObject('tree', encodeTree([['metadata.yaml', { mode: '100644', oid: file.oid }]]))
const commit = packObject(
  'commit',
  encodeCommit({ tree: tree.oid, parents: [], author: by, committer: by, message: 'Create\n' }),
)
const transaction = packObject('blob', Buffer.from('{"version":0}\n'))
const refs = new Map<string, Oid>([
  ['refs/meta/transaction', transaction.oid],
  ['refs/heads/main', commit.oid],
])
const pack = encodePack([file, tree, commit, transaction])
const entry = encodeBundle({ prerequisites: [], refs, defaultBranch: 'main', pack })

const test = suite('bundle')

test('a bundle is read as it was written', () => {
  const bundle = parseBundle(entry)
  assert.equal(bundle.prerequisites, [])
  assert.equal(bundle.head, commit.oid)
  assert.equal(
    [...bundle.refs],
    [
      ['refs/heads/main', commit.oid],
      ['refs/meta/transaction', transaction.oid],
    ],
  )
  const objects = parsePack(entry.subarray(bundle.packOffset))
  assert.equal(
    objects.map((object) => object.oid),
    [file.oid, tree.oid, commit.oid, transaction.oid],
  )
})

if (hasGit) {
  test('stock git fetches a bundle and finds nothing wrong with what came', () => {
    const git = stockGit()
    try {
      writeFileSync(join(git.dir, 'entry.bundle'), entry)
      git.run(['fetch', '--quiet', '--prune', '--update-head-ok', 'entry.bundle', '+refs/*:refs/*'])
      git.run(['fsck', '--strict'])
      assert.is(git.text(['rev-parse', 'main']), commit.oid)
      assert.is(git.text(['show', 'main:metadata.yaml']), 'name: sockshop')
    } finally {
      git.remove()
    }
  })
}

test.run()
