/** What an import asks of the log: refs and packs that are in the bucket already. */
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { encodeCommit, encodeTree, hashObject, type Oid } from '../../src/git/objects.ts'
import { encodePack, packObject } from '../../src/git/pack.ts'
import { sha256 } from '../../src/repository/entry.ts'
import type { Draft } from '../../src/repository/repository.ts'
import { finish, replay } from '../git/replay.ts'
import { stockGit } from '../git/stock-git.ts'
import { type Bench, openBench, projectName } from '../support/repositories.ts'
import { deleteProject, fileOf, putFile, request } from '../support/requests.ts'
import { requireServers } from '../support/servers.ts'

const test = suite<{ bench: Bench }>('refs and packs that are adopted')
test.before.each(async (context) => {
  context.bench = await openBench()
})
test.after.each(({ bench }) => bench.close())
const whenAble = requireServers('refs and packs that are adopted', 'git') ? test : test.skip

const project = projectName('p')
const by = { name: 'a', email: 'a@example.com', seconds: 1_000_000_000 }

/** Commits of one file each, on top of each other. */
function makeCommit(text: string, parents: Oid[] = []) {
  const blob = packObject('blob', Buffer.from(text))
  const tree = packObject('tree', encodeTree([['f', { mode: '100644', oid: blob.oid }]]))
  const content = encodeCommit({
    tree: tree.oid,
    parents,
    author: by,
    committer: by,
    message: text,
  })
  const commit = packObject('commit', content)
  return { oid: commit.oid, objects: [blob, tree, commit] }
}

function makeTag(oid: Oid, type: string) {
  const tagger = 'a <a@example.com> 1000000000 +0000'
  const text = `object ${oid}\ntype ${type}\ntag v1\ntagger ${tagger}\n\nv1\n`
  return packObject('tag', Buffer.from(text))
}

async function upload({ store }: Bench, objects: Parameters<typeof encodePack>[0]) {
  const pack = encodePack(objects)
  const name = `${hashObject('blob', pack)}.pack`
  await store.put(`projects/p/packs/${name}`, pack, { timeoutMs: 5_000 })
  return [{ name, bytes: pack.length, sha256: sha256(pack) }]
}

function adopt(bench: Bench, news: Parameters<Draft['adopt']>[0], begins: boolean) {
  const evaluate = async (draft: Draft) => {
    if (begins) draft.begin({ format: 1, defaultBranch: 'main' })
    draft.adopt(news)
    return { status: 204 }
  }
  return bench.repositories.write(project, request(evaluate, { kind: 'import' }))
}

const look = (bench: Bench, at?: Oid) =>
  bench.another().read(
    project,
    async (view) => {
      const { refs, lastKind, seq } = view
      return { file: await fileOf(view, 'f', at), refs, lastKind, seq }
    },
    { timeoutMs: 5_000, ...(at !== undefined && { at }) },
  )

whenAble(
  'they begin a project, and later imports go on in the same incarnation',
  async ({ bench }) => {
    const first = makeCommit('1\n')
    const second = makeCommit('2\n', [first.oid])
    const main = 'refs/heads/main'
    const dev = 'refs/heads/dev'
    const refs = new Map([
      [main, first.oid],
      [dev, first.oid],
    ])
    const packs = await upload(bench, first.objects)
    await adopt(bench, { refs, packs, prerequisites: [] }, true)
    const news = { refs: new Map([[main, second.oid]]), packs: await upload(bench, second.objects) }
    await adopt(bench, { ...news, prerequisites: [first.oid] }, false)
    const { value } = await look(bench)
    assert.equal([value.file, value.lastKind, value.seq], ['2\n', 'import', 2])
    assert.equal([...value.refs.keys()].sort(), [main, 'refs/meta/deleted'])
    assert.is((await look(bench, first.oid)).value.file, '1\n')
    await bench.repositories.write(project, putFile('f', '3\n'))
    const git = stockGit()
    replay(git, join(bench.folder, 'store/projects/p'))
    finish(git, 'main')
    assert.is(git.text(['log', '--format=%s', 'main']), 'put f\n2\n1')
    git.remove()
  },
)

whenAble(
  'a deleted tag is kept by the commit that it stands for, and one for a file is not kept',
  async ({ bench }) => {
    const only = makeCommit('1\n')
    const tag = makeTag(only.oid, 'commit')
    const twice = makeTag(tag.oid, 'tag')
    const blob = only.objects[0]?.oid as Oid
    const ofFile = makeTag(blob, 'blob')
    const refs = new Map([
      ['refs/heads/main', only.oid],
      ['refs/tags/v1', twice.oid],
      ['refs/tags/file', ofFile.oid],
      ['refs/tags/light', blob],
    ])
    const packs = await upload(bench, [...only.objects, tag, twice, ofFile])
    await adopt(bench, { refs, packs, prerequisites: [] }, true)
    await bench.repositories.write(project, deleteProject())
    const git = stockGit()
    replay(git, join(bench.folder, 'store/projects/p'))
    git.run(['fsck', '--strict'])
    const parents = git.text(['rev-list', '--parents', '--max-count=1', 'refs/meta/deleted'])
    assert.equal(parents.split(' ').slice(1), [only.oid])
    git.remove()
  },
)

test.run()
