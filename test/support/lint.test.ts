import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { makeFolder } from './processes.ts'
import { repositoryRoot } from './programs.ts'

const lint = suite('lint rules')

/** What must not pass: a file, one line of it, and the rule that catches it. */
const bad: [file: string, line: string, rule: string][] = [
  ['src/errors.ts', "import './observe.ts'", 'noRestrictedImports'],
  ['src/config.ts', "import './store/file.ts'", 'noRestrictedImports'],
  ['src/x.ts', "import 'minio'", 'noRestrictedImports'],
  ['src/main.ts', "import 'koa'", 'noRestrictedImports'],
  ['src/store/x.ts', "import '../lock/lock.ts'", 'noRestrictedImports'],
  ['src/store/x.ts', "import 'ioredis'", 'noRestrictedImports'],
  ['src/lock/x.ts', "import '../store/store.ts'", 'noRestrictedImports'],
  ['src/lock/x.ts', "import 'minio'", 'noRestrictedImports'],
  ['src/git/x.ts', "import '../observe.ts'", 'noRestrictedImports'],
  ['src/git/x.ts', 'export const now = Date.now()', 'noJsRestrictedProperties'],
  [
    'src/git/x.ts',
    "import { randomBytes } from 'node:crypto'\nrandomBytes(1)",
    'noRestrictedImports',
  ],
  ['src/repository/x.ts', "import '../store/s3.ts'", 'noRestrictedImports'],
  ['src/repository/x.ts', "await import('../lock/redis.ts')", 'noRestrictedImports'],
  ['src/repository/x.ts', "import '../resources/resources.ts'", 'noRestrictedImports'],
  ['src/repository/x.ts', "import 'isomorphic-git'", 'noRestrictedImports'],
  [
    'src/repository/x.ts',
    "import { randomUUID } from 'node:crypto'\nrandomUUID()",
    'noRestrictedImports',
  ],
  ['src/repository/x.ts', "import * as all from 'node:crypto'\nall", 'noRestrictedImports'],
  ['src/repository/x.ts', "import 'node:timers/promises'", 'noRestrictedImports'],
  ['src/repository/x.ts', 'export const now = Date.now()', 'noRestrictedGlobals'],
  ['src/repository/x.ts', 'export const now = new Date()', 'noRestrictedGlobals'],
  ['src/repository/x.ts', 'export const now = performance.now()', 'noRestrictedGlobals'],
  ['src/repository/x.ts', 'setTimeout(() => {}, 1)', 'noRestrictedGlobals'],
  ['src/repository/x.ts', 'setInterval(() => {}, 1)', 'noRestrictedGlobals'],
  ['src/repository/x.ts', 'setImmediate(() => {})', 'noRestrictedGlobals'],
  ['src/repository/x.ts', 'crypto.randomUUID()', 'noRestrictedGlobals'],
  ['src/repository/x.ts', 'globalThis.setTimeout(() => {}, 1)', 'noJsRestrictedProperties'],
  ['src/repository/x.ts', 'export const half = Math.random()', 'noJsRestrictedProperties'],
  ['src/repository/x.ts', 'AbortSignal.timeout(1)', 'noJsRestrictedProperties'],
  ['src/cluster/x.ts', 'export const now = Date.now()', 'noRestrictedGlobals'],
  ['src/cluster/x.ts', "import '../http/app.ts'", 'noRestrictedImports'],
  ['src/resources/x.ts', "import '../store/store.ts'", 'noRestrictedImports'],
  ['src/transfer/x.ts', "import '../store/s3.ts'", 'noRestrictedImports'],
  ['src/transfer/x.ts', "import '../cluster/permit.ts'", 'noRestrictedImports'],
  ['src/http/x.ts', "import '../store/store.ts'", 'noRestrictedImports'],
  ['src/http/x.ts', "import '../repository/writer.ts'", 'noRestrictedImports'],
  ['src/http/x.ts', "import 'isomorphic-git'", 'noRestrictedImports'],
  ['src/http/x.ts', 'async function f() {}\nexport function g() {\n  f()\n}', 'noFloatingPromises'],
]

/** What must pass: the rules are of no use if they forbid what the design allows. */
const good: [file: string, line: string][] = [
  ['src/main.ts', "import './store/s3.ts'"],
  ['src/store/x.ts', "import '../errors.ts'\nimport '../observe.ts'\nimport 'minio'"],
  ['src/lock/x.ts', "import '../clock.ts'\nimport 'ioredis'\nimport 'redlock'"],
  ['src/git/x.ts', "import '../errors.ts'\nimport './pack.ts'\nimport 'isomorphic-git'"],
  ['src/git/x.ts', 'export const text = new Date(0).toISOString()'],
  [
    'src/repository/x.ts',
    "import '../git/pack.ts'\nimport '../lock/lock.ts'\nimport '../store/store.ts'\nimport './log.ts'",
  ],
  ['src/repository/x.ts', "import { createHash } from 'node:crypto'\ncreateHash('sha256')"],
  ['src/resources/x.ts', "import '../git/objects.ts'\nimport '../repository/repository.ts'"],
  ['src/http/x.ts', "import '../resources/resources.ts'\nimport 'koa'\nsetTimeout(() => {}, 1)"],
  ['test/x.ts', "import 'ioredis'\nimport 'minio'"],
]

interface Diagnostic {
  category: string
  severity: string
  location: { path: string | { file: string } }
}

/** Lints cases beside a copy of our settings, each `x.ts` as a file of its own. @returns the rules that each file broke */
function rulesBroken(cases: (readonly [string, string, ...string[]])[]): string[][] {
  const root = makeFolder('lint')
  copyFileSync(join(repositoryRoot, 'biome.json'), join(root, 'biome.json'))
  symlinkSync(join(repositoryRoot, 'node_modules'), join(root, 'node_modules'))
  const files = cases.map(([file, text], index) => {
    const path = file.replace(/x\.ts$/, `x${index}.ts`)
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), `${text}\n`)
    return path
  })
  assert.is(new Set(files).size, cases.length, 'each case has its file')
  const errors = runBiome(root).filter(({ severity }) => severity === 'error')
  return files.map((file) =>
    errors.filter((error) => pathOf(error) === file).map(({ category }) => category),
  )
}

function runBiome(root: string): Diagnostic[] {
  const biome = join(repositoryRoot, 'node_modules', '.bin', 'biome')
  const args = ['lint', '--vcs-enabled=false', '--reporter=json', '--max-diagnostics=none', '.']
  const { stdout, stderr } = spawnSync(biome, args, { cwd: root, encoding: 'utf8' })
  assert.match(stdout, '{', stderr)
  return JSON.parse(stdout.slice(stdout.indexOf('{'))).diagnostics
}

function pathOf({ location: { path } }: Diagnostic): string {
  return (typeof path === 'string' ? path : path.file).replace(/^\.\//, '')
}

lint('each arrow, each vendor and each source of time or chance is held', () => {
  const broken = rulesBroken(bad)
  for (const [index, [file, line, rule]] of bad.entries()) {
    const names = (broken[index] ?? []).map((category) => category.split('/').at(-1))
    assert.ok(names.includes(rule), `${file} | ${line} | ${names}`)
  }
})

lint('what the design allows passes', () => {
  const broken = rulesBroken(good)
  for (const [index, [file, line]] of good.entries()) {
    assert.equal(broken[index], [], `${file} | ${line}`)
  }
})

lint.run()
