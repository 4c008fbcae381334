import * as assert from 'uvu/assert'
import type { ErrorCode } from '../../src/errors.ts'
import { parseResourcePath } from '../../src/resources/paths.ts'
import type { Scope } from '../../src/resources/resources.ts'
import {
  get,
  paths,
  projectScope,
  put,
  readContext,
  refusal,
  remove,
  serviceScope,
  stageScope,
  suitesOfFormats,
} from './fixture.ts'

const files = suitesOfFormats('files')

const scopes: [string, Scope][] = [
  ['project', projectScope()],
  ['stage', stageScope('dev')],
  ['service', serviceScope('dev', 'carts')],
]

for (const [level, scope] of scopes) {
  files(`a file of a ${level} is written, read, overwritten and deleted`, async ({ on }) => {
    const created = await put(on, scope, { 'a/b.yaml': 'one' })
    assert.is(created.status, 201)
    assert.is(await get(on, scope, 'a/b.yaml'), 'one')
    const updated = await put(on, scope, { '/a//b.yaml': 'two' }, { status: 200 })
    assert.is(updated.status, 200)
    assert.is.not(updated.commit, created.commit)
    assert.is(await get(on, scope, 'a/b.yaml'), 'two')
    const answer = await on.resources.readFile(scope, parseResourcePath('a/b.yaml'), readContext())
    assert.is(answer.commit, updated.commit)
    const deleted = await remove(on, scope, 'a/b.yaml')
    assert.is(deleted.status, 200)
    assert.is(await refusal(get(on, scope, 'a/b.yaml')), 'resource_not_found: Resource not found')
    assert.equal(
      await paths(on, scope).then((all) => all.filter((path) => path.includes('/a/'))),
      [],
    )
  })

  files(`an older commit of a ${level} stays readable`, async ({ on }) => {
    const one = await put(on, scope, { 'a.yaml': 'one' })
    await put(on, scope, { 'a.yaml': 'two', 'b.yaml': 'b' })
    assert.is(await get(on, scope, 'a.yaml', one.commit), 'one')
    assert.not((await paths(on, scope, one.commit)).includes('/b.yaml'))
    assert.is(
      await refusal(get(on, scope, 'b.yaml', one.commit)),
      'resource_not_found: Resource not found',
    )
  })

  files(`what does not change a ${level} makes no commit`, async ({ on }) => {
    const first = await put(on, scope, { 'a.yaml': 'one', 'b.yaml': 'b' })
    const again = await put(on, scope, { 'b.yaml': 'b' }, { status: 200 })
    assert.equal([again.status, again.commit], [200, first.commit])
    const nothing = await put(on, scope, {})
    assert.equal([nothing.status, nothing.commit], [201, first.commit])
    const { items } = await on.resources.history(scope, { pageSize: 100 }, readContext())
    assert.is(items[0]?.commit, first.commit)
  })
}

files('files of one request are one commit', async ({ on }) => {
  const scope = projectScope()
  const all = Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`d${n % 7}/f${n}`, `${n}`]))
  const before = await on.resources.history(scope, { pageSize: 100 }, readContext())
  await put(on, scope, all)
  const after = await on.resources.history(scope, { pageSize: 100 }, readContext())
  assert.is(after.items.length, before.items.length + 1)
  for (const [path, content] of Object.entries(all)) assert.is(await get(on, scope, path), content)
})

files('one element that cannot be written leaves all others unwritten', async ({ on }) => {
  const scope = projectScope()
  await put(on, scope, { folder: 'a file' })
  const before = await on.resources.history(scope, {}, readContext())
  const refused = await put(on, scope, { 'first.yaml': '1', 'folder/x': 'x', 'last.yaml': '2' })
  assert.is(refused.status, 409)
  assert.is(await refusal(get(on, scope, 'first.yaml')), 'resource_not_found: Resource not found')
  const after = await on.resources.history(scope, {}, readContext())
  assert.equal(after.items, before.items)
})

files('of two contents for one path the last wins', async ({ on }) => {
  await put(on, projectScope(), [
    ['a.yaml', 'first'],
    ['b.yaml', 'b'],
    ['./a.yaml', 'last'],
  ])
  assert.is(await get(on, projectScope(), 'a.yaml'), 'last')
})

files(
  'an empty file, a large one and bytes that are no text come back as they were',
  async ({ on }) => {
    const scope = serviceScope('dev', 'carts')
    const large = Buffer.alloc(3 * 1024 * 1024, 'x\0ü')
    const bytes = Buffer.from([0, 255, 254, 13, 10, 128])
    await put(on, scope, { empty: '', large, bytes })
    const read = async (path: string) => {
      return (await on.resources.readFile(scope, parseResourcePath(path), readContext())).content
    }
    assert.is((await read('empty')).length, 0)
    assert.ok((await read('large')).equals(large))
    assert.ok((await read('bytes')).equals(bytes))
  },
)

files('a file and a folder of one name conflict, and both are named', async ({ on }) => {
  const scope = projectScope()
  await put(on, scope, { 'a/b': 'file', c: 'file' })
  const table: [Record<string, string>, string][] = [
    [{ a: 'x' }, 'conflict: a cannot be written: a/ is a folder'],
    [{ 'c/d/e': 'x' }, 'conflict: c/ cannot be written: c is a file'],
    [{ 'a/b/c': 'x' }, 'conflict: a/b/ cannot be written: a/b is a file'],
    [
      { n: 'x', 'n/m': 'y' },
      'invalid_request: n and n/m cannot both be written: one is a folder of the other',
    ],
    [
      { 'n/m/o': 'x', 'n/m': 'y' },
      'invalid_request: n/m and n/m/o cannot both be written: one is a folder of the other',
    ],
  ]
  for (const [written, expected] of table)
    assert.is(await refusal(put(on, scope, written)), expected)
  assert.equal(await paths(on, scope), ['/a/b', '/c', '/metadata.yaml'])
})

files('a file makes way for a folder once it is deleted', async ({ on }) => {
  const scope = projectScope()
  await put(on, scope, { a: 'file' })
  await remove(on, scope, 'a')
  await put(on, scope, { 'a/b': 'below' })
  assert.is(await get(on, scope, 'a/b'), 'below')
  assert.is(await refusal(get(on, scope, 'a')), 'resource_not_found: Resource not found')
})

files('a folder is deleted with all it holds', async ({ on }) => {
  const scope = serviceScope('dev', 'carts')
  await put(on, scope, { 'a/b/c': '1', 'a/d': '2', e: '3' })
  assert.is((await remove(on, scope, 'a')).status, 200)
  assert.equal(await paths(on, scope), ['/e', '/metadata.yaml'])
  assert.is(await refusal(remove(on, scope, 'a')), 'resource_not_found: Resource not found')
})

files.inFormat(1, 'deleting the last file of a branch leaves an empty tree', async ({ on }) => {
  const scope = projectScope()
  assert.is((await remove(on, scope, 'metadata.yaml')).status, 200)
  assert.equal(await paths(on, scope), [])
  await put(on, scope, { 'x.yaml': 'x' })
  assert.equal(await paths(on, scope), ['/x.yaml'])
})

files('a stage that lost its last file is a stage all the same', async ({ on }) => {
  const dev = stageScope('dev')
  await remove(on, dev, 'metadata.yaml')
  assert.is((await remove(on, dev, 'carts')).status, 200)
  assert.equal(await paths(on, dev), [])
  const { items } = await on.resources.listStages(dev.project, {}, readContext())
  assert.equal(items, [{ name: 'dev' }])
  await put(on, dev, { 'x.yaml': 'x' })
  assert.equal(await paths(on, dev), ['/x.yaml'])
})

files('what is missing is named: project, stage, service, resource', async ({ on }) => {
  const table: [Scope, string][] = [
    [projectScope('other'), 'project_not_found: Project not found'],
    [stageScope('dev', 'other'), 'project_not_found: Project not found'],
    [stageScope('prod'), 'stage_not_found: Stage not found'],
    [stageScope('main'), 'stage_not_found: Stage not found'],
    [serviceScope('prod', 'carts'), 'stage_not_found: Stage not found'],
    [serviceScope('dev', 'orders'), 'service_not_found: Service not found'],
    [serviceScope('dev', 'metadata.yaml'), 'service_not_found: Service not found'],
  ]
  for (const [scope, expected] of table) {
    assert.is(await refusal(get(on, scope, 'a.yaml')), expected)
    assert.is(await refusal(put(on, scope, { 'a.yaml': '' })), expected)
    assert.is(await refusal(put(on, scope, {})), expected)
    assert.is(await refusal(remove(on, scope, 'a.yaml')), expected)
    assert.is(await refusal(paths(on, scope)), expected)
    assert.is(await refusal(on.resources.history(scope, {}, readContext())), expected)
  }
  for (const path of ['nothing', 'metadata.yaml/x', 'constructor', '__proto__']) {
    const expected = 'resource_not_found: Resource not found'
    assert.is(await refusal(get(on, projectScope(), path)), expected)
    assert.is(await refusal(remove(on, projectScope(), path)), expected)
  }
})

files('a folder is no file', async ({ on }) => {
  await put(on, projectScope(), { 'a/b': 'x' })
  assert.is(await refusal(get(on, projectScope(), 'a')), 'resource_not_found: Resource not found')
})

files(
  'a commit that the project does not have is refused in the words lighthouse knows',
  async ({ on }) => {
    const at = 'a'.repeat(40) as never
    const expected = `commit_not_found: could not check out ${at}: no such commit in project p`
    assert.is(await refusal(get(on, projectScope(), 'metadata.yaml', at)), expected)
    assert.is(await refusal(paths(on, projectScope(), at)), expected)
  },
)

files('If-Match and If-None-Match guard the one file that is written', async ({ on }) => {
  const scope = stageScope('dev')
  const path = parseResourcePath('a.yaml')
  const expect = async (work: Promise<unknown>, code: ErrorCode | 'done') => {
    assert.is((await refusal(work)).split(':')[0], code)
  }
  await expect(
    put(on, scope, { 'a.yaml': '1' }, { precondition: { match: '*' } }),
    'precondition_failed',
  )
  await expect(remove(on, scope, 'a.yaml', { match: '*' }), 'precondition_failed')
  await expect(put(on, scope, { 'a.yaml': '1' }, { precondition: { absent: true } }), 'done')
  await expect(
    put(on, scope, { 'a.yaml': '2' }, { precondition: { absent: true } }),
    'precondition_failed',
  )
  const { oid } = await on.resources.readFile(scope, path, readContext())
  await put(on, scope, { 'other.yaml': 'moves the branch, not the file' })
  await expect(put(on, scope, { 'a.yaml': '2' }, { precondition: { match: [oid] } }), 'done')
  await expect(
    put(on, scope, { 'a.yaml': '3' }, { precondition: { match: [oid] } }),
    'precondition_failed',
  )
  await expect(remove(on, scope, 'a.yaml', { match: [oid] }), 'precondition_failed')
  assert.is(await get(on, scope, 'a.yaml'), '2')
  await expect(put(on, scope, { 'a.yaml': '3' }, { precondition: { match: '*' } }), 'done')
  const two = { 'a.yaml': '1', 'b.yaml': '1' }
  await expect(put(on, scope, two, { precondition: { absent: true } }), 'invalid_request')
  await expect(
    put(on, stageScope('prod'), { x: '' }, { precondition: { match: '*' } }),
    'stage_not_found',
  )
  const now = await on.resources.readFile(scope, path, readContext())
  await expect(remove(on, scope, 'a.yaml', { match: [oid, now.oid] }), 'done')
})

files(
  'folders that are ours are not written at a root, and read nowhere in lists',
  async ({ on }) => {
    const refused = 'invalid_request: invalid resource uri'
    const own = '.configuration-service/x'
    const stages = '.keptn-stages/dev/x'
    const table: [Scope, string, boolean][] = [
      [projectScope(), own, false],
      [stageScope('dev'), own, false],
      [serviceScope('dev', 'carts'), own, true],
      [projectScope(), stages, false],
      [projectScope(), './/.keptn-stages', false],
      [stageScope('dev'), stages, true],
      [projectScope(), 'a/.keptn-stages/x', true],
    ]
    for (const [scope, path, fine] of table) {
      const wrote = await refusal(put(on, scope, { [path]: 'x' }))
      const removed = await refusal(remove(on, scope, path))
      for (const answer of [wrote, removed]) assert.is(answer.startsWith(refused), !fine, answer)
    }
    await put(on, stageScope('dev'), {
      'x/.keptn-stages/y': '',
      '.gitignore': '',
      'x/.github/z': '',
    })
    const expected = ['/.gitignore', '/carts/metadata.yaml', '/metadata.yaml', '/x/.github/z']
    assert.equal(await paths(on, stageScope('dev')), expected)
    assert.is(await get(on, stageScope('dev'), 'x/.keptn-stages/y'), '')
  },
)

files("the key that tells a tree's format may not be turned", async ({ on }) => {
  const folders = ['isUsingDirectoryStructure: true', '{"ISUSINGDIRECTORYSTRUCTURE": yes}']
  const branches = ['isUsingDirectoryStructure: false', 'projectName: p', '', '{', 'a: *b', '[1]']
  const write = async (scope: Scope, content: string) =>
    (await refusal(put(on, scope, { 'metadata.yaml': content }))).split(':')[0]
  for (const content of folders) {
    assert.is(await write(projectScope(), content), on.format === 2 ? 'done' : 'conflict')
    assert.is(await write(stageScope('dev'), content), 'conflict')
    assert.is(
      await refusal(put(on, serviceScope('dev', 'carts'), { 'metadata.yaml': content })),
      'done',
    )
    assert.is(await refusal(put(on, projectScope(), { 'a/metadata.yaml': content })), 'done')
  }
  for (const content of branches) {
    assert.is(await write(projectScope(), content), on.format === 1 ? 'done' : 'conflict', content)
    assert.is(await write(stageScope('dev'), content), 'done', content)
  }
  const removed = await refusal(remove(on, projectScope(), 'metadata.yaml'))
  assert.is(removed.split(':')[0], on.format === 1 ? 'done' : 'conflict')
  const large = put(on, projectScope(), { 'metadata.yaml': 'x'.repeat(65_537) })
  assert.is((await refusal(large)).split(':')[0], 'invalid_request')
})

files('attributes with a line that Git refuses are not written', async ({ on }) => {
  const scope = projectScope()
  const line = (length: number) => `* text\n${'x'.repeat(length)}\n`
  assert.is(await refusal(put(on, scope, { 'a/.gitattributes': line(2047) })), 'done')
  for (const path of ['.gitattributes', 'a/.GITATTRIBUTES ', 'gitatt~1']) {
    const refused = await refusal(put(on, scope, { [path]: line(2048) }))
    assert.is(refused, `invalid_request: ${path} has a line longer than 2047 bytes`)
  }
})

files(
  'a commit carries the author, and the message that was sent or names the request',
  async ({ on }) => {
    const scope = serviceScope('dev', 'carts')
    const last = async () =>
      (await on.resources.history(scope, { pageSize: 1 }, readContext())).items[0]
    await put(on, scope, { 'a.yaml': '1' })
    assert.is((await last())?.message, 'Write a.yaml in service carts in stage dev')
    assert.equal((await last())?.author, { name: 'Ada', email: 'ada@example.com' })
    await put(on, scope, { 'a.yaml': '2' }, { message: 'Because.\n\nOf that.' })
    assert.is((await last())?.message, 'Because.\n\nOf that.')
    await put(on, scope, { a: '', b: '', c: '', 'd\n': '' }, { message: ' ' })
    assert.is((await last())?.message, 'Write 4 files in service carts in stage dev\n\na\nb\nc\nd?')
    await remove(on, scope, 'a')
    assert.is((await last())?.message, 'Delete a in service carts in stage dev')
  },
)

files.run()
