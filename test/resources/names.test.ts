import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateSync } from 'node:zlib'
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isServiceError } from '../../src/errors.ts'
import { parseProjectName, parseServiceName, parseStageName } from '../../src/resources/names.ts'
import { isGitAttributes, parseResourcePath } from '../../src/resources/paths.ts'
import { makeFolder, removeFolder } from '../support/processes.ts'
import { requireServers } from '../support/servers.ts'

const names = suite('names and paths')

function refusalOf(work: () => unknown): string | null {
  try {
    work()
    return null
  } catch (error) {
    assert.ok(isServiceError(error, 'invalid_request'), String(error))
    return (error as Error).message
  }
}

const accepts = (work: () => unknown) => refusalOf(work) === null

names('a path loses its empty and its dot segments, and nothing else', () => {
  const table = {
    'a.yaml': 'a.yaml',
    '/a.yaml': 'a.yaml',
    '//files///x/': 'files/x',
    './a/./b': 'a/b',
    'a..b/x~/...': 'a..b/x~/...',
    'my file+%2F.yaml': 'my file+%2F.yaml',
    'ä/日本/😀.yaml': 'ä/日本/😀.yaml',
    '.gitignore': '.gitignore',
    '.github/x': '.github/x',
    'x.git/y': 'x.git/y',
    '.gitattributes': '.gitattributes',
    'git~10': 'git~10',
  }
  for (const [text, path] of Object.entries(table)) assert.is(parseResourcePath(text), path)
})

names('what could leave its scope, or what Git refuses, is no path', () => {
  const refused = [
    ...['', '/', '.', './', '..', 'a/../b', '../a', 'a/..', '~', '~/a', '~root/a', 'a/~b'],
    ...['a\0b', 'a\\b', '..\\a', '\ud800', 'a/\udfff/b'],
    ...['.git', '.GIT', 'a/.git/config', '.git.', '.git ', '.git . .', 'git~1', 'GIT~1', 'git~1. '],
    ...['.git::$INDEX_ALLOCATION', '.git:x', 'git~1:x', '.g\u200cit', '\ufeff.git', '.gi\u206at'],
    ...['.gitmodules', 'a/.GitModules', '.gitmodules .', 'gitmod~1', 'GI7EBA~1', 'gi7e~123'],
    ...['.gitmodules:x', '.git\u200dmodules', '.gitattributes/x', 'gitatt~1/x', 'gi7d29~1/x'],
  ]
  for (const text of refused) {
    assert.is(
      refusalOf(() => parseResourcePath(text)),
      'invalid resource uri',
      JSON.stringify(text),
    )
  }
})

names('a path has at most 1,024 bytes, a segment 255', () => {
  const long = (bytes: number) =>
    Array.from({ length: 10 }, () => 'x'.repeat(127))
      .join('/')
      .slice(0, bytes)
  assert.ok(accepts(() => parseResourcePath(long(1024))))
  assert.match(refusalOf(() => parseResourcePath(long(1025))) ?? '', 'invalid resource uri: longer')
  assert.ok(accepts(() => parseResourcePath(`a/${'ä'.repeat(127)}b`)))
  assert.match(
    refusalOf(() => parseResourcePath(`a/${'ä'.repeat(128)}`)) ?? '',
    'a segment is longer',
  )
})

names('names are refused in the words of Keptn', () => {
  for (const parse of [parseProjectName, parseStageName, parseServiceName]) {
    assert.is(
      refusalOf(() => parse('')),
      'name must not be empty',
    )
    assert.is(
      refusalOf(() => parse('a b')),
      'name must not contain whitespaces',
    )
    assert.is(
      refusalOf(() => parse('a\tb')),
      'name must not contain whitespaces',
    )
    assert.is(
      refusalOf(() => parse('a/b')),
      "name must not contain '/'",
    )
    assert.is(
      refusalOf(() => parse('..')),
      "name must not be '..'",
    )
    assert.is(
      refusalOf(() => parse('.')),
      "name must not be '.'",
    )
    assert.is(
      refusalOf(() => parse('a\0b')),
      'name must be text',
    )
    assert.is(
      refusalOf(() => parse('a\udc00')),
      'name must be text',
    )
    for (const name of ['a', 'A-b_c.9', 'dev', 'ünï', '__proto__', 'constructor', '0']) {
      assert.is(parse(name), name)
    }
  }
})

names('a project name has at most 200 bytes once escaped', () => {
  assert.ok(accepts(() => parseProjectName('x'.repeat(200))))
  assert.not(accepts(() => parseProjectName('x'.repeat(201))))
  assert.ok(accepts(() => parseProjectName('ä'.repeat(33))))
  assert.not(accepts(() => parseProjectName(`${'ä'.repeat(33)}xxx`)))
})

names('a stage is named as a branch can be', () => {
  const refused = [
    '-a',
    '.a',
    'a.',
    'a..b',
    'a.lock',
    'a~',
    'a^',
    'a:',
    'a?',
    'a*',
    'a[',
    'a\\',
    '@{',
  ]
  for (const name of [...refused, 'a@{b', 'HEAD', 'x'.repeat(251)]) {
    assert.not(
      accepts(() => parseStageName(name)),
      name,
    )
  }
  for (const name of ['a@b', 'head', 'a.locks', 'x'.repeat(250), 'main']) {
    assert.ok(
      accepts(() => parseStageName(name)),
      name,
    )
  }
})

names('a service is named as a folder can be', () => {
  const refused = ['.git', 'GIT~1', '.gitmodules', '.gitattributes', '~a', 'a\\b', '.keptn-stages']
  for (const name of [...refused, '.configuration-service', 'x'.repeat(256)]) {
    assert.not(
      accepts(() => parseServiceName(name)),
      name,
    )
  }
  for (const name of ['a..b', 'a~', 'carts:1', 'x'.repeat(255)]) {
    assert.ok(
      accepts(() => parseServiceName(name)),
      name,
    )
  }
})

/** Names that Git watches, what file systems leave out of a name, and what is neither. */
const watched = [
  ...[
    '.git',
    '.GIT',
    'git~1',
    'Git~2',
    '.gitmodules',
    '.GitModules',
    'gitmod~1',
    'GITMOD~4',
    'gitmod~5',
  ],
  ...[
    'gi7eba~1',
    'GI7EB~10',
    'gi7~1234',
    'g~123456',
    '~1000000',
    'gi7eba~0',
    'gi7eba~10',
    'gi7ebax~1',
  ],
  ...[
    '.gitattributes',
    'gitatt~3',
    'gi7d29~9',
    '.gitignore',
    'gi250a~1',
    '.mailmap',
    'maba30~1',
    '..',
    'a',
  ],
]
const around = [
  '',
  '',
  '.',
  ' ',
  ':',
  ':x',
  '::$DATA',
  '. .',
  '\u200c',
  '\u202e',
  '\u206f',
  '\ufeff',
  '\u2070',
]
const anything = [
  ...around,
  '~',
  '~1',
  '1',
  'git',
  'modules',
  'ſ',
  'ı',
  '\u212a',
  '-',
  '\n',
  '%2e',
  '😀',
]
const inserted = ['', '', '', '\u200c', '\u2070', ' ']
const hazards = fc
  .tuple(
    fc.constantFrom('', '', '', '\ufeff', '.', 'x'),
    fc.constantFrom(...watched),
    fc.nat({ max: 12 }),
    fc.constantFrom(...inserted),
    fc.constantFrom(...around, ...anything),
    fc.constantFrom('', '', '.', ' ', ':x', 'x'),
  )
  .map(([before, name, at, middle, after, end]) => {
    return `${before}${name.slice(0, at)}${middle}${name.slice(at)}${after}${end}`
  })

names('Git takes every path that is taken here, and refuses those that it should', () => {
  if (!requireServers('names and paths, git fsck', 'git')) return
  const texts = [...new Set(fc.sample(hazards, { numRuns: 1200, seed: 1 }))].filter(
    (text) => text !== '.',
  )
  const folder = makeFolder('names')
  try {
    const judged = judge(folder, texts)
    assert.ok(judged.size > 50, 'Git refuses some of them')
    for (const text of texts) {
      const shown = JSON.stringify(text)
      if (judged.has(text)) {
        assert.not(
          accepts(() => parseResourcePath(`${text}/x`)),
          `${shown} is refused by Git`,
        )
      } else if (!text.startsWith('~')) {
        assert.ok(
          accepts(() => parseResourcePath(`${text}/x`)),
          `${shown} is fine for Git`,
        )
      }
      const asFolder = accepts(() => parseResourcePath(`${text}/x`))
      const asFile = accepts(() => parseResourcePath(text))
      if (accepts(() => parseServiceName(text))) assert.ok(asFolder, `${shown} as a service`)
      assert.ok(asFile === asFolder || (asFile && isGitAttributes(text)), shown)
    }
  } finally {
    removeFolder(folder)
  }
})

names('Git takes every branch that is taken here as a stage', () => {
  if (!requireServers('names and paths, git check-ref-format', 'git')) return
  const symbols = [
    'b',
    'B-',
    '_',
    '1',
    '!',
    'a',
    '.',
    '-',
    '@',
    '{',
    '~',
    '^',
    ':',
    '?',
    '*',
    '[',
    '\\',
    '.lock',
    'HEAD',
    '/',
    '\x7f',
    'ä',
  ]
  const branches = fc
    .array(fc.constantFrom(...symbols), { minLength: 1, maxLength: 3 })
    .map((of) => of.join(''))
  let taken = 0
  for (const text of new Set(fc.sample(branches, { numRuns: 150, seed: 2 }))) {
    const byGit =
      spawnSync('git', ['check-ref-format', '--branch', text], { cwd: '/' }).status === 0
    const here = accepts(() => parseStageName(text))
    assert.is(here, byGit && !text.includes('/'), JSON.stringify(text))
    if (here) taken++
  }
  assert.ok(taken > 20)
})

/** The names that stock Git, checking strictly, refuses for a folder. */
function judge(folder: string, texts: string[]): Set<string> {
  git(folder, 'init', '--quiet', '--bare')
  const blob = writeObject(folder, 'blob', Buffer.from('x'))
  const owners = new Map<string, string>()
  for (const text of texts) {
    const inner = writeObject(folder, 'tree', treeEntry('100644', `x${owners.size}`, blob))
    const outer = writeObject(folder, 'tree', treeEntry('40000', text, inner))
    // Git names the tree that holds a bad name, or else the folder that stands where it wants a file.
    owners.set(inner, text).set(outer, text)
  }
  const { stdout, stderr } = git(folder, 'fsck', '--strict', '--no-progress')
  const refused = new Set<string>()
  for (const [, oid] of `${stdout}${stderr}`.matchAll(
    /^(?:error|warning) in \w+ ([0-9a-f]{40})/gm,
  )) {
    const text = owners.get(oid ?? '')
    if (text !== undefined) refused.add(text)
  }
  return refused
}

function git(folder: string, ...args: string[]): { stdout: string; stderr: string } {
  return spawnSync('git', args, { cwd: folder, encoding: 'utf8', maxBuffer: 2 ** 28 })
}

function treeEntry(mode: string, name: string, oid: string): Buffer {
  return Buffer.concat([Buffer.from(`${mode} ${name}\0`), Buffer.from(oid, 'hex')])
}

function writeObject(folder: string, type: string, content: Buffer): string {
  const bytes = Buffer.concat([Buffer.from(`${type} ${content.length}\0`), content])
  const oid = createHash('sha1').update(bytes).digest('hex')
  mkdirSync(join(folder, 'objects', oid.slice(0, 2)), { recursive: true })
  writeFileSync(
    join(folder, 'objects', oid.slice(0, 2), oid.slice(2)),
    deflateSync(bytes, { level: 0 }),
  )
  return oid
}

names.run()
