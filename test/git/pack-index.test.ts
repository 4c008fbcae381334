import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { hashObject, type Oid } from '../../src/git/objects.ts'
import { encodePack, packObject } from '../../src/git/pack.ts'
import {
  encodeIndex,
  indexEncodedPack,
  indexPack,
  joinPacks,
  parseIndex,
  readPacked,
} from '../../src/git/pack-index.ts'
import { requireServers } from '../support/programs.ts'
import { deltaPack, refDeltaPack } from './delta-packs.ts'
import { type StockGit, stockGit } from './stock-git.ts'

const test = suite('pack index')
const objects = Array.from({ length: 300 }, (_, at) =>
  packObject('blob', Buffer.from(`file ${at}\n`)),
)
const pack = encodePack(objects)

/** Reads ranges of a pack and counts the bytes. */
function counting(bytes: Buffer) {
  const ranges = { sizeBytes: 0, calls: 0 }
  const read = async (start: number, end: number) => {
    ranges.sizeBytes += end - start
    ranges.calls++
    return bytes.subarray(start, end)
  }
  return { read, ranges }
}

test('every object is found and read, and nothing else of the pack is', async () => {
  const index = parseIndex(await indexPack(pack), pack.length)
  assert.is(index.count, 300)
  assert.is(index.packChecksum, pack.subarray(-20).toString('hex'))
  assert.equal([...index.oids()], objects.map((one) => one.oid).sort())
  const { read, ranges } = counting(pack)
  for (const [at, one] of objects.entries()) {
    const object = await readPacked(one.oid, index, read)
    assert.equal([object.type, object.content.toString()], ['blob', `file ${at}\n`])
  }
  assert.equal(ranges, { sizeBytes: pack.length - 32, calls: 300 })
})

test('a pack that was just written has the index that reading it back gives', async () => {
  const mixed = [
    ...objects,
    packObject('blob', Buffer.alloc(300_000, 'a')),
    packObject('tree', Buffer.alloc(0)),
  ]
  const written = encodePack(mixed)
  assert.equal(indexEncodedPack(mixed, written), await indexPack(written))
})

test('packs that overlap are joined into the one that all of their objects make', async () => {
  const parts = [objects.slice(0, 120), objects.slice(100, 101), [], objects.slice(110)]
  const joined = joinPacks(
    parts.map((part) => {
      const written = encodePack(part)
      return { pack: written, index: parseIndex(indexEncodedPack(part, written), written.length) }
    }),
  )
  assert.ok(joined.pack.equals(pack))
  assert.ok(joined.index.equals(await indexPack(pack)))
})

test('what a pack does not hold is not found', async () => {
  const index = parseIndex(await indexPack(pack), pack.length)
  for (const oid of ['0'.repeat(40), 'f'.repeat(40), hashObject('blob', Buffer.from('other'))]) {
    assert.is(index.find(oid as Oid), null)
  }
  assert.is(index.endOf(13), null)
  await readPacked('f'.repeat(40) as Oid, index, counting(pack).read).then(
    () => assert.unreachable(),
    (error: Error) => assert.match(error.message, /does not hold/),
  )
})

test('a pack without objects has an index', async () => {
  const empty = encodePack([])
  const index = parseIndex(await indexPack(empty), empty.length)
  assert.equal([index.count, ...index.oids()], [0])
  assert.is(index.find('0'.repeat(40) as Oid), null)
})

test('offsets beyond 2 GiB are kept in full', () => {
  const offsets = [12, 0x7fff_ffff, 0x8000_0000, 0x1_0000_0000, 0xff_ffff_0000]
  const entries = offsets.map((offset, at) => {
    const oid = hashObject('blob', Buffer.from(`${at}`))
    return { oid, offset, crc32: at }
  })
  const packSizeBytes = 0x100_0000_0000
  const index = parseIndex(encodeIndex(entries, Buffer.alloc(20, 1)), packSizeBytes)
  for (const [at, { oid, offset }] of entries.entries()) {
    assert.equal(index.find(oid), { offset, end: offsets[at + 1] ?? packSizeBytes - 20 })
  }
})

test('an index that points beyond its pack is refused', async () => {
  const idx = await indexPack(pack)
  assert.throws(() => parseIndex(idx, pack.length - 40), /outside its pack/)
  const early = encodeIndex(
    [{ oid: '0'.repeat(40) as Oid, offset: 11, crc32: 0 }],
    Buffer.alloc(20),
  )
  assert.throws(() => parseIndex(early, 100), /outside its pack/)
})

test('bytes that make another object than the one asked for are refused', async () => {
  const [one, two] = objects.map((object) => object.oid)
  const index = parseIndex(await indexPack(pack), pack.length)
  const swapped = { ...index, find: (oid: Oid) => index.find((oid === one ? two : oid) as Oid) }
  await readPacked(one as Oid, swapped, counting(pack).read).then(
    () => assert.unreachable(),
    (error: Error) => assert.match(error.message, /another object/),
  )
})

if (requireServers('pack-index refereed by stock git', 'git')) {
  const kinds = { 'whole objects': () => pack, distances: deltaPack, names: refDeltaPack }
  for (const [kind, make] of Object.entries(kinds)) {
    test(`stock git writes the same index of a pack of ${kind}`, async () => {
      const git = stockGit()
      try {
        const bytes = make(git)
        const idx = await indexPack(bytes)
        assert.ok(idx.equals(indexByGit(git, bytes)))
        await readEverything(git, bytes, idx)
      } finally {
        git.remove()
      }
    })
  }

  test('a pack whose bases are elsewhere is refused', async () => {
    const git = stockGit()
    try {
      const thin = thinPack(git)
      await indexPack(thin).then(
        () => assert.unreachable(),
        (error: Error) => assert.match(error.message, /bases are elsewhere/),
      )
    } finally {
      git.remove()
    }
  })
}

/** Has stock git index a pack and leaves it among the repository's. */
function indexByGit(git: StockGit, bytes: Buffer): Buffer {
  const place = join(git.dir, 'objects/pack/pack-test')
  writeFileSync(`${place}.pack`, bytes)
  git.run(['index-pack', `${place}.pack`])
  git.run(['verify-pack', `${place}.pack`])
  return readFileSync(`${place}.idx`)
}

/** Compares every object with what `git cat-file` says, and counts what was read for it. */
async function readEverything(git: StockGit, bytes: Buffer, idx: Buffer): Promise<void> {
  const index = parseIndex(idx, bytes.length)
  const oids = [...index.oids()]
  let said = git.run(['cat-file', '--batch'], `${oids.join('\n')}\n`)
  for (const oid of oids) {
    const { read, ranges } = counting(bytes)
    const { type, content } = await readPacked(oid, index, read)
    const head = `${oid} ${type} ${content.length}\n`
    assert.is(said.toString('latin1', 0, head.length), head)
    assert.ok(said.subarray(head.length, head.length + content.length).equals(content))
    said = said.subarray(head.length + content.length + 1)
    assert.ok(ranges.calls <= 41 && ranges.sizeBytes < bytes.length)
  }
}

/** A pack that leaves out the bases of its deltas, as a fetch would send it. */
function thinPack(git: StockGit): Buffer {
  deltaPack(git)
  const commits = git.text([
    'cat-file',
    '--batch-all-objects',
    '--batch-check=%(objecttype) %(objectname)',
  ])
  const tips = commits.split('\n').filter((line) => line.startsWith('commit'))
  const withParent = tips.map((line) => line.slice(7)).filter((oid) => hasParent(git, oid))
  const oid = withParent[0] as string
  return git.run(['pack-objects', '--stdout', '--quiet', '--thin', '--revs'], `${oid}\n^${oid}^\n`)
}

function hasParent(git: StockGit, oid: string): boolean {
  return git.text(['cat-file', 'commit', oid]).includes('\nparent ')
}

test.run()
