import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Observer, silent } from '../../src/observe.ts'
import { openTokens } from '../../src/tokens.ts'

const test = suite('tokens')
let folder = ''
test.before(() => {
  folder = mkdtempSync(join(tmpdir(), 'tokens-'))
})
test.after(() => rmSync(folder, { recursive: true, force: true }))

const sha256 = (token: string) => createHash('sha256').update(token).digest('hex')

function fileOf(content: unknown): string {
  const path = join(folder, 'tokens.json')
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

function principal(entry: Record<string, unknown>) {
  const whole = { name: 'ann', sha256: sha256('t'), role: 'read', projects: ['*'], ...entry }
  const found = openTokens(fileOf([whole]), silent).authenticate('t')
  assert.ok(found)
  return found
}

test('a token is found by its digest, and only the right one', () => {
  const tokens = openTokens(
    fileOf([
      { name: 'ann', sha256: sha256('one'), role: 'read', projects: ['*'] },
      { name: 'bob', sha256: sha256('two').toUpperCase(), role: 'admin', projects: ['*'] },
    ]),
    silent,
  )
  assert.is(tokens.authenticate('one')?.name, 'ann')
  assert.is(tokens.authenticate('two')?.name, 'bob')
  for (const wrong of ['', 'on', 'onee', 'ONE', sha256('one')]) {
    assert.is(tokens.authenticate(wrong), undefined)
  }
})

test('each role may do what the roles before it may', () => {
  const may = (role: string) =>
    (['read', 'write', 'admin'] as const).filter((action) => principal({ role }).may(action, 'p'))
  assert.equal(may('read'), ['read'])
  assert.equal(may('write'), ['read', 'write'])
  assert.equal(may('admin'), ['read', 'write', 'admin'])
})

test('globs name projects as wholes', () => {
  const ann = principal({ projects: ['team-a-*', 'shop', 'v?', 'a.b', '*-x-*-y'] })
  for (const project of ['team-a-', 'team-a-x', 'shop', 'v1', 'a.b', 'p-x-q-x-r-y']) {
    assert.ok(ann.may('read', project), project)
  }
  for (const project of ['team-b-x', 'shops', 'xshop', 'v', 'v12', 'axb', 'shop\n', 'p-x-y']) {
    assert.not(ann.may('read', project), JSON.stringify(project))
  }
})

test('what concerns all projects needs the glob *', () => {
  assert.not(principal({ projects: ['team-*'] }).may('read'))
  assert.ok(principal({ projects: ['*'] }).may('read'))
  assert.not(principal({ projects: [] }).may('read', 'p'))
})

test('many stars do not make a slow pattern', () => {
  const ann = principal({ projects: [`${'a*'.repeat(100)}b`] })
  const startedMs = performance.now()
  assert.not(ann.may('read', 'a'.repeat(255)))
  assert.ok(performance.now() - startedMs < 1_000)
})

const good = { name: 'ann', sha256: sha256('t'), role: 'read', projects: ['*'] }
const refused: [string, unknown, RegExp][] = [
  ['no JSON', '[', /TOKENS_FILE .*tokens\.json cannot be used/],
  ['no array', { tokens: [] }, /not a JSON array/],
  ['no object', [good, 7], /entry 2 is no object/],
  ['no name', [{ ...good, name: '' }], /entry 1 needs a "name"/],
  ['a name that Git refuses', [{ ...good, name: 'a<b' }], /entry 1 needs a "name"/],
  ['a token in place of its digest', [{ ...good, sha256: 'secret' }], /entry 1 needs "sha256"/],
  ['an unknown role', [{ ...good, role: 'root' }], /entry 1 needs a "role"/],
  ['no projects', [{ ...good, projects: 'p' }], /entry 1 needs "projects"/],
  ['an unknown field', [{ ...good, project: ['*'] }], /unknown field "project"/],
  ['one token twice', [good, { ...good, name: 'bob' }], /entry 2 has the token of another/],
]

for (const [what, content, sentence] of refused) {
  test(`at the start ${what} is an error that names the variable`, () => {
    assert.throws(() => openTokens(fileOf(content), silent), sentence)
    assert.throws(() => openTokens(fileOf(content), silent), /^TOKENS_FILE /)
  })
}

test('a file that is missing at the start is an error that names the variable', () => {
  assert.throws(() => openTokens(join(folder, 'none.json'), silent), /TOKENS_FILE .*ENOENT/)
})

test('a changed file is read again, and a broken one keeps the last good state and says so', async () => {
  const told: string[] = []
  const observer: Observer = { ...silent, log: (_level, event) => void told.push(event) }
  const tokens = openTokens(fileOf([good]), observer)
  fileOf([good, { name: 'bob', sha256: sha256('two'), role: 'write', projects: ['*'] }])
  await until(() => tokens.authenticate('two')?.name === 'bob')
  fileOf('[broken')
  await until(() => {
    assert.is(tokens.authenticate('two')?.name, 'bob')
    return told.includes('tokens_failed')
  })
  fileOf([good])
  await until(() => tokens.authenticate('two') === undefined)
  assert.equal(told, ['tokens_loaded', 'tokens_failed', 'tokens_loaded'])
})

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('nothing changed in 10 s')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

test.run()
