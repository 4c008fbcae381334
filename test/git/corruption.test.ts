import { createHash } from 'node:crypto'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { encodeBundle, parseBundle } from '../../src/git/bundle.ts'
import { hashObject, type Oid } from '../../src/git/objects.ts'
import { encodePack, packObject, parsePack } from '../../src/git/pack.ts'
import { indexPack, parseIndex, readPacked } from '../../src/git/pack-index.ts'
import { requireServers } from '../support/programs.ts'
import { deltaPack } from './delta-packs.ts'
import { stockGit } from './stock-git.ts'

const test = suite('corruption')
const objects = ['a', 'bb', 'x'.repeat(300)].map((text) => packObject('blob', Buffer.from(text)))
const pack = encodePack(objects)

/** Every byte once: one bit turned, and another value; and every shorter prefix. */
function* damaged(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at++) {
    for (const mask of [1, 0x80, 0xff]) {
      const copy = Buffer.from(bytes)
      copy[at] = (copy[at] as number) ^ mask
      yield copy
    }
    yield bytes.subarray(0, at)
  }
}

/** The same, the trailer made right again: what a broken or hostile writer would store. */
function* resealed(bytes: Buffer): Generator<Buffer> {
  for (const copy of damaged(bytes.subarray(0, -20))) {
    yield Buffer.concat([copy, createHash('sha1').update(copy).digest()])
  }
}

test('a damaged pack is refused', async () => {
  for (const bytes of damaged(pack)) {
    assert.throws(() => parsePack(bytes))
    await indexPack(bytes).then(
      () => assert.unreachable('a damaged pack was indexed'),
      () => undefined,
    )
  }
})

test('a damaged pack with a right checksum never gives an object a wrong name', () => {
  for (const bytes of resealed(pack)) {
    const read = attempt(() => parsePack(bytes))
    for (const one of read ?? []) assert.is(hashObject(one.type, one.content), one.oid)
  }
})

test('a damaged index is refused', async () => {
  const idx = await indexPack(pack)
  for (const bytes of damaged(idx)) assert.throws(() => parseIndex(bytes, pack.length))
})

test('a damaged index with a right checksum never leads to a wrong object', async () => {
  const idx = await indexPack(pack)
  for (const bytes of resealed(idx)) {
    const index = attempt(() => parseIndex(bytes, pack.length))
    if (index === null) continue
    for (const { oid } of objects) {
      const read = async (start: number, end: number) => pack.subarray(start, end)
      const object = await readPacked(oid, index, read).catch(() => null)
      if (object !== null) assert.is(hashObject(object.type, object.content), oid)
    }
  }
})

if (requireServers('corruption refereed by stock git', 'git')) {
  test('damaged deltas never make a wrong object', async () => {
    const git = stockGit()
    try {
      const bytes = deltaPack(git)
      const index = parseIndex(await indexPack(bytes), bytes.length)
      const oid = deepest(git, bytes)
      const right = await readPacked(oid, index, async (start, end) => bytes.subarray(start, end))
      const ranges: [number, number][] = []
      await readPacked(oid, index, async (start, end) => {
        ranges.push([start, end])
        return bytes.subarray(start, end)
      })
      assert.ok(ranges.length > 5)
      for (const [start, end] of ranges.slice(0, 6)) {
        for (const part of damaged(bytes.subarray(start, end))) {
          const read = async (from: number, to: number) =>
            from === start ? part : bytes.subarray(from, to)
          const object = await readPacked(oid, index, read).catch(() => null)
          if (object !== null) assert.ok(object.content.equals(right.content))
        }
      }
    } finally {
      git.remove()
    }
  })
}

test('a damaged bundle is refused, or says what stands in it', () => {
  const refs = new Map<string, Oid>([
    ['refs/heads/main', objects[0]?.oid as Oid],
    ['refs/meta/transaction', objects[1]?.oid as Oid],
  ])
  const prerequisites = [objects[2]?.oid as Oid]
  const entry = encodeBundle({ prerequisites, refs, defaultBranch: 'main', pack })
  for (const bytes of damaged(entry)) {
    const bundle = attempt(() => parseBundle(bytes))
    if (bundle === null) continue
    const body = bytes.subarray(bundle.packOffset)
    const branch = [...bundle.refs.keys()].find((name) => name.startsWith('refs/heads/'))
    const defaultBranch = bundle.head === null ? '' : (branch ?? '').slice('refs/heads/'.length)
    assert.ok(encodeBundle({ ...bundle, defaultBranch, pack: body }).equals(bytes))
  }
})

/** The object at the end of the longest chain of deltas. */
function deepest(git: ReturnType<typeof stockGit>, bytes: Buffer): Oid {
  git.run(['index-pack', '--stdin', '--keep'], bytes)
  const name = bytes.subarray(-20).toString('hex')
  const lines = git.text(['verify-pack', '-v', `objects/pack/pack-${name}.pack`]).split('\n')
  const rows = lines.map((line) => line.split(/\s+/)).filter((row) => row.length === 7)
  rows.sort((left, right) => Number(right[5]) - Number(left[5]))
  return rows[0]?.[0] as Oid
}

function attempt<T>(work: () => T): T | null {
  try {
    return work()
  } catch {
    return null
  }
}

test.run()
