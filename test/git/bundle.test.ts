import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  encodeBundle,
  parseBundle,
  refListMaxBytes,
  refListSizeBytes,
} from '../../src/git/bundle.ts'
import { encodeCommit, encodeTree, type Oid } from '../../src/git/objects.ts'
import { encodePack, packObject, parsePack } from '../../src/git/pack.ts'
import { requireServers } from '../support/programs.ts'
import { stockGit } from './stock-git.ts'

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

test('the refs of a bundle are sorted bytewise, not as strings compare', () => {
  const names = ['refs/heads/\u{1f600}', 'refs/heads/\uffee', 'refs/heads/a-b', 'refs/heads/a']
  const many = new Map([...names.map((name) => [name, commit.oid] as const), ...refs])
  const read = parseBundle(
    encodeBundle({ prerequisites: [], refs: many, defaultBranch: 'main', pack }),
  )
  assert.equal(
    [...read.refs.keys()],
    [
      ...['refs/heads/a', 'refs/heads/a-b', 'refs/heads/main', 'refs/heads/\uffee'],
      ...['refs/heads/\u{1f600}', 'refs/meta/transaction'],
    ],
  )
})

test('there is a HEAD if and only if the default branch exists', () => {
  const header = (defaultBranch: string) =>
    encodeBundle({ prerequisites: [], refs, defaultBranch, pack }).toString('latin1', 0, 70)
  assert.match(header('main'), `# v2 git bundle\n${commit.oid} HEAD\n`)
  assert.not.match(header('other'), 'HEAD')
})

test('prerequisites come sorted and once', () => {
  const some = [commit.oid, tree.oid, commit.oid]
  const read = parseBundle(encodeBundle({ prerequisites: some, refs, defaultBranch: 'main', pack }))
  assert.equal(read.prerequisites, [commit.oid, tree.oid].sort())
})

test('refs that Git or an entry may not hold are refused before anything is written', () => {
  const write = (...names: string[]) =>
    encodeBundle({
      prerequisites: [],
      refs: new Map([...refs, ...names.map((name) => [name, commit.oid] as const)]),
      defaultBranch: 'main',
      pack,
    })
  assert.throws(() => write('refs/heads/a', 'refs/heads/a/b'), /folder of another/)
  for (const name of ['refs/notes/x', 'refs/heads/', 'refs/heads/a b', 'refs/meta/other', 'HEAD']) {
    assert.throws(() => write(name), /does not name this ref/)
  }
})

test('the list of refs is as long as it is said to be, and no longer than 32 KiB', () => {
  const many = new Map(refs)
  for (let stage = 0; refListSizeBytes(many) <= refListMaxBytes; stage++) {
    const listed = encodeBundle({ prerequisites: [], refs: many, defaultBranch: 'main', pack })
    const header = parseBundle(listed).packOffset - '# v2 git bundle\n\n'.length
    if (stage % 100 === 0) assert.is(refListSizeBytes(many), header)
    many.set(`refs/heads/stage-é-${stage}`, commit.oid)
  }
  const long = encodeBundle({ prerequisites: [], refs: many, defaultBranch: 'main', pack })
  assert.throws(() => parseBundle(long), /longer than 32 KiB/)
})

test('an entry longer than 64 KiB is refused', () => {
  const padded = Buffer.concat([entry, Buffer.alloc(65_536 - entry.length)])
  parseBundle(padded)
  assert.throws(() => parseBundle(Buffer.concat([padded, Buffer.alloc(1)])), /65,536/)
})

test('a header that is not exactly as an entry has it is refused', () => {
  const a = `${'a'.repeat(40)}`
  const b = `${'b'.repeat(40)}`
  const rest = `${b} refs/heads/main\n${a} refs/meta/transaction\n\nPACK`
  const first = '# v2 git bundle\n'
  parseBundle(Buffer.from(`${first}-${a}\n-${b}\n${b} HEAD\n${rest}`))
  const wrong: [string, string, RegExp][] = [
    ['of another version', `# v3 git bundle\n${rest}`, /no bundle of version 2/],
    ['without an empty line', `${first}${rest.replace('\n\n', '\n')}`, /no bundle of version 2/],
    ['without refs', `${first}-${a}\n\nPACK`, /no refs/],
    ['without a transaction', `${first}${b} refs/heads/main\n\nPACK`, /no transaction/],
    ['without a pack', `${first}${rest.replace('PACK', 'KCAP')}`, /no pack/],
    ['with a comment on a prerequisite', `${first}-${a} why\n${rest}`, /no object name/],
    ['with unsorted prerequisites', `${first}-${b}\n-${a}\n${rest}`, /not sorted/],
    ['with a prerequisite twice', `${first}-${a}\n-${a}\n${rest}`, /not sorted/],
    ['with a prerequisite among the refs', `${first}${b} HEAD\n-${a}\n${rest}`, /object name/],
    ['with unsorted refs', `${first}${b} refs/heads/z\n${rest}`, /not sorted/],
    ['with a ref twice', `${first}${b} refs/heads/main\n${rest}`, /not sorted/],
    [
      'with a HEAD that is not the first',
      `${first}${b} HEAD\n${b} HEAD\n${rest}`,
      /this ref: HEAD/,
    ],
    ['with a HEAD at no branch', `${first}${a} HEAD\n${rest}`, /at no branch/],
    ['with a ref of another kind', `${first}${b} refs/aaa\n${rest}`, /does not name this ref/],
    [
      'with a folder of refs',
      `${first}${b} refs/heads/main\n${b} refs/heads/main/b\n${a} refs/meta/transaction\n\nPACK`,
      /folder of another/,
    ],
    ['with an upper-case name', `${first}${b.toUpperCase()} refs/heads/a\n${rest}`, /object name/],
    ['with two spaces', `${first}${b}  refs/heads/a\n${rest}`, /does not name/],
    ['with lines that end as on Windows', `${first}${rest.replaceAll('\n', '\r\n')}`, /bundle/],
  ]
  for (const [what, text, sentence] of wrong) {
    assert.throws(() => parseBundle(Buffer.from(text)), sentence, `a bundle ${what}`)
  }
})

if (requireServers('bundle refereed by stock git', 'git')) {
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
