import { createHash } from 'node:crypto'

import { gunzipSync, gzipSync } from 'node:zlib'
import { extract, type Header, pack } from 'tar-stream'
import * as assert from 'uvu/assert'
import type { Oid } from '../../src/git/objects.ts'
import { collect, parseChartPath } from '../../src/resources/chart.ts'
import { parseResourcePath } from '../../src/resources/paths.ts'
import type { Scope } from '../../src/resources/resources.ts'
import {
  type Fixture,
  get,
  openFixture,
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

const charts = suitesOfFormats('Helm charts')

type Entry = [name: string, content?: string | Buffer, more?: Partial<Header>]

const tarOf = async (entries: Entry[]): Promise<Buffer> => {
  const tar = pack()
  for (const [name, content = '', more = {}] of entries) tar.entry({ name, ...more }, content)
  tar.finalize()
  return collect(tar)
}

const tgzOf = async (...entries: Entry[]) => gzipSync(await tarOf(entries))

const sample = () =>
  tgzOf(
    ['any/', '', { type: 'directory' }],
    ['any/Chart.yaml', 'name: carts\n'],
    ['any/values.yaml', 'a: 1\n'],
    ['any/templates/deployment.yaml', 'kind: Deployment\n'],
    ['any/bin/run.sh', '#!/bin/sh\n', { mode: 0o755 }],
  )

interface Unpacked {
  content: string
  mode: number | undefined
}

async function read(on: Fixture, scope: Scope, path: string, at?: Oid) {
  const context = readContext(at === undefined ? {} : { at })
  return on.resources.readFile(scope, parseResourcePath(path), context)
}

async function unpack(archive: Buffer): Promise<Record<string, Unpacked>> {
  const entries = extract()
  entries.end(gunzipSync(archive))
  const files: Record<string, Unpacked> = {}
  for await (const entry of entries) {
    const { name, mode } = entry.header
    files[name] = { content: (await collect(entry)).toString(), mode }
  }
  return files
}

const levels: [string, Scope, string][] = [
  ['project', projectScope(), 'helm/carts.tgz'],
  ['stage', stageScope('dev'), 'helm/carts.tgz'],
  ['service', serviceScope('dev', 'carts'), 'helm/carts.tgz'],
  ['stage, in a folder', stageScope('dev'), 'carts/helm/carts.tgz'],
]

for (const [level, scope, path] of levels) {
  charts(`a chart of a ${level} is unpacked, and packed again when it is read`, async ({ on }) => {
    const folder = path.replace('.tgz', '')
    const wrote = await put(on, scope, { [path]: await sample() })
    assert.is(wrote.status, 201)
    const listed = (await paths(on, scope)).filter((listedPath) => listedPath.includes('helm/'))
    const inside = ['Chart.yaml', 'bin/run.sh', 'templates/deployment.yaml', 'values.yaml']
    assert.equal(
      listed,
      inside.map((name) => `/${folder}/${name}`),
    )
    assert.is(await get(on, scope, `${folder}/values.yaml`), 'a: 1\n')
    const answer = await read(on, scope, path)
    assert.is(answer.commit, wrote.commit)
    assert.equal(await unpack(answer.content), {
      'carts/Chart.yaml': { content: 'name: carts\n', mode: 0o644 },
      'carts/bin/run.sh': { content: '#!/bin/sh\n', mode: 0o755 },
      'carts/templates/deployment.yaml': { content: 'kind: Deployment\n', mode: 0o644 },
      'carts/values.yaml': { content: 'a: 1\n', mode: 0o644 },
    })
  })
}

charts('the archive of a folder has the same bytes from every build', async ({ on }) => {
  const scope = serviceScope('dev', 'carts')
  const long = `any/${'folder/'.repeat(30)}ä.yaml`
  await put(on, scope, {
    'helm/carts.tgz': await tgzOf(['any/b', 'b'], ['any/a', 'a'], [long, 'x']),
  })
  const one = await read(on, scope, 'helm/carts.tgz')
  const sha256 = createHash('sha256').update(one.content).digest('hex')
  assert.is(sha256, 'a7b70e7c4ae24950efc1f145ad03e60c08777ceff7de975041b3dfc64dd8eabc')
  const other = await openFixture(on.format)
  try {
    await put(other, scope, {
      'helm/carts/b': 'b',
      'helm/carts/a': 'a',
      [long.replace('any', 'helm/carts')]: 'x',
    })
    const two = await read(other, scope, 'helm/carts.tgz')
    assert.ok(two.content.equals(one.content))
    assert.is(two.oid, one.oid)
  } finally {
    await other.close()
  }
})

charts('what is packed survives being written again without a commit', async ({ on }) => {
  const scope = serviceScope('dev', 'carts')
  const wrote = await put(on, scope, { 'helm/carts.tgz': await sample() })
  const { content } = await read(on, scope, 'helm/carts.tgz')
  assert.is((await put(on, scope, { 'helm/carts.tgz': content })).commit, wrote.commit)
})

charts('a large chart is packed in many blocks', async ({ on }) => {
  const scope = projectScope()
  const large = Buffer.alloc(300_001, 'y')
  await put(on, scope, { 'helm/x.tgz': await tgzOf(['x/large', large], ['x/empty']) })
  const files = await unpack((await read(on, scope, 'helm/x.tgz')).content)
  assert.is(files['x/large']?.content, large.toString())
  assert.is(files['x/empty']?.content, '')
})

charts('a new archive replaces all of the old chart, and nothing beside it', async ({ on }) => {
  const scope = serviceScope('dev', 'carts')
  await put(on, scope, { 'helm/carts.tgz': await sample(), 'helm/other.yaml': 'stays' })
  const first = await put(on, scope, { 'helm/carts/extra.yaml': 'goes' })
  await put(on, scope, { 'helm/carts.tgz': await tgzOf(['new/Chart.yaml', 'two']) })
  const expected = ['/helm/carts/Chart.yaml', '/helm/other.yaml', '/metadata.yaml']
  assert.equal(await paths(on, scope), expected)
  const old = await read(on, scope, 'helm/carts.tgz', first.commit)
  assert.is((await unpack(old.content))['carts/extra.yaml']?.content, 'goes')
})

charts('a chart and a file in it, in one request: the last wins', async ({ on }) => {
  const scope = projectScope()
  const archive = await tgzOf(['x/values.yaml', 'from archive'], ['x/Chart.yaml', 'c'])
  const file: [string, string] = ['helm/x/values.yaml', 'from file']
  await put(on, scope, [['helm/x.tgz', archive], file])
  assert.is(await get(on, scope, 'helm/x/values.yaml'), 'from file')
  assert.is(await get(on, scope, 'helm/x/Chart.yaml'), 'c')
  await put(on, scope, [file, ['helm/x.tgz', archive]])
  assert.is(await get(on, scope, 'helm/x/values.yaml'), 'from archive')
})

charts('a chart is absent where its folder is missing or holds no file', async ({ on }) => {
  const scope = projectScope()
  const absent = 'resource_not_found: Resource not found'
  assert.is(await refusal(get(on, scope, 'helm/x.tgz')), absent)
  await put(on, scope, { 'helm/x': 'a file' })
  assert.is(await refusal(get(on, scope, 'helm/x.tgz')), absent)
  assert.is(await refusal(remove(on, scope, 'helm/x.tgz')), absent)
  const conflict = 'conflict: helm/x/ cannot be written: helm/x is a file'
  assert.is(await refusal(put(on, scope, { 'helm/x.tgz': await sample() })), conflict)
})

charts('a chart is deleted by either of its names', async ({ on }) => {
  const scope = serviceScope('dev', 'carts')
  for (const name of ['helm/carts.tgz', 'helm/carts']) {
    await put(on, scope, { 'helm/carts.tgz': await sample() })
    assert.is((await remove(on, scope, name)).status, 200)
    assert.equal(await paths(on, scope), ['/metadata.yaml'])
    const again = await refusal(remove(on, scope, name))
    assert.is(again, 'resource_not_found: Resource not found')
  }
})

charts('conditions on a chart hold against its folder', async ({ on }) => {
  const scope = projectScope()
  const write = async (version: string, precondition: object) => {
    const archive = await tgzOf(['x/Chart.yaml', version])
    return (await refusal(put(on, scope, { 'helm/x.tgz': archive }, { precondition }))).split(
      ':',
    )[0]
  }
  assert.is(await write('1', { match: '*' }), 'precondition_failed')
  assert.is(await write('1', { absent: true }), 'done')
  assert.is(await write('2', { absent: true }), 'precondition_failed')
  const { oid } = await read(on, scope, 'helm/x.tgz')
  assert.is(await write('2', { match: [oid] }), 'done')
  assert.is(await write('3', { match: [oid] }), 'precondition_failed')
})

charts('the history of a chart is that of its folder', async ({ on }) => {
  const scope = projectScope()
  const wrote = await put(on, scope, { 'helm/x.tgz': await tgzOf(['x/a', 'a']) })
  await put(on, scope, { 'y.yaml': '' })
  const path = parseResourcePath('helm/x.tgz')
  const { items } = await on.resources.history(scope, { path }, readContext())
  assert.equal(
    items.map(({ commit }) => commit),
    [wrote.commit],
  )
})

charts('paths of archives are told apart from others', () => {
  assert.equal(parseChartPath('helm/a.b.tgz'), {
    name: 'a.b',
    archive: 'helm/a.b.tgz',
    folder: 'helm/a.b',
  })
  assert.is(parseChartPath('x/helm/a.tgz')?.folder, 'x/helm/a')
  for (const path of [
    'a.tgz',
    'helm/.tgz',
    'helm/a.tgz/b',
    'helm/a/b.tgz',
    'xhelm/a.tgz',
    'helm/a.tar',
  ]) {
    assert.is(parseChartPath(path), null, path)
  }
})

charts(
  'hostile and broken archives are refused by what is wrong with them, and nothing is written',
  async ({ on }) => {
    const good: Entry = ['x/Chart.yaml', 'c']
    const tgz = await tgzOf(good)
    const link = (type: Header['type'], linkname: string): Entry => ['x/l', '', { type, linkname }]
    const table: [Buffer, string][] = [
      [await tgzOf(good, ['x/../../evil', '']), 'x/../../evil is no path'],
      [await tgzOf(good, ['../x/a', '']), '../x/a is no path'],
      [await tgzOf(good, ['/x/a', '']), '/x/a is an absolute path'],
      [await tgzOf(good, ['x/.git/config', '']), 'x/.git/config is no path'],
      [await tgzOf(good, ['x/.GIT/', '', { type: 'directory' }]), 'x/.GIT/ is no path'],
      [await tgzOf(good, ['x/a\\b', '']), 'x/a\\b is no path'],
      [await tgzOf(good, [`x/${'n'.repeat(256)}`, '']), 'a segment is longer than 255 bytes'],
      [await tgzOf(good, [`x/${'n/'.repeat(510)}y`, '']), 'longer than 1024 bytes'],
      [await tgzOf(good, link('symlink', '/etc/passwd')), 'x/l is a symlink'],
      [await tgzOf(good, link('link', 'x/Chart.yaml')), 'x/l is a link'],
      [await tgzOf(good, ['x/d', '', { type: 'character-device' }]), 'x/d is a character-device'],
      [await tgzOf(good, ['x/d', '', { type: 'block-device' }]), 'x/d is a block-device'],
      [await tgzOf(good, ['x/d', '', { type: 'fifo' }]), 'x/d is a fifo'],
      [await tgzOf(good, ['y/a', '']), 'it has two top entries, x and y'],
      [await tgzOf(['x', 'a file']), 'its top entry x is no folder'],
      [await tgzOf(['x/', '', { type: 'directory' }]), 'it has no files'],
      [await tgzOf(), 'it has no files'],
      [await tgzOf(good, ['x/a', ''], ['x/a/b', '']), 'cannot both be written'],
      [
        await tgzOf(good, ['x/.gitattributes', 'x'.repeat(3000)]),
        'helm/x/.gitattributes has a line',
      ],
      [Buffer.alloc(0), 'it is no gzip file'],
      [Buffer.from('not an archive'), 'it is no gzip file'],
      [tgz.subarray(0, tgz.length - 1), 'it is no gzip file'],
      [tgz.subarray(0, 30), 'it is no gzip file'],
      [Buffer.concat([tgz, Buffer.from('garbage')]), 'it is no gzip file'],
      [Buffer.concat([tgz, Buffer.from('\0garbage')]), 'something follows the end'],
      [Buffer.concat([tgz, Buffer.alloc(512)]), 'something follows the end'],
      [gzipSync('no tar'), 'it is no tar archive'],
      [gzipSync(Buffer.alloc(2048, 'no tar')), 'it is no tar archive'],
      [gzipSync((await tarOf([good])).subarray(0, 513)), 'it is no tar archive'],
      [
        gzipSync(Buffer.concat([await tarOf([good]), Buffer.alloc(512, 'x')])),
        'it is no tar archive',
      ],
    ]
    for (const [archive, expected] of table) {
      const refused = await refusal(
        put(on, projectScope(), { 'helm/x.tgz': archive, 'a.yaml': '' }),
      )
      assert.ok(refused.startsWith('invalid_request: helm/x'), `${expected}: ${refused}`)
      assert.ok(refused.includes(expected), `${expected}: ${refused}`)
    }
    assert.equal(await paths(on, projectScope()), ['/metadata.yaml'])
  },
)

charts('a folder that Git or a file system takes for another is no chart', async ({ on }) => {
  const archive = await sample()
  for (const name of ['..', '.', '.git', 'GIT~1', '.gitmodules', '.gitattributes']) {
    const path = `helm/${name}.tgz`
    for (const answer of [
      put(on, projectScope(), { [path]: archive }),
      remove(on, projectScope(), path),
    ]) {
      assert.is(await refusal(answer), 'invalid_request: invalid resource uri', path)
    }
    assert.is(
      await refusal(get(on, projectScope(), path)),
      'resource_not_found: Resource not found',
    )
  }
  assert.equal(await paths(on, projectScope()), ['/metadata.yaml'])
})

charts('an old archive tells its folders by a slash', async ({ on }) => {
  const old: Entry = ['x/templates/', '', { type: 'file' }]
  await put(on, projectScope(), {
    'helm/x.tgz': await tgzOf(['x/', ''], old, ['x/templates/a', 'a']),
  })
  assert.is(await get(on, projectScope(), 'helm/x/templates/a'), 'a')
})

charts('an archive of too many files, or of too many bytes, is refused', async ({ on }) => {
  const many = Array.from({ length: 10_001 }, (_, n): Entry => [`x/${n}`, ''])
  const written = put(on, projectScope(), { 'helm/x.tgz': await tgzOf(...many) })
  assert.is(await refusal(written), 'invalid_request: helm/x.tgz: it has more than 10000 files')
  const enough = put(on, projectScope(), { 'helm/x.tgz': await tgzOf(...many.slice(1)) })
  assert.is(await refusal(enough), 'done')
  const half = Buffer.alloc(32 * 1024 * 1024)
  const large = await tgzOf(['x/a', half], ['x/b', half], ['x/c', '!'])
  const tooLarge = 'invalid_request: helm/x.tgz: it unpacks to more than 64 MiB'
  assert.is(await refusal(put(on, projectScope(), { 'helm/x.tgz': large })), tooLarge)
})

charts('a gzip bomb is stopped while it unpacks', async ({ on }) => {
  const bomb = gzipSync(Buffer.alloc(256 * 1024 * 1024))
  assert.ok(bomb.length < 300_000)
  const before = process.memoryUsage().rss
  const tooLarge = 'invalid_request: helm/x.tgz: it unpacks to more than 64 MiB'
  assert.is(await refusal(put(on, projectScope(), { 'helm/x.tgz': bomb })), tooLarge)
  assert.ok(process.memoryUsage().rss - before < 200 * 1024 * 1024)
})

charts.run()
