import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateSync } from 'node:zlib'
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { ObjectType } from '../../src/git/objects.ts'
import { encodePack, packObject, parsePack } from '../../src/git/pack.ts'
import { encodeEntryHeader, parseEntryHeader } from '../../src/git/pack-entry.ts'
import { requireServers } from '../support/programs.ts'
import { deltaPack, refDeltaPack } from './delta-packs.ts'
import { stockGit } from './stock-git.ts'

const test = suite('pack')

test('objects of every size come out as they went in', () => {
  const sizes = [0, 1, 14, 15, 16, 17, 2_047, 2_048, 2_049, 4_096, 65_536, 3_000_000]
  const packed = sizes.map((size) => packObject('blob', pseudoRandom(size)))
  const read = parsePack(encodePack(packed))
  assert.equal(
    read.map((one) => [one.oid, one.content.length]),
    packed.map((one, index) => [one.oid, sizes[index]]),
  )
})

test('a pack made again of what was read from it is the same bytes', () => {
  const anyObject = fc.tuple(
    fc.constantFrom<ObjectType>('commit', 'tree', 'blob', 'tag'),
    fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
  )
  fc.assert(
    fc.property(fc.uniqueArray(anyObject, { selector: String }), (objects) => {
      const pack = encodePack(objects.map(([type, content]) => packObject(type, content)))
      const read = parsePack(pack)
      assert.equal(
        read.map((one) => [one.type, one.content.toString('hex')]),
        objects.map(([type, content]) => [type, content.toString('hex')]),
      )
      const again = read.map((one) => ({ ...one, sizeBytes: one.content.length }))
      assert.ok(encodePack(again).equals(pack))
    }),
  )
})

test('the header of an entry tells types and sizes up to 4 GiB, and none beyond', () => {
  for (const sizeBytes of [0, 15, 16, 2_047, 2_048, 0x7fff_ffff, 0xffff_ffff]) {
    const bytes = encodeEntryHeader('tree', sizeBytes)
    const header = parseEntryHeader(bytes, 0)
    assert.equal([header.type, header.sizeBytes, header.dataAt], ['tree', sizeBytes, bytes.length])
  }
  assert.throws(() => parseEntryHeader(encodeEntryHeader('blob', 2 ** 32), 0), /4 GiB/)
  assert.throws(() => parseEntryHeader(Buffer.from([0x50]), 0), /unknown type/)
})

test('an object that is there twice is refused before anything is written', () => {
  const one = packObject('blob', Buffer.from('a'))
  assert.throws(() => encodePack([one, one]), /twice/)
})

test('a pack is refused when it holds more or less than it says', () => {
  const [one, two] = ['a', 'b'].map((text) => packObject('blob', Buffer.from(text)))
  if (one === undefined || two === undefined) throw new Error('no objects')
  const pack = encodePack([one, two])
  for (const [count, sentence] of [
    [1, /more than it says/],
    [3, /cut off/],
  ] as const) {
    const body = Buffer.from(pack.subarray(0, -20))
    body.writeUInt32BE(count, 8)
    assert.throws(() => parsePack(resealed(body)), sentence)
  }
  assert.throws(() => parsePack(pack.subarray(0, 31)), /cut off/)
})

test('an object that inflates to another size than its header says is refused', () => {
  for (const sizeBytes of [1, 3, 2 ** 31]) {
    const entry = [encodeEntryHeader('blob', sizeBytes), deflateSync(Buffer.from('ab'))]
    const body = Buffer.concat([Buffer.from('PACK\0\0\0\x02\0\0\0\x01', 'latin1'), ...entry])
    assert.throws(() => parsePack(resealed(body)))
  }
})

if (requireServers('pack refereed by stock git', 'git')) {
  test('stock git unpacks our packs and finds the same names', () => {
    const git = stockGit()
    try {
      const packed = [0, 5, 300, 3_000, 200_000].map((size) =>
        packObject('blob', pseudoRandom(size)),
      )
      writeFileSync(join(git.dir, 'a.pack'), encodePack(packed))
      git.run(['index-pack', '--strict', 'a.pack'])
      const lines = git.text(['verify-pack', '-v', 'a.idx']).split('\n')
      for (const one of packed) {
        assert.ok(lines.some((line) => line.startsWith(`${one.oid} blob`)))
      }
    } finally {
      git.remove()
    }
  })

  test('a pack that holds a delta is no pack of an entry', () => {
    const git = stockGit()
    try {
      for (const pack of [deltaPack(git), refDeltaPack(git)]) {
        assert.throws(() => parsePack(pack), /holds a delta/)
      }
    } finally {
      git.remove()
    }
  })
}

function pseudoRandom(size: number): Buffer {
  const bytes = Buffer.alloc(size)
  for (let at = 0, state = size + 1; at < size; at++) {
    state = (state * 1_103_515_245 + 12_345) % 0x8000_0000
    bytes[at] = at % 3 === 0 ? state >> 16 : 97
  }
  return bytes
}

function resealed(body: Buffer): Buffer {
  return Buffer.concat([body, createHash('sha1').update(body).digest()])
}

test.run()
