import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createConversions } from '../../src/cluster/convert.ts'
import { projectName } from '../support/repositories.ts'
import { type ClusterBench, type Member, openClusterBench, request } from './cluster-bench.ts'
import { builds } from './fixtures.ts'

const test = suite('a project that is undeleted')

let bench: ClusterBench
test.before.each(async () => {
  bench = await openClusterBench()
})
test.after.each(() => bench.close())

const p = projectName('p')
async function member(build: 1 | 2): Promise<Member> {
  const replica = bench.member(build)
  await replica.start()
  return replica
}

const remove = ({ repositories }: Member) =>
  repositories.write(p, {
    ...request,
    kind: 'delete',
    async evaluate(draft) {
      draft.deleteAll()
      return { status: 204 }
    },
  })

const undelete = ({ repositories, settle }: Member) =>
  repositories.write(p, {
    ...request,
    kind: 'create',
    async evaluate(draft) {
      if (!(await draft.revive())) return { status: 404 }
      await settle(draft)
      return { status: 204 }
    },
  })

const refsOf = ({ repositories }: Member) =>
  repositories.read(p, async ({ refs }) => [...refs.keys()], { timeoutMs: 5_000 })

test('it has the format that the others were converted to meanwhile', async () => {
  await bench.create('p', 1)
  await bench.to(1, 1)
  const replica = await member(2)
  await remove(replica)
  assert.is((await bench.to(2, 2)).verdict, 'done')
  assert.is((await undelete(replica)).status, 204)
  assert.is(await bench.formatOf('p'), 2)
})

test('it has what an expansion brought that passed it by', async () => {
  await bench.create('p', 1)
  await remove(await member(1))
  const replica = await member(2)
  await undelete(replica)
  assert.is(await bench.formatOf('p'), 1)
  assert.ok((await refsOf(replica)).value.includes('refs/heads/expanded-2'))
})

test('it stays in a format that single projects may have', async () => {
  await bench.create('p', 1)
  await bench.to(1, 1)
  const replica = await member(2)
  assert.is(await replica.permit(2), null)
  const conversions = createConversions({ migrations: builds[2], committer: request.author })
  await conversions.convert(bench.repositories(2), p, { format: 2, timeoutMs: 5_000 })
  await remove(replica)
  await undelete(replica)
  assert.is(await bench.formatOf('p'), 2)
})

test('a build that does not know its format leaves it where it is, and says so', async () => {
  await bench.create('p', 1)
  const newer = await member(2)
  await bench.to(2, 2)
  await remove(newer)
  await bench.to(2, 1)
  await newer.stop()
  const older = await member(1)
  try {
    await undelete(older)
    assert.unreachable()
  } catch (error) {
    assert.match(String(error), 'it was deleted in format 2, this build knows formats up to 1')
  }
  assert.is((await undelete(await member(2))).status, 204)
  assert.is(await bench.formatOf('p'), 1)
})

test.run()
