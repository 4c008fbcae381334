/** Arbitrary objects for property tests. */
import fc from 'fast-check'
import { type Commit, emptyTreeOid, type Oid, type TreeEntry } from '../../src/git/objects.ts'

/** Any name of an object. */
export function anyOid(): fc.Arbitrary<Oid> {
  return fc
    .uint8Array({ minLength: 20, maxLength: 20 })
    .map((bytes) => Buffer.from(bytes).toString('hex') as Oid)
}

/** A name that a tree may hold and `git fsck --strict` passes; near misses in sorting order are common. */
export function anyName(): fc.Arbitrary<string> {
  const character = fc.constantFrom(
    'a',
    'b',
    'A',
    '.',
    '-',
    '0',
    ' ',
    '/',
    'é',
    '\uffee',
    '😀',
    '\t',
  )
  return fc
    .oneof(
      fc.array(character, { minLength: 1, maxLength: 6 }).map((parts) => parts.join('')),
      fc.string({ minLength: 1, maxLength: 20, unit: 'binary' }),
    )
    .map((name) => name.replaceAll('/', '+').replaceAll('\0', '_'))
    .map((name) => (/^\.|git/i.test(name) ? `_${name}_` : name))
    .filter((name) => !/[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff\\]/.test(name))
}

/**
 * Entries of a folder, unsorted, each name once.
 * @param oids what they point to, any objects where left out
 */
export function anyEntries(oids?: { blob: Oid; tree: Oid }): fc.Arbitrary<[string, TreeEntry][]> {
  const modes = oids
    ? ['100644', '100755', '120000', '040000']
    : ['100644', '100755', '120000', '040000', '160000']
  const entry = fc
    .record({ mode: fc.constantFrom(...modes), oid: anyOid() })
    .map(({ mode, oid }) =>
      oids === undefined ? { mode, oid } : { mode, oid: mode === '040000' ? oids.tree : oids.blob },
    )
  return fc.uniqueArray(fc.tuple(anyName(), entry), {
    maxLength: 12,
    selector: ([name]) => name,
  })
}

/** A commit that loses nothing when it is written. */
export function anyCommit(
  tree: fc.Arbitrary<Oid> = fc.constant(emptyTreeOid),
  parent: fc.Arbitrary<Oid> = anyOid(),
): fc.Arbitrary<Commit> {
  const word = fc.string({ maxLength: 12, unit: 'grapheme' }).map((text) =>
    text
      .replaceAll(/[<>\r\n\u2028\u2029]/g, '')
      .replaceAll('\0', '')
      .trim(),
  )
  const seconds = fc.integer({ min: 0, max: 4_000_000_000 })
  const by = fc.record({ name: word, email: word, seconds }, { noNullPrototype: true })
  return fc.record(
    {
      tree,
      parents: fc.array(parent, { maxLength: 3 }),
      author: by,
      committer: by,
      message: fc
        .string({ maxLength: 60, unit: 'grapheme' })
        .map((text) => text.replaceAll('\0', '')),
    },
    { noNullPrototype: true },
  )
}
