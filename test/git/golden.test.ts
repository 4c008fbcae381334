import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { encodeBundle, parseBundle } from '../../src/git/bundle.ts'
import { encodePack, packObject, parsePack } from '../../src/git/pack.ts'
import { parseEntry } from '../simulation/bundles.ts'
import { repositoryRoot, requireServers } from '../support/programs.ts'
import { type Expected, sha256 } from './golden-log.ts'
import { finish, list, replay } from './replay.ts'
import { type StockGit, stockGit } from './stock-git.ts'

const test = suite('golden entries')
const folder = join(repositoryRoot, 'test/fixtures/entries')

for (const [project, version] of [
  ['sockshop', 0],
  ['imported', 0],
  ['accepted', 1],
  ['followed', 1],
] as const) {
  const entries = list(join(folder, project, 'log'))
  const expected = JSON.parse(
    readFileSync(join(folder, project, 'expected.json'), 'utf8'),
  ) as Expected[]

  test(`${project}: an entry made again of its parts is the same bytes`, () => {
    assert.is(entries.length, expected.length)
    for (const [at, path] of entries.entries()) {
      const bytes = readFileSync(path)
      const bundle = parseBundle(bytes)
      assert.equal(Object.fromEntries(bundle.refs), sorted(expected[at]?.refs ?? {}))
      assert.equal(parseEntry(bytes).prerequisites, bundle.prerequisites, 'a second reader')
      const objects = parsePack(bytes.subarray(bundle.packOffset))
      const pack = encodePack(objects.map((one) => ({ ...one, sizeBytes: one.content.length })))
      const defaultBranch = expected[at]?.defaultBranch ?? ''
      assert.ok(encodeBundle({ ...bundle, defaultBranch, pack }).equals(bytes))
      for (const one of objects) assert.is(packObject(one.type, one.content).oid, one.oid)
    }
  })

  test(`${project}: each transaction names its sequence, the entry before it, and its packs`, () => {
    let previous: string | null = null
    for (const [at, path] of entries.entries()) {
      const bytes = readFileSync(path)
      const transaction = transactionOf(bytes)
      assert.is(transaction.seq, at + 1)
      // A `restore` entry that takes a slot is the same, whichever build makes it.
      const isDerived = transaction.build === 'accept-restore'
      assert.is(transaction.version, isDerived ? 0 : version)
      assert.is(transaction.previous, previous)
      for (const pack of transaction.packs) {
        const spilled = readFileSync(join(folder, project, 'packs', pack.name))
        const { indexSha256: _, ...named } = pack
        assert.equal(named, { name: pack.name, bytes: spilled.length, sha256: sha256(spilled) })
      }
      previous = sha256(bytes)
    }
  })

  if (requireServers(`golden entries of ${project} replayed by stock git`, 'git')) {
    test(`${project}: stock git alone rebuilds every state`, () => {
      const git = stockGit()
      let indexes = 0
      try {
        replay(git, join(folder, project), (seq, path) => {
          assert.match(git.text(['bundle', 'verify', path]), /sha1/)
          compare(git, expected[seq - 1] as Expected)
          for (const { name, indexSha256 } of transactionOf(readFileSync(path)).packs) {
            if (indexSha256 === undefined) continue
            const index = `objects/pack/pack-${name.replace(/pack$/, 'idx')}`
            assert.is(sha256(readFileSync(join(git.dir, index))), indexSha256)
            indexes++
          }
        })
        finish(git, expected.at(-1)?.defaultBranch ?? '')
        assert.is(indexes, project === 'followed' ? 1 : 0)
      } finally {
        git.remove()
      }
    })
  }
}

if (requireServers('golden entries cloned by stock git', 'git')) {
  test('stock git clones a first entry that spilled nothing', () => {
    const git = stockGit()
    try {
      git.run([
        'clone',
        '--quiet',
        join(folder, 'sockshop/log/00000000000000000001.bundle'),
        'clone',
      ])
      const text = readFileSync(join(git.dir, 'clone/metadata.yaml'), 'utf8')
      assert.match(text, /^projectName: sockshop$/m)
    } finally {
      git.remove()
    }
  })
}

function compare(git: StockGit, expected: Expected): void {
  const rows = git.text(['for-each-ref', '--format=%(refname) %(objectname)']).split('\n')
  assert.equal(
    rows.sort(),
    Object.entries(expected.refs)
      .map(([name, oid]) => `${name} ${oid}`)
      .sort(),
  )
  for (const [commit, files] of Object.entries(expected.files)) {
    const listed = git.text(['ls-tree', '-r', '-z', commit]).split('\0').filter(Boolean)
    const read = listed.map((row) => [row.slice(53), row.slice(12, 52)])
    assert.equal(Object.fromEntries(read), sorted(files))
  }
}

function transactionOf(bytes: Buffer) {
  const bundle = parseBundle(bytes)
  const oid = bundle.refs.get('refs/meta/transaction')
  const objects = parsePack(bytes.subarray(bundle.packOffset))
  const text = objects.find((one) => one.oid === oid)?.content.toString('utf8') ?? ''
  assert.match(text, /^\{[^\n]*\}\n$/)
  return JSON.parse(text) as {
    version: number
    seq: number
    previous: string | null
    build: string
    packs: { name: string; bytes: number; sha256: string; indexSha256?: string }[]
  }
}

function sorted<T>(record: Record<string, T>): Record<string, T> {
  return Object.fromEntries(
    Object.entries(record).sort(([left], [right]) => (left < right ? -1 : 1)),
  )
}

test.run()
