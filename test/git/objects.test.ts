import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import git from 'isomorphic-git'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Commit,
  emptyTreeOid,
  encodeCommit,
  encodeTree,
  hashObject,
  type Oid,
  parseCommit,
  parseOid,
  parseTree,
  type TreeEntry,
} from '../../src/git/objects.ts'
import { encodePack, packObject } from '../../src/git/pack.ts'
import { requireServers } from '../support/programs.ts'
import { anyCommit, anyEntries, anyOid } from './arbitrary.ts'
import { stockGit } from './stock-git.ts'

const test = suite('objects')
const oid = 'ce013625030ba8dba906f756967f9e9ca394464a' as Oid

test('a name of an object is 40 lower-case hex digits and nothing else', () => {
  assert.is(parseOid(oid), oid)
  for (const text of [
    '',
    oid.slice(1),
    `${oid}0`,
    oid.toUpperCase(),
    `${oid}\n`,
    `g${oid.slice(1)}`,
  ]) {
    assert.is(parseOid(text), null)
  }
})

test('the empty tree has the name that Git gives it', () => {
  assert.is(hashObject('tree', encodeTree([])), emptyTreeOid)
})

test('a tree is read as it was written, whatever the order, and once more to the same bytes', () => {
  fc.assert(
    fc.property(anyEntries(), fc.integer(), (entries, turn) => {
      const content = encodeTree(entries)
      const cut = entries.length === 0 ? 0 : Math.abs(turn) % entries.length
      assert.ok(encodeTree([...entries.slice(cut), ...entries.slice(0, cut)]).equals(content))
      const tree = parseTree(content)
      assert.equal(new Map([...tree].sort()), new Map([...entries].sort()))
      assert.ok(encodeTree(tree).equals(content))
    }),
  )
})

test('a name of any bytes survives a rewrite', () => {
  const anyName = fc
    .uint8Array({ minLength: 1, maxLength: 12 })
    .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0xc3 : byte))))
  fc.assert(
    fc.property(anyName, (name) => {
      const raw = Buffer.from(`100644 ${name.toString('latin1')}\0${'x'.repeat(20)}`, 'latin1')
      assert.ok(encodeTree(parseTree(raw)).equals(raw))
    }),
    { numRuns: 500 },
  )
})

test('names that differ in bytes differ as strings', () => {
  const names = ['\xff', '\xc3\xbf', '\xc3', '\xed\xb3\xbf', '\xf0\x9f\x98', '\xf0\x9f\x98\x80']
  const read = names.map((name) => [
    ...parseTree(Buffer.from(`100644 ${name}\0${'x'.repeat(20)}`, 'latin1')).keys(),
  ])
  assert.is(new Set(read.flat()).size, names.length)
})

test('a tree refuses names and modes that no tree holds', () => {
  const entry: TreeEntry = { mode: '100644', oid }
  for (const name of ['', 'a/b', 'a\0b', '\ud800']) {
    assert.throws(
      () => encodeTree([[name, entry]]),
      (error: unknown) => error instanceof RangeError,
    )
  }
  assert.throws(() => encodeTree([['a', { mode: '40000', oid }]]), /file mode/)
  const twice: [string, TreeEntry][] = [
    ['a', entry],
    ['b', entry],
    ['a', { mode: '040000', oid }],
  ]
  assert.throws(() => encodeTree(twice), /twice/)
})

test('bytes that are no tree are refused wherever they are cut', () => {
  const content = encodeTree([['a.yaml', { mode: '100644', oid }]])
  for (let length = 1; length < content.length; length++) {
    assert.throws(() => parseTree(content.subarray(0, length)), /a tree/)
  }
})

test('what would break a commit is left out of names and messages', () => {
  const by = { name: ' <A\nB\u2028\0> ', email: 'a\r\n<b>', seconds: 7 }
  const commit: Commit = {
    tree: emptyTreeOid,
    parents: [],
    author: by,
    committer: { name: '', email: '', seconds: 0 },
    message: 'a\0b',
  }
  const read = parseCommit(encodeCommit(commit))
  assert.equal(read.author, { name: 'AB', email: 'ab', seconds: 7 })
  assert.equal(read.committer, { name: '', email: '', seconds: 0 })
  assert.is(read.message, 'ab')
})

test('a commit is read as it was written', () => {
  fc.assert(
    fc.property(anyCommit(anyOid(), anyOid()), (commit) => {
      assert.equal(parseCommit(encodeCommit(commit)), commit)
    }),
  )
})

test('a commit at no whole second is refused', () => {
  const by = { name: 'A', email: 'a@b', seconds: 1.5 }
  const commit = { tree: emptyTreeOid, parents: [], author: by, committer: by, message: '' }
  assert.throws(() => encodeCommit(commit), /no time/)
  assert.throws(() => encodeCommit({ ...commit, author: { ...by, seconds: -1 } }), /no time/)
})

test('what is no commit is refused', () => {
  const sound = encodeCommit({
    tree: emptyTreeOid,
    parents: [oid],
    author: { name: 'A', email: 'a@b', seconds: 1 },
    committer: { name: 'A', email: 'a@b', seconds: 1 },
    message: 'm',
  }).toString()
  for (const text of [
    '',
    sound.replace('tree ', 'tre '),
    sound.replace(oid, oid.slice(1)),
    sound.replace('author', 'auth'),
    sound.replace('committer', 'c'),
  ]) {
    assert.throws(() => parseCommit(Buffer.from(text)), /a commit/)
  }
})

if (requireServers('objects refereed by stock git', 'git')) {
  test('stock git names the same trees', () => {
    const repository = stockGit()
    try {
      const checked = fc.array(anyEntries(), { minLength: 20, maxLength: 20 })
      fc.assert(
        fc.property(checked, (trees) => {
          const rows = trees.map((entries) =>
            entries.map(([name, entry]) => mktreeRow(name, entry)),
          )
          const input = Buffer.concat(rows.flatMap((row) => [...row, Buffer.from('\0')]))
          const names = repository.text(['mktree', '-z', '--missing', '--batch'], input).split('\n')
          assert.equal(
            names,
            trees.map((entries) => hashObject('tree', encodeTree(entries))),
          )
        }),
        { numRuns: 15 },
      )
    } finally {
      repository.remove()
    }
  })

  test('stock git and isomorphic-git read our trees and commits as we meant them', async () => {
    const repository = stockGit()
    try {
      const blob = packObject('blob', Buffer.from('hello\n'))
      const folder = packObject('tree', encodeTree([]))
      const sound = anyEntries({ blob: blob.oid, tree: folder.oid })
      const sample = fc.sample(fc.tuple(sound, anyCommit()), 60)
      const trees = sample.map(([entries]) => packObject('tree', encodeTree(entries)))
      const commits: Commit[] = []
      const packed = sample.map(([, commit], index) => {
        const parents = [...new Set([index - 1, index >> 1])].filter((at) => at >= 0 && at < index)
        const made = {
          ...commit,
          tree: trees[index]?.oid ?? emptyTreeOid,
          parents: parents.map((at) => hashObject('commit', encodeCommit(commits[at] as Commit))),
        }
        commits.push(made)
        return packObject('commit', encodeCommit(made))
      })
      const unique = new Map([blob, folder, ...trees, ...packed].map((one) => [one.oid, one]))
      writeFileSync(join(repository.dir, 'all.pack'), encodePack([...unique.values()]))
      const name = repository.text(['index-pack', '--strict', 'all.pack']).slice(0, 40)
      writeFileSync(
        join(repository.dir, `objects/pack/pack-${name}.pack`),
        encodePack([...unique.values()]),
      )
      repository.run(['index-pack', `objects/pack/pack-${name}.pack`])
      repository.run(['update-ref', 'refs/heads/main', packed.at(-1)?.oid as string])
      repository.run(['fsck', '--strict'])
      const fs = await import('node:fs')
      const cache = {}
      for (const [index, commit] of commits.entries()) {
        const id = packed[index]?.oid as string
        const read = await git.readCommit({ fs, gitdir: repository.dir, oid: id, cache })
        assert.equal(
          [read.commit.tree, read.commit.parent, read.commit.author.name, read.commit.author.email],
          [commit.tree, commit.parents, commit.author.name, commit.author.email],
        )
        assert.is(read.commit.committer.timestamp, commit.committer.seconds)
        const tree = await git.readTree({ fs, gitdir: repository.dir, oid: commit.tree, cache })
        assert.equal(
          new Map(tree.tree.map((row) => [row.path, row.mode + row.oid])),
          new Map((sample[index]?.[0] ?? []).map(([path, row]) => [path, row.mode + row.oid])),
        )
        const content = repository.run(['cat-file', 'commit', id])
        assert.equal(parseCommit(content), commit)
      }
    } finally {
      repository.remove()
    }
  })

  test('commits that others wrote are read as stock git reads them', () => {
    const repository = stockGit()
    const head = `tree ${emptyTreeOid}\nparent ${oid}\n`
    const signed =
      'gpgsig -----BEGIN PGP SIGNATURE-----\n \n author no <no@no> 9 +0000\n -----END\n'
    const tagged = `mergetag object ${oid}\n type commit\n tag v1\n tagger T <t@t> 5 +0000\n \n encoding x\n`
    const by = (zone: string) => `author J\xf6rg <j@\xe4> 1700000000 ${zone}\n`
    const committer = 'committer  <> 1700000001 -0330\n'
    const rows: Buffer[] = [
      Buffer.from(
        `${head}${by('+0530')}${committer}encoding ISO-8859-1\n\ngr\xfc\xdfe\n`,
        'latin1',
      ),
      Buffer.from(`${head}${by('-1100')}${committer}${signed}\nsubject\n\nbody\n\n\n`, 'utf8'),
      Buffer.from(`${head}${by('+0000')}${committer}${tagged}${signed}HG:extra x\n\nm`, 'utf8'),
      Buffer.from(`tree ${emptyTreeOid}\n${by('+0000')}${committer}\n`, 'utf8'),
      Buffer.from(`${head}${by('+0000')}${committer}encoding no-such\n\n\u00e9\n`, 'utf8'),
    ]
    try {
      for (const row of rows) {
        const id = repository.text(['hash-object', '-t', 'commit', '-w', '--stdin'], row)
        const format = '--format=%T%x01%P%x01%an%x01%ae%x01%at%x01%cn%x01%ce%x01%ct'
        const said = repository.text(['log', '-1', '--no-walk', '--encoding=UTF-8', format, id])
        const read = parseCommit(row)
        const { author, committer: writer } = read
        const ours = [
          ...[read.tree, read.parents.join(' '), author.name, author.email, author.seconds],
          ...[writer.name, writer.email, writer.seconds],
        ]
        assert.is(ours.join('\x01'), said)
        const body = repository.run([
          'log',
          '-1',
          '--no-walk',
          '--encoding=UTF-8',
          '--format=%B',
          id,
        ])
        assert.is(body.toString().trimEnd(), read.message.trimEnd())
      }
    } finally {
      repository.remove()
    }
  })
}

function mktreeRow(name: string, entry: TreeEntry): Buffer {
  const type = { '040000': 'tree', '160000': 'commit' }[entry.mode] ?? 'blob'
  return Buffer.from(`${entry.mode} ${type} ${entry.oid}\t${name}\0`)
}

test.run()
