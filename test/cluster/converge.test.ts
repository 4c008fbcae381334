import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createConversions } from '../../src/cluster/convert.ts'
import type { Migration } from '../../src/cluster/migration.ts'
import type { Oid } from '../../src/git/objects.ts'
import type { Draft, Repositories, View } from '../../src/repository/repository.ts'
import { lostAnswer } from '../support/faulty-store.ts'
import { projectName } from '../support/repositories.ts'
import { until } from '../support/until.ts'
import { type Build, type ClusterBench, openClusterBench, request, times } from './cluster-bench.ts'
import { builds } from './fixtures.ts'

const test = suite('migrate to a format and back')

let bench: ClusterBench
test.before.each(async () => {
  bench = await openClusterBench()
})
test.after.each(() => bench.close())

/** The files of a project, wherever its format keeps them: the service of all fixture builds. */
async function filesOf(view: View): Promise<Map<string, string>> {
  let tree = await view.readTree((await view.readCommit(tipOf(view))).tree)
  if (view.format > 1) tree = await view.readTree(tree.get('moved')?.oid as Oid)
  const files = new Map<string, string>()
  for (const [name, { oid }] of tree) files.set(name, String(await view.readBlob(oid)))
  return files
}

const tipOf = (view: View) => view.refs.get('refs/heads/main') as Oid

async function putFile(draft: Draft, name: string, content: string): Promise<Oid> {
  const files = new Map([...(await filesOf(draft)), [name, content]])
  const entries = [...files].map(
    ([file, text]) => [file, { mode: '100644', oid: draft.writeBlob(Buffer.from(text)) }] as const,
  )
  const inner = draft.writeTree(entries)
  const tree =
    draft.format > 1 ? draft.writeTree([['moved', { mode: '040000', oid: inner }]]) : inner
  return draft.commit('main', { tree, message: `put ${name}` })
}

const write = (repositories: Repositories, project: string, name: string, content: string) =>
  repositories.write(projectName(project), {
    kind: 'commit',
    evaluate: async (draft) => ({ status: 200, commit: await putFile(draft, name, content) }),
    ...request,
  })

const read = async (repositories: Repositories, project: string) =>
  (await repositories.read(projectName(project), filesOf, { timeoutMs: 5_000 })).value

test('up and down again, every file stays what it was, and doing it twice changes nothing', async () => {
  for (const project of ['p', 'q']) await bench.create(project, 1, { 'a.yaml': project })
  for (const format of [2, 1, 2, 1] as const) {
    const report = await bench.to(2, format)
    assert.equal([report.verdict, report.projects, report.converted], ['done', 2, 2])
    const again = await bench.to(2, format)
    assert.equal([again.verdict, again.converted], ['done', 0])
    for (const project of ['p', 'q']) {
      assert.is(await bench.formatOf(project), format)
      assert.equal(await read(bench.repositories(2), project), new Map([['a.yaml', project]]))
    }
  }
})

test('a deleted project is converted too, and can be created again', async () => {
  await bench.create('p', 1)
  const one = bench.repositories(1)
  await one.write(projectName('p'), {
    kind: 'delete',
    evaluate: async (draft) => {
      draft.deleteAll()
      return { status: 204 }
    },
    ...request,
  })
  assert.is((await bench.to(2, 2)).converted, 1)
  assert.is(await bench.formatOf('p'), 2)
  await bench.create('p', 3)
  assert.is(await bench.formatOf('p'), 3)
})

test('while a replica cannot handle the format it is refused, named and taken back', async () => {
  await bench.create('p', 1)
  await bench.expand(2)
  const old = bench.member(1)
  assert.is(await old.start(), 'ready')
  const report = await bench.to(2, 2)
  assert.is(report.verdict, 'refused')
  assert.match(report.message, new RegExp(`${old.id} \\(build 0.1.0 reads format 1`))
  assert.is(await bench.formatOf('p'), 1)
  const state = await bench.runner(2).log.follow()
  assert.equal([state.proposed, state.agreed, state.formats], [null, null, [1]])
  await old.stop()
  assert.is((await bench.to(2, 2)).verdict, 'done')
})

test('a replica that starts after the job has looked finds the proposal, and is not ready', async () => {
  await bench.create('p', 1)
  await bench.expand(2)
  const old = bench.member(1)
  let entered: Promise<string> | undefined
  bench.store.before = async ({ kind, key }) => {
    // The job has looked for replicas, and is about to say that all agree.
    if (kind === 'create' && key.endsWith('3.json')) entered ??= old.start()
  }
  assert.is((await bench.to(2, 2)).verdict, 'done')
  assert.is(await entered, 'out-of-range')
})

test('a replica that was killed blocks until it is forgotten, or for long enough', async () => {
  await bench.create('p', 1)
  await bench.announce('killed', 1)
  bench.older.set('killed', times.validMs + 5_000)
  const refused = await bench.to(2, 2)
  assert.is(refused.verdict, 'refused')
  assert.match(refused.message, /killed .*not heard from for \d+ s: .*--forget killed/)
  bench.older.set('killed', times.blocksMs + 1)
  assert.is((await bench.to(2, 2)).verdict, 'done', 'an hour later')
  bench.older.set('killed', times.validMs + 5_000)
  await bench.announce('other', 1)
  bench.older.set('other', times.validMs + 5_000)
  await bench.to(2, 1)
  assert.is((await bench.to(2, 2, { forget: ['killed'] })).verdict, 'refused')
  assert.is((await bench.to(2, 2, { forget: ['other'] })).verdict, 'done')
})

test('a replica that is heard from cannot be forgotten', async () => {
  await bench.announce('alive', 1)
  const report = await bench.to(2, 2, { forget: ['alive'] })
  assert.is(report.verdict, 'refused')
  assert.match(report.message, 'alive')
})

test('a replica that drains is waited for', async () => {
  await bench.create('p', 1)
  await bench.announce('leaving', 1, { draining: true })
  const report = bench.to(2, 2)
  await until(async () => (await bench.runner(2).log.follow()).proposed !== null)
  await bench.store.delete('cluster/replicas/leaving.json', { timeoutMs: 5_000 })
  assert.is((await report).verdict, 'done')
})

test('nothing is converted before every live process has seen the target', async () => {
  await bench.create('p', 1)
  await bench.announce('slow', 2, { clusterSeq: 0 })
  const report = bench.to(2, 2)
  await until(async () => (await bench.runner(2).log.follow()).proposed !== null)
  await new Promise((resolve) => setTimeout(resolve, 5 * times.heartbeatMs))
  assert.is(await bench.formatOf('p'), 1)
  await bench.announce('slow', 2)
  assert.is((await report).verdict, 'done')
})

test('a process that never sees the target is named, and the target is taken back', async () => {
  await bench.announce('deaf', 2, { clusterSeq: 0 })
  const report = await bench.to(2, 2, { times: { ...times, patienceMs: 50 } })
  assert.is(report.verdict, 'refused')
  assert.match(report.message, /have not seen the target in time: deaf/)
  assert.is((await bench.runner(2).log.follow()).proposed, null)
})

test('who sees the target during a pass that takes longer than anybody is waited for is not named', async () => {
  for (let n = 0; n < 4; n++) await bench.create(`p${n}`, 1)
  await bench.expand(2)
  // It has seen the proposal, and not yet that all agree.
  await bench.announce('slow', 2, { clusterSeq: 2 })
  bench.store.before = async ({ kind, key }) => {
    if (kind === 'create' && key.startsWith('projects/')) await bench.announce('slow', 2)
  }
  const report = await bench.to(2, 2, { rate: 10, times: { ...times, patienceMs: 100 } })
  assert.equal([report.verdict, report.message], ['done', 'all 4 projects have format 2'])
})

test('what is proposed later wins: the job that was replaced says so and leaves it', async () => {
  for (let n = 0; n < 30; n++) await bench.create(`p${n}`, 1)
  await bench.expand(2)
  const member = bench.member(2)
  await member.start()
  const up = bench.to(2, 2, { rate: 100 })
  await until(async () => (await bench.runner(2).log.follow()).agreed?.format === 2)
  const down = bench.to(2, 1)
  assert.equal([(await up).verdict, (await down).verdict], ['refused', 'done'])
  assert.match((await up).message, /somebody replaced the target: it is 1 since/)
  for (let n = 0; n < 30; n++) assert.is(await bench.formatOf(`p${n}`), 1)
  const { agreed, formats } = await bench.runner(2).log.follow()
  assert.equal([agreed?.format, agreed?.reached, formats], [1, true, [1]])
})

test('a conversion under way is waited for before the other direction begins', async () => {
  await bench.create('p', 1)
  await bench.expand(2)
  const member = bench.member(2)
  await member.start()
  const { log } = bench.runner(2)
  await log.append(() => ({ kind: 'target', format: 2, acceptIrreversible: false }))
  await log.append(() => ({ kind: 'agreed', format: 2 }))
  let letGo = () => {}
  const held = new Promise<void>((resolve) => {
    letGo = resolve
  })
  let isHeld = false
  bench.store.before = async ({ kind, key }) => {
    if (kind !== 'create' || !key.includes('/p/log/') || isHeld) return
    isHeld = true
    await held
  }
  await until(() => member.newFormat() === 2)
  const written = write(member.repositories, 'p', 'b.yaml', 'b')
  await until(() => isHeld)
  const down = bench.to(2, 1)
  await until(async () => (await log.follow()).proposed?.format === 1)
  await new Promise((resolve) => setTimeout(resolve, 5 * times.heartbeatMs))
  assert.is((await log.follow()).proposed?.format, 1, 'not agreed while one of the other way is on')
  letGo()
  assert.is((await written).status, 200)
  assert.is((await down).verdict, 'done')
  assert.is(await bench.formatOf('p'), 1)
})

test('a user write that is first stays, and the conversion comes on top of it', async () => {
  await bench.create('p', 1)
  await bench.expand(2)
  const user = bench.repositories(2)
  let isFirst = true
  bench.store.before = async ({ kind, key }) => {
    if (kind !== 'create' || !key.includes('/p/log/') || !isFirst) return
    isFirst = false
    await write(user, 'p', 'b.yaml', 'user')
  }
  assert.is((await bench.to(2, 2)).verdict, 'done')
  assert.is(isFirst, false)
  assert.is((await read(user, 'p')).get('b.yaml'), 'user')
  assert.is(await bench.formatOf('p'), 2)
})

test('a replica converts a project before its next write, only while the cluster converts', async () => {
  await bench.create('p', 1)
  await bench.create('q', 1)
  await bench.expand(2)
  const member = bench.member(2)
  await member.start()
  const { log } = bench.runner(2)
  await write(member.repositories, 'p', 'b.yaml', 'b')
  assert.is(await bench.formatOf('p'), 1)
  await log.append(() => ({ kind: 'target', format: 2, acceptIrreversible: false }))
  await until(() => member.events.filter((event) => event === 'cluster_state').length === 2)
  await write(member.repositories, 'p', 'c.yaml', 'c')
  assert.is(await bench.formatOf('p'), 1, 'proposed only')
  await log.append(() => ({ kind: 'agreed', format: 2 }))
  assert.is(member.newFormat(), 1)
  await until(() => member.newFormat() === 2)
  const [one, two] = await Promise.all([
    write(member.repositories, 'p', 'd.yaml', 'd'),
    write(member.repositories, 'p', 'e.yaml', 'e'),
  ])
  assert.equal([one.status, two.status], [200, 200])
  assert.is(await bench.formatOf('p'), 2)
  assert.is(member.events.filter((event) => event === 'project_converted').length, 1)
  assert.equal(
    [...(await read(member.repositories, 'p')).keys()].sort().join(),
    'a.yaml,b.yaml,c.yaml,d.yaml,e.yaml',
  )
  await log.append(() => ({ kind: 'reached', format: 2 }))
  await until(async () => member.events.filter((event) => event === 'cluster_state').length === 4)
  await write(member.repositories, 'q', 'b.yaml', 'b')
  assert.is(await bench.formatOf('q'), 1, 'reached: what is left waits for migrate to')
})

test('a conversion that fails does not fail the write', async () => {
  await bench.create('p', 3)
  const { log } = bench.runner(4)
  await log.append(() => ({ kind: 'expanded', format: 4, formats: [3] }))
  await bench.to(4, 4, { acceptIrreversible: true })
  const member = bench.member(4)
  await member.start()
  // Nobody can go back there, and `migrate to` would refuse it.
  await log.append(() => ({ kind: 'target', format: 3, acceptIrreversible: false }))
  await log.append(() => ({ kind: 'agreed', format: 3 }))
  await until(() => member.newFormat() === 3)
  const outcome = await member.repositories.write(projectName('p'), {
    kind: 'commit',
    evaluate: async (draft) => ({
      status: 200,
      commit: draft.commit('main', { tree: draft.writeTree([]), message: 'by a user' }),
    }),
    ...request,
  })
  assert.is(outcome.status, 200)
  assert.ok(member.events.includes('conversion_failed'))
  assert.is(await bench.formatOf('p'), 4)
})

test('a conversion whose outcome nobody knows is brought to an end before it counts as ended', async () => {
  await bench.create('p', 1)
  const conversions = createConversions({ migrations: builds[2], committer: request.author })
  const isSlot = ({ key }: { key: string }) => key.endsWith('2.bundle')
  bench.store.before = (call) => {
    if (isSlot(call)) lostAnswer()
  }
  const repositories = bench.repositories(2)
  const conversion = conversions.convert(repositories, projectName('p'), {
    format: 2,
    timeoutMs: 300,
  })
  const error = await conversion.catch((thrown) => thrown)
  assert.is(error.code, 'outcome_unknown')
  const quiet = conversions.quiet()
  assert.ok(quiet !== undefined)
  bench.store.before = () => {}
  await quiet
  assert.is(await bench.formatOf('p'), 2)
  assert.is(conversions.quiet(), undefined)
})

test('a format that only fences writers is read by the build before, and not written', async () => {
  await bench.create('p', 1)
  const two = bench.repositories(2)
  assert.is((await bench.to(2, 2)).verdict, 'done')
  assert.is((await bench.to(3, 3)).verdict, 'done')
  assert.is((await read(two, 'p')).get('a.yaml'), 'a')
  const error = await write(two, 'p', 'b.yaml', 'b').catch((thrown) => thrown)
  assert.is(error.code, 'format_unsupported')
  assert.match(error.message, /format 3 for writers from 3; this build writes 1 to 2/)
  const one = bench.repositories(1)
  const unread = await read(one, 'p').catch((thrown) => thrown)
  assert.is(unread.code, 'format_unsupported')
  assert.match(unread.message, /needs a reader of format 2, this build reads up to 1/)
})

test('where there is no way back it asks first, and never goes back', async () => {
  await bench.create('p', 1)
  await bench.to(2, 2)
  await bench.to(3, 3)
  const asked = await bench.to(4, 4)
  assert.is(asked.verdict, 'refused')
  assert.match(asked.message, /0004-forgetting cannot be taken back: it forgets .*--accept-irrev/)
  assert.is(await bench.formatOf('p'), 3)
  assert.is((await bench.to(4, 4, { acceptIrreversible: true })).verdict, 'done')
  assert.is((await bench.to(4, 4)).verdict, 'done', 'who goes on need not accept it again')
  const back = await bench.to(4, 3)
  assert.is(back.verdict, 'refused')
  assert.match(back.message, /0004-forgetting cannot be taken back/)
})

test('a build that is too new, or too old, for what is there is refused', async () => {
  await bench.create('p', 1)
  await bench.expand(1)
  for (const report of [await bench.expand(3), await bench.to(3, 3)]) {
    assert.is(report.verdict, 'refused')
    assert.match(report.message, 'a version was skipped')
  }
  await bench.to(2, 2)
  for (const report of [await bench.expand(1), await bench.to(1, 1)]) {
    assert.is(report.verdict, 'refused')
    assert.match(report.message, /`migrate to 1` with the build that is installed now/)
  }
  assert.is(await bench.formatOf('p'), 2)
})

test('a proposal that this build cannot handle, left by a job that was killed, is replaced', async () => {
  await bench.create('p', 2)
  await bench.expand(2)
  await bench.runner(2).log.append(() => ({ kind: 'target', format: 1, acceptIrreversible: false }))
  assert.match((await bench.expand(3)).message, /format 1 is the target since/)
  const report = await bench.to(3, 2)
  assert.is(report.verdict, 'done', report.message)
  const { agreed, expanded } = await bench.runner(3).log.follow()
  assert.equal([agreed?.format, expanded], [2, 3])
})

test('expand looks at the projects themselves: one that is out of range is named', async () => {
  await bench.expand(1)
  await bench.create('p', 1)
  await bench.create('stray', 2)
  const report = await bench.expand(1)
  assert.is(report.verdict, 'refused')
  assert.match(report.message, /project stray has format 2; this build/)
})

test('expand adds once, and what it adds no old build notices', async () => {
  await bench.create('p', 1)
  const old = bench.repositories(1)
  const refs = async () => {
    const { value } = await old.read(
      projectName('p'),
      async (view) => [view.seq, [...view.refs.keys()]],
      {
        timeoutMs: 5_000,
      },
    )
    return value
  }
  assert.equal(await refs(), [1, ['refs/heads/main']])
  await Promise.all([bench.expand(2), bench.expand(2)])
  const [seq, names] = await refs()
  assert.ok((names as string[]).includes('refs/heads/expanded-2'))
  await bench.expand(2)
  assert.equal(await refs(), [seq, names])
  assert.is((await write(old, 'p', 'b.yaml', 'b')).status, 200)
})

test('a dry run tells what would be done and does none of it', async () => {
  await bench.create('p', 1)
  await bench.expand(2)
  const report = await bench.to(2, 2, { dryRun: true })
  assert.equal([report.verdict, report.converted], ['done', 1])
  await bench.announce('old', 1)
  assert.is((await bench.to(2, 2, { dryRun: true })).verdict, 'refused')
  assert.is(await bench.formatOf('p'), 1)
  assert.is((await bench.runner(2).log.follow()).seq, 1)
})

test('interrupted anywhere it goes on where it was', async () => {
  for (let n = 0; n < 12; n++) await bench.create(`p${n}`, 1)
  let left = 5
  const report = await bench.to(2, 2, { isOver: () => left <= 0, onProgress: () => left-- })
  assert.is(report.verdict, 'more')
  assert.is((await bench.to(2, 2)).verdict, 'done')
  for (let n = 0; n < 12; n++) assert.is(await bench.formatOf(`p${n}`), 2)
})

test('a project that cannot be converted now is named, and there is more to do', async () => {
  await bench.create('good', 1)
  await bench.create('torn', 1)
  await bench.expand(2)
  await bench.store.put(`projects/torn/log/${'1'.padStart(20, '0')}.bundle`, Buffer.from('?'), {
    timeoutMs: 5_000,
  })
  const report = await bench.to(2, 2)
  assert.equal([report.verdict, report.open.map(({ project }) => project)], ['more', ['torn']])
  assert.match(report.message, 'torn')
  assert.is(await bench.formatOf('good'), 2)
  const { agreed } = await bench.runner(2).log.follow()
  assert.is(agreed?.reached, false)
})

test('a migration that does not understand a project fails, names it, and leaves it as it was', async () => {
  await bench.create('good', 1)
  await bench.create('odd', 1)
  const [branches, moving] = builds[2]
  const picky: Migration = {
    ...moving,
    async up(draft) {
      const { tree } = await draft.readCommit(tipOf(draft))
      if ((await draft.readTree(tree)).has('odd.yaml')) throw new Error('what is odd.yaml?')
      return moving.up(draft)
    },
  }
  await write(bench.repositories(1), 'odd', 'odd.yaml', '')
  const report = await bench.to(2, 2, { migrations: [branches, picky] })
  assert.equal([report.verdict, report.open.map(({ project }) => project)], ['failed', ['odd']])
  assert.match(report.message, 'what is odd.yaml?')
  assert.equal([await bench.formatOf('good'), await bench.formatOf('odd')], [2, 1])
})

test('every build reads what it may, at every format', async () => {
  await bench.create('p', 1, { 'a.yaml': 'a', 'b.yaml': 'b' })
  const expected = new Map([
    ['a.yaml', 'a'],
    ['b.yaml', 'b'],
  ])
  const steps: [Build, number][] = [
    [2, 2],
    [3, 3],
    [3, 2],
    [2, 1],
  ]
  for (const [build, format] of steps) {
    assert.is((await bench.to(build, format)).verdict, 'done')
    for (const reader of [1, 2, 3, 4] as const) {
      const mayRead = reader >= (format === 3 ? 2 : format)
      const found = await read(bench.repositories(reader), 'p').catch((error) => error.code)
      assert.equal(found, mayRead ? expected : 'format_unsupported')
    }
  }
})

test.run()
