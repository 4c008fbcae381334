import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Oid } from '../../src/git/objects.ts'
import type { Draft } from '../../src/repository/repository.ts'
import { request } from '../support/requests.ts'
import { get, openFixture, paths, projectScope, serviceScope, stageScope } from './fixture.ts'

const test = suite('commits of a later format')

test('are read where the stages are folders, each stage its own', async () => {
  const on = await openFixture()
  try {
    let commit = '' as Oid
    const evaluate = async (draft: Draft) => {
      const tip = draft.refs.get('refs/heads/main') as Oid
      const { tree } = await draft.readCommit(tip)
      const file = (text: string) => ({ mode: '100644', oid: draft.writeBlob(Buffer.from(text)) })
      const folder = (entries: [string, { mode: string; oid: Oid }][]) => {
        return { mode: '040000', oid: draft.writeTree(entries) }
      }
      const stage = (text: string) => folder([['carts', folder([['slo.yaml', file(text)]])]])
      const root = draft.writeTree([
        [
          '.keptn-stages',
          folder([
            ['dev', stage('of dev')],
            ['prod', stage('of prod')],
          ]),
        ],
        ['metadata.yaml', file('isUsingDirectoryStructure: true\n')],
        ['shipyard.yaml', file('shipyard')],
      ])
      commit = draft.commit('main', { tree: root, message: 'as a later build has it' })
      draft.commit('main', { tree, message: 'and back' })
      return { status: 200 }
    }
    await on.bench.repositories.write(projectScope().project, request(evaluate))
    assert.is(await get(on, serviceScope('dev', 'carts'), 'slo.yaml', commit), 'of dev')
    assert.is(await get(on, serviceScope('prod', 'carts'), 'slo.yaml', commit), 'of prod')
    assert.is(await get(on, stageScope('prod'), 'carts/slo.yaml', commit), 'of prod')
    assert.is(await get(on, projectScope(), 'shipyard.yaml', commit), 'shipyard')
    assert.equal(await paths(on, stageScope('dev'), commit), ['/carts/slo.yaml'])
  } finally {
    await on.close()
  }
})

test.run()
