import { spawnSync } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { runMutants } from './mutants.ts'
import { makeFolder, removeFolder } from './processes.ts'
import { repositoryRoot, requireServers } from './programs.ts'

const mutants = suite('the runner of deliberate mistakes')

const guarded = `export function half(n: number): number {
  if (n % 2 !== 0) throw new RangeError('odd')
  return n / 2
}
`

const tests = `import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { half } from '../src/half.ts'

const it = suite('half')
it('halves', () => assert.is(half(4), 2))
it('refuses what is odd', () => assert.throws(() => half(3)))
it.run()
`

const hanging = `import { half } from '../src/half.ts'

try {
  half(3)
  setInterval(() => {}, 1_000)
} catch {}
`

/** A patch of `src/half.ts` that exchanges one line. */
function exchange(header: string, line: 2 | 3, text: string): string {
  const lines = guarded.trimEnd().split('\n')
  const body = lines.flatMap((old, index) =>
    index + 1 === line ? [`-${old}`, ...(text === '' ? [] : [`+${text}`])] : [` ${old}`],
  )
  const size = text === '' ? lines.length - 1 : lines.length
  const head = `--- a/src/half.ts\n+++ b/src/half.ts\n@@ -1,${lines.length} +1,${size} @@\n`
  return `${header}\n# why: a fixture\n${head}${body.join('\n')}\n`
}

const patches: Record<string, string> = {
  'noticed.patch': exchange('# test: test/half.test.ts :: refuses', 2, ''),
  'hanging.patch': exchange('# test: test/hanging.test.ts\n# limit: 8', 2, ''),
  'unnoticed.patch': exchange('# test: test/half.test.ts', 3, '  return n * 0.5'),
  'other-test.patch': exchange('# test: test/half.test.ts :: refuses', 3, '  return n'),
  'no-build.patch': exchange('# test: test/half.test.ts', 3, '  return nothing'),
  'stale.patch': exchange('# test: test/half.test.ts', 3, '').replace('n / 2', 'n / 3'),
  'no-test.patch': exchange('# test: test/absent.test.ts', 2, ''),
  'red-before.patch': exchange('# test: test/red.test.ts', 2, ''),
}

/** A repository of one source and its tests. */
function makeRepository(): string {
  const root = makeFolder('mutants-fixture')
  const files: Record<string, string> = {
    'src/half.ts': guarded,
    'test/half.test.ts': tests,
    'test/hanging.test.ts': hanging,
    'test/red.test.ts': 'process.exitCode = 1\n',
    'package.json': '{ "type": "module" }\n',
    '.gitignore': 'node_modules\ndist\n',
    'tsconfig.json': JSON.stringify({
      extends: join(repositoryRoot, 'tsconfig.json'),
      compilerOptions: { rootDir: '.', outDir: 'dist', types: ['node'] },
      include: ['src', 'test'],
    }),
  }
  for (const [name, text] of Object.entries(patches)) files[`test/mutants/${name}`] = text
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  symlinkSync(join(repositoryRoot, 'node_modules'), join(root, 'node_modules'))
  spawnSync('git', ['init', '--quiet'], { cwd: root })
  return root
}

if (requireServers('the runner of deliberate mistakes', 'git')) {
  mutants('tells what was noticed from what was not, or proves nothing', async () => {
    const root = makeRepository()
    const lines: string[] = []
    const options = { root, filters: [], jobs: 1, limitMs: 60_000 }
    const counts = await runMutants({ ...options, print: (line) => lines.push(line) })
    assert.equal(counts, { passed: 2, failed: 6 }, lines.join('\n'))
    const line = (name: string) => lines.find((text) => text.includes(` ${name} `)) ?? ''
    assert.match(line('noticed'), /^red /)
    // Killed by its own limit, long before that of all.
    assert.match(line('hanging'), /^red .* [1-4]?\d\.\d s$/)
    assert.match(line('unnoticed'), /^GREEN.*no test noticed/)
    assert.match(line('other-test'), /^GREEN.*only other tests noticed/)
    assert.match(line('no-build'), /^GREEN.*does not build/)
    assert.match(line('stale'), /^GREEN.*does not apply/)
    assert.match(line('no-test'), /^GREEN.*names no file/)
    assert.match(line('red-before'), /^GREEN.*red without it/)
    assert.is(lines.at(-1), '2 passed, 6 failed')
    removeFolder(root)
  })
}

mutants.run()
