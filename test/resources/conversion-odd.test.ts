import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Oid } from '../../src/git/objects.ts'
import type { Draft } from '../../src/repository/repository.ts'
import {
  convert,
  type Fixture,
  get,
  historyOf,
  look,
  openFixture,
  paths,
  plant,
  plantRoot,
  projectScope,
  put,
  refsOf,
  refusal,
  remove,
  stageScope,
  tipOf,
  writeContext,
} from './fixture.ts'
import { portrait } from './portrait.ts'

const conversions = suite<{ on: Fixture }>('conversions of what is odd')

conversions.before.each(async (context) => {
  context.on = await openFixture()
})
conversions.after.each(({ on }) => on.close())

const dev = stageScope('dev')
const { project } = projectScope()

conversions(
  'what an import left where stages come to stand is kept, and can be read',
  async ({ on }) => {
    const blob = (draft: Draft, text: string) => draft.writeBlob(Buffer.from(text))
    await plantRoot(on, (draft) => {
      const file = { mode: '100644', oid: blob(draft, 'imported') }
      const inner = draft.writeTree([['a.yaml', file]])
      return [
        ['.keptn-stages', '040000', draft.writeTree([['dev', { mode: '040000', oid: inner }]])],
      ]
    })
    const at = await tipOf(on)
    const before = await portrait(on.resources)
    for (const format of [2, 1, 2, 1] as const) {
      await convert(on, format)
      assert.equal(await portrait(on.resources), before)
      assert.is(await get(on, projectScope(), '.keptn-stages/dev/a.yaml'), 'imported')
      assert.is(await get(on, projectScope(), '.keptn-stages/dev/a.yaml', at), 'imported')
      assert.equal(await historyOf(on, projectScope(), '.keptn-stages/dev/a.yaml'), ['planted'])
    }
  },
)

conversions(
  'what cannot be kept aside stops the conversion, and nothing is lost',
  async ({ on }) => {
    const folder = (draft: Draft, name: string) => {
      const file = { mode: '100644', oid: draft.writeBlob(Buffer.from(name)) }
      return draft.writeTree([[name, file]])
    }
    await plantRoot(on, (draft) => [
      ['.keptn-stages', '040000', folder(draft, 'a')],
      ['.configuration-service', '040000', folder(draft, '.keptn-stages')],
    ])
    const { code, message } = await convert(on, 2)
    assert.is(code, 'conflict')
    assert.match(message ?? '', /^\.configuration-service\/\.keptn-stages of the project is taken/)
    await plantRoot(on, (draft) => [
      ['.configuration-service', '100644', draft.writeBlob(Buffer.from('a file'))],
    ])
    assert.is((await convert(on, 2)).code, 'conflict')
    await plantRoot(on, (draft) => [['.configuration-service', '040000', folder(draft, 'other')]])
    assert.is((await convert(on, 2)).status, 200)
    assert.is((await convert(on, 1)).status, 200)
    const { value } = await on.bench.repositories.read(
      project,
      async (now) => {
        const { tree } = await now.readCommit(now.refs.get('refs/heads/main') as Oid)
        const own = (await now.readTree(tree)).get('.configuration-service')
        return [...(await now.readTree(own?.oid as Oid)).keys()]
      },
      { timeoutMs: 5_000 },
    )
    assert.equal(value, ['other'])
  },
)

conversions('branches that are no stages stay what they are', async ({ on }) => {
  await plant(on, (draft) => {
    draft.setBranch('feature/x', draft.refs.get('refs/heads/dev') as Oid)
  })
  const before = await portrait(on.resources)
  const feature = await tipOf(on, 'feature/x')
  await convert(on, 2)
  assert.is(await tipOf(on, 'feature/x'), feature)
  assert.equal(await portrait(on.resources), before)
  const created = on.resources.createStage(stageScope('feature'), writeContext())
  assert.match(await refusal(created), /^conflict: refs.heads.feature cannot stand/)
  await convert(on, 1)
  assert.is(await tipOf(on, 'feature/x'), feature)
  assert.equal(await portrait(on.resources), before)
})

conversions(
  'a branch that an import left beside the folders does not become a stage',
  async ({ on }) => {
    await convert(on, 2)
    await plant(on, (draft) => {
      const tree = draft.writeTree([])
      for (const name of ['dev', 'left']) draft.commit(name, { tree, message: 'left' })
    })
    const before = await portrait(on.resources)
    await convert(on, 1)
    assert.equal(await portrait(on.resources), before)
    assert.ok((await refsOf(on)).includes('refs/meta/deleted'))
  },
)

conversions(
  'folders that are no stages stay hidden, whichever way the project goes',
  async ({ on }) => {
    await convert(on, 2)
    const names = ['main', '-x', 'dev']
    await plantRoot(on, (draft) => {
      const file = { mode: '100644', oid: draft.writeBlob(Buffer.from('x')) }
      const folder = { mode: '040000', oid: draft.writeTree([['x', file]]) }
      const entries = names.map((name) => [name, folder] as const)
      return [['.keptn-stages', '040000', draft.writeTree([...entries, ['file', file]])]]
    })
    const before = await portrait(on.resources)
    assert.equal(await paths(on, dev), ['/x'])
    assert.is(await refusal(get(on, stageScope('main'), 'x')), 'stage_not_found: Stage not found')
    const created = on.resources.createStage(stageScope('file'), writeContext())
    assert.match(await refusal(created), /^conflict: stage file cannot be created/)
    for (const format of [1, 2, 1] as const) {
      await convert(on, format)
      assert.equal(await portrait(on.resources), before)
    }
  },
)

conversions('the key in the metadata is turned, and the rest of the file stays', async ({ on }) => {
  const turned = async (content: string) => {
    await plantRoot(on, (draft) => [
      ['metadata.yaml', '100755', draft.writeBlob(Buffer.from(content))],
    ])
    const answers: string[] = []
    for (const format of [2, 1] as const) {
      assert.is((await convert(on, format)).status, 200)
      answers.push(await get(on, projectScope(), 'metadata.yaml'))
    }
    const mode = await look(on, async (now) => {
      const { tree } = await now.readCommit(now.refs.get('refs/heads/main') as Oid)
      return (await now.readTree(tree)).get('metadata.yaml')?.mode
    })
    assert.is(mode, '100755')
    return answers
  }
  const both = (text: (value: boolean) => string) => [text(true), text(false)]
  assert.equal(
    await turned('# why\nprojectName: "p" # so\nISUSINGDIRECTORYSTRUCTURE: no\nx: [1,  2]\n'),
    both((v) => `# why\nprojectName: "p" # so\nISUSINGDIRECTORYSTRUCTURE: ${v}\nx: [ 1, 2 ]\n`),
  )
  assert.equal(
    await turned(`a: ${'long '.repeat(40)}\n`),
    both((v) => `a: ${'long '.repeat(40).trimEnd()}\nisUsingDirectoryStructure: ${v}\n`),
  )
  for (const unreadable of ['', '{', '[1]', 'a: *b', 'text', `a: ${'x'.repeat(70_000)}`]) {
    assert.equal(
      await turned(unreadable),
      both((v) => `isUsingDirectoryStructure: ${v}\n`),
      unreadable.slice(0, 20),
    )
  }
})

conversions(
  'a project without metadata gets some; a folder in its place stops the conversion',
  async ({ on }) => {
    await remove(on, projectScope(), 'metadata.yaml')
    await convert(on, 2)
    assert.equal(await paths(on, projectScope()), ['/metadata.yaml'])
    await convert(on, 1)
    await remove(on, projectScope(), 'metadata.yaml')
    await put(on, projectScope(), { 'metadata.yaml/x': 'x' })
    const { code, message } = await convert(on, 2)
    assert.is(code, 'conflict')
    assert.match(message ?? '', /^metadata\.yaml of the project, .*: delete it first$/)
    await remove(on, projectScope(), 'metadata.yaml')
    assert.is((await convert(on, 2)).status, 200)
  },
)

conversions(
  'a stage whose metadata claims folders is a branch of format 1 all the same',
  async ({ on }) => {
    await plant(on, (draft) => {
      const oid = draft.writeBlob(Buffer.from('isUsingDirectoryStructure: true\n'))
      const tree = draft.writeTree([['metadata.yaml', { mode: '100644', oid }]])
      draft.commit('dev', { tree, message: 'planted' })
    })
    await convert(on, 2)
    assert.is(await get(on, dev, 'metadata.yaml'), 'isUsingDirectoryStructure: true\n')
    await convert(on, 1)
    const at = await tipOf(on, 'dev')
    assert.is(await get(on, dev, 'metadata.yaml', at), 'isUsingDirectoryStructure: false\n')
  },
)

conversions.run()
