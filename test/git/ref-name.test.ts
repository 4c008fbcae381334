import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { findRefConflict, isRefName } from '../../src/git/ref-name.ts'
import { requireServers } from '../support/programs.ts'

const test = suite('ref names')

test('names of stages and tags are ref names, and paths that lead elsewhere are none', () => {
  for (const name of [
    'refs/heads/main',
    'refs/heads/dev-1.2',
    'refs/tags/v1',
    'refs/heads/a/b',
    'refs/heads/é',
  ]) {
    assert.ok(isRefName(name), name)
  }
  const bad = ['main', 'refs/', 'refs//a', 'refs/heads/../x', 'refs/heads/.a', 'refs/heads/a.lock']
  const worse = ['refs/heads/a.lock/b', 'refs/heads/a ', 'refs/heads/a~1', 'refs/heads/a@{1}']
  const worst = [
    'refs/heads/a.',
    'refs/heads/',
    'refs/heads/a\x7f',
    'refs/heads/\n',
    'refs/a\ud800',
  ]
  for (const name of [...bad, ...worse, ...worst]) assert.not(isRefName(name), name)
})

test('a ref that is the folder of another is found, however far apart they sort', () => {
  const conflict = (...names: string[]) => findRefConflict(new Map(names.map((name) => [name, 1])))
  assert.is(conflict('refs/heads/a/b/c', 'refs/heads/a-b', 'refs/heads/a'), 'refs/heads/a')
  assert.is(conflict('refs/heads/a', 'refs/heads/ab', 'refs/heads/b/a'), null)
})

if (requireServers('ref-name refereed by stock git', 'git')) {
  test('stock git agrees on what a ref name is', () => {
    const part = fc.constantFrom(
      ...['a', 'B', '.', '..', '/', '//', '@', '{', '@{', '.lock', 'lock', '~', '^', ':', '?', '*'],
      ...['[', ']', '\\', ' ', '-', '\x7f', '\x01', '\t', 'é', '😀', '"', "'", '%', '+', ','],
    )
    const names = fc
      .array(part, { minLength: 1, maxLength: 5 })
      .map((parts) => `refs/${parts.join('')}`)
    fc.assert(
      fc.property(names, (name) => {
        const { status } = spawnSync('git', ['check-ref-format', name])
        assert.is(isRefName(name), status === 0)
      }),
      { numRuns: 300 },
    )
  })
}

test.run()
