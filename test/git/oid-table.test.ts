import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Oid } from '../../src/git/objects.ts'
import { createOidTable } from '../../src/git/oid-table.ts'

const test = suite('which packs may hold an object')

/** Names of which many begin alike, as those of millions of objects would. */
const oids = fc
  .tuple(fc.constantFrom('00000000', 'ffffffff', '000000ff', '0000ff00'), fc.nat(0xffff))
  .chain(([begin, rest]) =>
    fc.boolean().map((isAlike) => {
      const first = isAlike ? begin : rest.toString(16).padStart(8, '0')
      return (first + rest.toString(16).padStart(32, 'a')) as Oid
    }),
  )

test('every pack that was added with an object is told, in order, whatever else was added', () => {
  fc.assert(
    fc.property(fc.array(fc.array(oids, { maxLength: 200 }), { maxLength: 40 }), (packs) => {
      const table = createOidTable()
      packs.forEach((of, pack) => void table.add(of, pack))
      packs.forEach((of, pack) => {
        for (const oid of of) {
          const told = [...table.packsOf(oid)]
          assert.ok(told.includes(pack), `${oid} is in pack ${pack}, told ${told}`)
          assert.equal(
            told,
            [...told].sort((a, b) => a - b),
          )
        }
      })
    }),
    { numRuns: 200 },
  )
})

test('only names that begin alike are told as candidates', () => {
  const table = createOidTable()
  table.add(['12345678'.padEnd(40, '0') as Oid], 3)
  assert.equal([...table.packsOf('12345678'.padEnd(40, 'f') as Oid)], [3])
  assert.equal([...table.packsOf('12345679'.padEnd(40, '0') as Oid)], [])
})

test.run()
