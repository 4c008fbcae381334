import * as assert from 'uvu/assert'
import type { Oid } from '../../src/git/objects.ts'
import type { Draft } from '../../src/repository/repository.ts'
import { parseResourcePath } from '../../src/resources/paths.ts'
import type { HistoryItem, PageRequest, Scope } from '../../src/resources/resources.ts'
import {
  type Fixture,
  get,
  paths,
  plantRoot,
  projectScope,
  put,
  readContext,
  refusal,
  remove,
  resourcesOver,
  serviceScope,
  stageScope,
  suitesOfFormats,
} from './fixture.ts'

const lists = suitesOfFormats('lists and histories')

lists('files are listed as a walk through folders meets them', async ({ on }) => {
  const all = ['a.yaml', 'a/z', 'a/b/c', 'a-b', 'b', 'Z', 'é', '\u{1f600}', '\uffee', 'a0']
  await put(on, projectScope(), Object.fromEntries(all.map((path) => [path, 'x'])))
  const expected = [
    'Z',
    'a/b/c',
    'a/z',
    'a-b',
    'a.yaml',
    'a0',
    'b',
    'metadata.yaml',
    'é',
    '\uffee',
    '\u{1f600}',
  ]
  assert.equal(
    await paths(on, projectScope()),
    expected.map((path) => `/${path}`),
  )
})

lists('a page is cut by an offset, and its end is told by "0"', async ({ on }) => {
  const scope = serviceScope('dev', 'carts')
  const names = Array.from({ length: 44 }, (_, n) => `f${String(n).padStart(2, '0')}`)
  const { commit } = await put(on, scope, Object.fromEntries(names.map((name) => [name, name])))
  const table: [PageRequest, number, string][] = [
    [{}, 20, '20'],
    [{ pageKey: '0' }, 20, '20'],
    [{ pageKey: '20' }, 20, '40'],
    [{ pageKey: '40' }, 5, '0'],
    [{ pageKey: '45' }, 0, '0'],
    [{ pageKey: '1000' }, 0, '0'],
    [{ pageSize: 0 }, 0, '0'],
    [{ pageSize: 45 }, 45, '0'],
    [{ pageSize: 44 }, 44, '44'],
    [{ pageSize: 1_000_000 }, 45, '0'],
  ]
  for (const [page, count, nextPageKey] of table) {
    const answer = await on.resources.listFiles(scope, page, readContext())
    const shown = JSON.stringify(page)
    assert.equal([answer.items.length, answer.nextPageKey], [count, nextPageKey], shown)
    assert.is(answer.totalCount, 45, shown)
    for (const item of answer.items) assert.is(item.commit, commit)
  }
  for (const page of [{ pageSize: -1 }, { pageSize: 1.5 }, { pageSize: Number.NaN }]) {
    const refused = await refusal(on.resources.listFiles(scope, page, readContext()))
    assert.is(refused, 'invalid_request: invalid pageSize')
  }
  for (const pageKey of ['x', '-1', '1.5', '', '1e3', '9'.repeat(30)]) {
    const refused = await refusal(on.resources.listFiles(scope, { pageKey }, readContext()))
    assert.is(refused, 'invalid_request: invalid nextPageKey', pageKey)
  }
})

lists('links and submodules are neither listed nor followed nor overwritten', async ({ on }) => {
  const scope = projectScope()
  await plantRoot(on, (draft) => [
    ['link', '120000', draft.writeBlob(Buffer.from('metadata.yaml'))],
    ['module', '160000', '1'.repeat(40) as Oid],
    [
      'folder',
      '040000',
      draft.writeTree([['up', { mode: '120000', oid: draft.writeBlob(Buffer.from('..')) }]]),
    ],
  ])
  assert.equal(await paths(on, scope), ['/metadata.yaml'])
  const absent = 'resource_not_found: Resource not found'
  for (const path of [
    'link',
    'module',
    'link/x',
    'module/x',
    'folder/up',
    'folder/up/metadata.yaml',
  ]) {
    assert.is(await refusal(get(on, scope, path)), absent, path)
  }
  for (const path of ['link', 'module']) assert.is(await refusal(remove(on, scope, path)), absent)
  assert.is(
    await refusal(put(on, scope, { link: '' })),
    'conflict: link cannot be written: link is a link',
  )
  assert.is(
    await refusal(put(on, scope, { 'link/x': '' })),
    'conflict: link/ cannot be written: link is a link',
  )
  assert.is((await refusal(put(on, scope, { module: '' }))).split(':')[0], 'conflict')
  await put(on, scope, { 'folder/x': 'x' })
  assert.equal(await paths(on, scope), ['/folder/x', '/metadata.yaml'])
})

lists('a file keeps its mode when it is overwritten', async ({ on }) => {
  const script = (draft: Draft) => draft.writeBlob(Buffer.from('#!/bin/sh\n'))
  await plantRoot(on, (draft) => [['run.sh', '100755', script(draft)]])
  await put(on, projectScope(), { 'run.sh': '#!/bin/bash\n', 'new.sh': '' })
  const modes = async () => {
    const { value } = await on.bench.repositories.read(
      projectScope().project,
      async (view) => {
        const { tree } = await view.readCommit(view.refs.get('refs/heads/main') as Oid)
        const entries = await view.readTree(tree)
        return [entries.get('run.sh')?.mode, entries.get('new.sh')?.mode]
      },
      { timeoutMs: 5000 },
    )
    return value
  }
  assert.equal(await modes(), ['100755', '100644'])
  await put(on, projectScope(), { 'run.sh': 'again\n' })
  assert.equal(await modes(), ['100755', '100644'])
})

const messages = (items: HistoryItem[]) => items.map(({ message }) => message)

async function wholeHistory(on: Fixture, scope: Scope, page: PageRequest & { path?: string }) {
  const { path, ...rest } = page
  const found: HistoryItem[] = []
  let pageKey: string | undefined
  do {
    const answer = await on.resources.history(
      scope,
      {
        ...rest,
        ...(path === undefined ? {} : { path: parseResourcePath(path) }),
        ...(pageKey === undefined ? {} : { pageKey }),
      },
      readContext(),
    )
    found.push(...answer.items)
    pageKey = answer.nextPageKey
  } while (pageKey !== '0')
  return messages(found)
}

lists(
  'a history shows the commits that changed a scope, a folder or a file, newest first',
  async ({ on }) => {
    const dev = stageScope('dev')
    const carts = serviceScope('dev', 'carts')
    const step = (scope: Scope, files: Record<string, string>, message: string) =>
      put(on, scope, files, { message })
    await step(dev, { 'a.yaml': '1', 'd/x': '1' }, 'one')
    await step(carts, { 'a.yaml': '1' }, 'two')
    await step(dev, { 'd/x': '2' }, 'three')
    await step(projectScope(), { 'a.yaml': 'p' }, 'elsewhere')
    await remove(on, dev, 'a.yaml')
    await step(dev, { 'a.yaml': '1' }, 'four')
    await step(dev, { 'carts/a.yaml': '2' }, 'five')
    const table: [Scope, string | undefined, string[]][] = [
      [projectScope(), undefined, ['elsewhere', 'Create project p']],
      [
        dev,
        undefined,
        [
          'five',
          'four',
          'Delete a.yaml in stage dev',
          'three',
          'two',
          'one',
          'Create service carts in stage dev',
          on.format === 1 ? 'Create project p' : 'Create stage dev',
        ],
      ],
      [carts, undefined, ['five', 'two', 'Create service carts in stage dev']],
      [dev, 'a.yaml', ['four', 'Delete a.yaml in stage dev', 'one']],
      [dev, 'd', ['three', 'one']],
      [dev, 'd/x', ['three', 'one']],
      [carts, 'a.yaml', ['five', 'two']],
      [dev, 'nothing', []],
    ]
    for (const [scope, path, expected] of table) {
      for (const pageSize of [1, 2, 3, 20]) {
        const page = path === undefined ? { pageSize } : { pageSize, path }
        assert.equal(await wholeHistory(on, scope, page), expected, `${path}, pages of ${pageSize}`)
      }
    }
  },
)

lists(
  'a page of history goes on where it stopped, whatever is written meanwhile',
  async ({ on }) => {
    const scope = projectScope()
    for (const n of [1, 2, 3]) await put(on, scope, { f: `${n}` }, { message: `m${n}` })
    const first = await on.resources.history(scope, { pageSize: 2 }, readContext())
    await put(on, scope, { f: '4' }, { message: 'm4' })
    const page = { pageSize: 2, pageKey: first.nextPageKey }
    const second = await on.resources.history(scope, page, readContext())
    assert.equal(messages(second.items), ['m1', 'Create project p'])
    assert.is(second.nextPageKey, '0')
    const at = first.items[1]?.commit as Oid
    const older = await on.resources.history(scope, {}, readContext({ at }))
    assert.equal(messages(older.items), ['m2', 'm1', 'Create project p'])
    const none = await on.resources.history(scope, { pageSize: 0 }, readContext())
    assert.equal([none.items, none.nextPageKey], [[], '0'])
    for (const pageKey of ['20', 'x', '0'.repeat(40)]) {
      const bad = on.resources.history(scope, { pageKey }, readContext())
      assert.is(await refusal(bad), 'invalid_request: invalid nextPageKey', pageKey)
    }
  },
)

lists('an item of history tells who, when and what', async ({ on }) => {
  const author = { name: 'Grace', email: 'grace@example.com' }
  const { commit } = await put(on, projectScope(), { f: '1' }, { author, message: 'why\n\nbody\n' })
  const { items } = await on.resources.history(projectScope(), {}, readContext())
  const [{ dateMs, ...rest } = { dateMs: 0 }] = items
  assert.equal(rest, { commit, author, message: 'why\n\nbody' })
  assert.ok(Math.abs(dateMs - Date.now()) < 60_000)
})

lists('a list that is cold reads its folders side by side, and finds all', async ({ on }) => {
  const all = Array.from({ length: 300 }, (_, n) => `d${n % 60}/e${n % 5}/f${n}`)
  await put(on, projectScope(), Object.fromEntries(all.map((path) => [path, path])))
  const cold = { ...on, resources: resourcesOver(on.bench.another()) }
  const listed = await paths(cold, projectScope())
  assert.is(listed.length, 301)
  assert.equal([...listed].sort(), [...all.map((path) => `/${path}`), '/metadata.yaml'].sort())
})

lists.run()
