/** Sources that are broken, cut off, or made to mislead whoever reads them. */
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parseResourcePath } from '../../src/resources/paths.ts'
import { readContext, stageScope } from '../resources/fixture.ts'
import { requireServers } from '../support/servers.ts'
import { openTransfers, type Transfers } from './fixture.ts'
import { branchProject, commitFiles, git, refsOf } from './keptn-repositories.ts'

const test = suite<{ on: Transfers; source: string; gitDir: string }>('hostile sources')
test.before.each(async (context) => {
  context.on = await openTransfers()
  context.source = branchProject(join(context.on.folder, 'sockshop'))
  context.gitDir = join(context.source, '.git')
})
test.after.each(({ on }) => on.close())
const whenAble = requireServers('hostile sources', 'git') ? test : test.skip

const objectPath = (oid: string) => join('objects', oid.slice(0, 2), oid.slice(2))

/** Makes a tree without git's own checks, and commits it to a branch. */
function plantTree(folder: string, branch: string, rows: string): void {
  const tree = git(folder, ['mktree', '--missing'], rows)
  const commit = git(folder, ['commit-tree', '-m', 'planted', '-p', branch, tree])
  git(folder, ['update-ref', `refs/heads/${branch}`, commit])
}

whenAble(
  'a broken or missing object is found, and nothing is written',
  async ({ on, source, gitDir }) => {
    const blob = git(source, ['rev-parse', 'dev:carts/slo.yaml'])
    const path = join(gitDir, objectPath(blob))
    chmodSync(path, 0o644)
    truncateSync(path, 3)
    for (const damage of [() => {}, () => rmSync(path)]) {
      damage()
      const answer = await on.bring(source).then(
        () => 'done',
        (error) => error.message,
      )
      assert.match(answer, new RegExp(blob))
    }
    assert.not.ok(existsSync(join(on.bench.folder, 'store/projects')))
  },
)

whenAble('what fsck finds fault with is refused in its words', async ({ on, source }) => {
  const blob = git(source, ['rev-parse', 'dev:carts/slo.yaml'])
  const tree = git(
    source,
    ['hash-object', '-t', 'tree', '-w', '--literally', '--stdin'],
    Buffer.concat([Buffer.from('100644 ..\0'), Buffer.from(blob, 'hex')]),
  )
  plantTree(source, 'dev', `040000 tree ${tree}\tup\n`)
  assert.match(await on.refused(source), /git fsck finds fault with it: .*hasDotdot/s)
})

whenAble('links and submodules are kept, and not served', async ({ on, source }) => {
  const commit = git(source, ['rev-parse', 'dev'])
  const blob = git(source, ['hash-object', '-w', '--stdin'], '../../../etc/passwd')
  git(source, ['checkout', '--quiet', 'dev'])
  git(source, ['update-index', '--add', '--cacheinfo', `120000,${blob},link`])
  git(source, ['update-index', '--add', '--cacheinfo', `160000,${commit},module`])
  git(source, ['commit', '--quiet', '--message', 'a link'])
  const { notes } = await on.bring(source)
  assert.ok(
    notes.includes('2 symbolic links and submodules are kept, and not served'),
    notes.join(),
  )
  const read = on.resources.readFile(
    stageScope('dev', 'sockshop'),
    parseResourcePath('link'),
    readContext(),
  )
  assert.is(await read.catch((error) => error.code), 'resource_not_found')
  assert.is(
    on.rebuilt((stock) => refsOf(stock.dir)),
    refsOf(source),
  )
})

whenAble(
  'its settings and hooks run nothing, and what hides or replaces objects hides nothing',
  async ({ on, source, gitDir }) => {
    const proof = join(on.folder, 'proof')
    const script = join(on.folder, 'script')
    writeFileSync(script, `#!/bin/sh\ntouch ${proof}\n`)
    chmodSync(script, 0o755)
    for (const hook of [
      'post-checkout',
      'pre-auto-gc',
      'reference-transaction',
      'post-index-change',
    ]) {
      symlinkSync(script, join(gitDir, 'hooks', hook))
    }
    const refs = refsOf(source)
    const [first, last] = [git(source, ['rev-parse', 'main']), git(source, ['rev-parse', 'dev'])]
    mkdirSync(join(gitDir, 'refs/replace'), { recursive: true })
    writeFileSync(join(gitDir, 'refs/replace', last), `${first}\n`)
    writeFileSync(join(gitDir, 'info/grafts'), `${last}\n`)
    appendFileSync(
      join(gitDir, 'config'),
      `[core]\n\tfsmonitor = ${script}\n\tsshCommand = ${script}\n\tgitProxy = ${script}\n[uploadpack]\n\tpackObjectsHook = ${script}\n[alias]\n\tfsck = !${script}\n[include]\n\tpath = ${script}\n[remote "origin"]\n\turl = ext::${script}\n\tuploadpack = ${script}\n[protocol "ext"]\n\tallow = always\n`,
    )
    await on.bring(source)
    assert.not.ok(existsSync(proof))
    on.rebuilt((stock) => {
      assert.is(refsOf(stock.dir), refs)
      assert.is(stock.text(['rev-list', '--count', 'dev']), '4')
    })
  },
)

whenAble(
  'what is only a part of a repository, or a view of one, is refused',
  async ({ on, source, gitDir }) => {
    const { folder } = on
    const url = `file://${source}`
    git(folder, ['clone', '--quiet', '--shared', source, 'shared'])
    git(folder, ['clone', '--quiet', '--depth=1', '--no-single-branch', url, 'shallow'])
    git(source, ['config', 'uploadpack.allowFilter', 'true'])
    git(folder, ['clone', '--quiet', '--bare', '--filter=blob:none', url, 'partial'])
    git(source, ['worktree', 'add', '--quiet', '../tree', 'main'])
    git(folder, ['clone', '--quiet', '--bare', source, 'linked'])
    renameSync(join(folder, 'linked/objects'), join(folder, 'elsewhere'))
    symlinkSync(join(folder, 'elsewhere'), join(folder, 'linked/objects'))
    writeFileSync(join(folder, 'text'), 'hello\n')
    mkdirSync(join(folder, 'empty'))
    git(folder, ['init', '--quiet', '--bare', 'none'])
    git(source, ['bundle', 'create', '--quiet', '../part.bundle', 'main..dev'])
    const answers: [string, RegExp][] = [
      ['shared', /borrows objects from another repository/],
      ['shallow', /is a shallow clone/],
      ['partial', /is a partial clone/],
      ['tree', /is a work tree of a repository elsewhere/],
      ['linked', /consists of links/],
      ['text', /neither a repository nor a bundle/],
      ['empty', /neither a repository nor a bundle/],
      ['absent', /is not there/],
      ['none', /it has no branches/],
    ]
    for (const [name, expected] of answers) {
      assert.match(await on.refused(join(folder, name)), expected, name)
    }
    const part = on.bring(join(folder, 'part.bundle')).catch((error) => error.message)
    assert.match(await part, /prerequisite/)
    assert.ok(existsSync(gitDir))
    assert.not.ok(existsSync(join(on.bench.folder, 'store/projects')))
  },
)

whenAble(
  'refs: broken ones are refused by name, foreign ones left out and told, too many refused',
  async ({ on, source, gitDir }) => {
    writeFileSync(join(gitDir, 'refs/heads/hotfix'), '')
    assert.match(await on.refused(source), /git cannot read every ref: .*refs\/heads\/hotfix/)
    rmSync(join(gitDir, 'refs/heads/hotfix'))
    writeFileSync(join(gitDir, 'refs/heads/a..b'), `${git(source, ['rev-parse', 'dev'])}\n`)
    assert.match(await on.refused(source), /refs\/heads\/a\.\.b/)
    rmSync(join(gitDir, 'refs/heads/a..b'))
    symlinkSync(join(gitDir, 'refs/heads/dev'), join(gitDir, 'refs/heads/aside'))
    assert.is(await on.refused(source), 'refs/heads/aside is no ref')
    rmSync(join(gitDir, 'refs/heads/aside'))
    git(source, ['branch', 'feature/x'])
    const many = Array.from({ length: 700 }, (_, at) => `create refs/tags/r${at} main\n`)
    const pulls = Array.from({ length: 3 }, (_, at) => `create refs/pull/${at}/head dev\n`)
    git(source, ['update-ref', '--stdin'], [...many, ...pulls].join(''))
    assert.match(await on.refused(source), /706 refs \(702 of them tags\) take \d+ bytes/)
    const { notes, branches, tags } = await on.bring(source, { noTags: true })
    assert.equal([branches, tags], [4, 0])
    for (const note of [
      'left out: 702 tags',
      'left out: 3 refs under refs/pull/',
      'branches that are kept and can be no stages: feature/x',
    ]) {
      assert.ok(
        notes.some((one) => one.startsWith(note)),
        note,
      )
    }
  },
)

whenAble(
  'a branch that only a remote has, or that nobody can choose, is asked for',
  async ({ on, source }) => {
    git(on.folder, ['clone', '--quiet', '--branch=dev', source, 'clone'])
    const clone = join(on.folder, 'clone')
    assert.match(
      await on.refused(clone),
      /branch \w+ is here only as remote origin has it: say --remote origin/,
    )
    assert.is(
      await on.refused(clone, { remote: 'upstream' }),
      'there are no branches of remote upstream',
    )
    git(source, ['branch', 'master', 'main'])
    git(source, ['checkout', '--quiet', 'prod'])
    assert.match(await on.refused(source), /say --default-branch <one of dev, main, master, prod>/)
    assert.is(await on.refused(source, { defaultBranch: 'nope' }), 'it has no branch nope')
    const told = await on.bring(source, { defaultBranch: 'master' })
    assert.equal([told.defaultBranch, told.stages], ['master', ['dev', 'main', 'prod']])
  },
)

whenAble('what is no layout of Keptn is said, and taken only if asked for', async ({ on }) => {
  const plain = join(on.folder, 'plain')
  mkdirSync(plain)
  git(plain, ['init', '--quiet', '--initial-branch=main'])
  commitFiles(plain, { 'README.md': 'hello\n' }, 'plain')
  assert.match(
    await on.refused(plain),
    /this is no project of Keptn \(--any-layout takes it all the same\)$/,
  )
  const { notes, format } = await on.bring(plain, { anyLayout: true })
  assert.is(format, 1)
  assert.ok(notes.some((note) => note.endsWith('this is no project of Keptn')))
})

whenAble(
  'an old project without metadata, and one that says one structure and shows the other',
  async ({ on, source }) => {
    git(source, ['checkout', '--quiet', 'main'])
    commitFiles(source, { 'metadata.yaml': null, '.keptn-stages/x/f': '1' }, 'odd')
    git(source, ['checkout', '--quiet', 'dev'])
    commitFiles(source, { 'metadata.yaml': null }, 'old')
    const { notes, stages, format } = await on.bring(source)
    assert.equal([format, stages], [1, ['dev', 'prod']])
    assert.ok(notes.includes('branch main has no metadata.yaml: its time of creation is not known'))
    assert.ok(notes.includes('stages without metadata.yaml: dev'))
    assert.ok(notes.some((note) => note.startsWith('.keptn-stages/ is there, but')))
  },
)

whenAble('a file that no replica could hold is refused', async ({ on, source }) => {
  commitFiles(source, { 'large.bin': Buffer.alloc(64 * 2 ** 20 + 1) }, 'large')
  const oid = git(source, ['rev-parse', 'HEAD:large.bin'])
  const answer = await on.refused(source)
  assert.match(answer, /^objects of more than 67108864 bytes cannot be served/)
  assert.match(answer, new RegExp(`67108865 blob ${oid}$`))
  assert.equal(
    readdirSync(on.folder).filter((name) => name.startsWith('work')),
    [],
  )
})

test.run()
