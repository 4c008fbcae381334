import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createConversions } from '../../src/cluster/convert.ts'
import { projectName } from '../support/repositories.ts'
import { type ClusterBench, openClusterBench, request } from './cluster-bench.ts'
import { builds } from './fixtures.ts'

const test = suite('a single project in another format')

let bench: ClusterBench
test.before.each(async () => {
  bench = await openClusterBench()
})
test.after.each(() => bench.close())

async function member() {
  const replica = bench.member(2)
  await replica.start()
  return replica
}

test('permitted, it keeps builds out that cannot handle it, until all are brought back', async () => {
  await bench.create('p', 1)
  await bench.to(1, 1)
  const replica = await member()
  assert.is(await replica.permit(2), null)
  assert.is(await replica.permit(2), null)
  assert.is(replica.newFormat(), 1, 'the others stay where they are')
  await bench.create('moved', 1)
  const conversions = createConversions({ migrations: builds[2], committer: request.author })
  const how = { format: 2, timeoutMs: 5_000 }
  await conversions.convert(bench.repositories(2), projectName('moved'), how)
  const put = {
    kind: 'commit' as const,
    evaluate: async () => ({ status: 200 }),
    ...request,
  }
  await replica.repositories.write(projectName('moved'), put)
  assert.is(await bench.formatOf('moved'), 2, 'its next write does not move it back')
  const old = bench.member(1)
  assert.is(await old.start(), 'out-of-range')
  const report = await bench.to(2, 1)
  assert.equal([report.verdict, report.converted], ['done', 1])
  assert.is(await bench.member(1).start(), 'ready')
  assert.is((await bench.runner(2).log.follow()).seq, 7)
})

test('refused while a replica cannot handle it, and then nothing is decided', async () => {
  const replica = await member()
  await bench.announce('old', 1)
  assert.match((await replica.permit(2)) ?? '', /more than these replicas handle: old/)
  assert.equal((await bench.runner(2).log.follow()).formats, [1])
  assert.match((await replica.permit(3)) ?? '', 'this build writes formats 1 to 2')
})

test('a replica that announced itself between the look and the decision is found', async () => {
  const replica = await member()
  bench.store.before = async ({ kind, key }) => {
    if (kind !== 'create' || !key.startsWith('cluster/log/')) return
    bench.store.before = () => {}
    await bench.announce('old', 1)
  }
  assert.match((await replica.permit(2)) ?? '', /more than these replicas handle: old/)
})

test('refused while all projects are being converted to another format', async () => {
  const replica = await member()
  const { log } = bench.runner(2)
  await log.append(() => ({ kind: 'target', format: 1, acceptIrreversible: false }))
  assert.match((await replica.permit(2)) ?? '', 'projects are being converted to format 1')
})

test.run()
