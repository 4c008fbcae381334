/** Section 6 of docs/design.md, as far as a log goes: an entry says which layout the trees have, and who may read and write them. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'

import { type ErrorCode, isServiceError } from '../../src/errors.ts'
import { decodeEntry } from '../../src/repository/entry.ts'
import type { Draft, WriteRequest } from '../../src/repository/repository.ts'
import { type Bench, committer, openBench, projectName } from '../support/repositories.ts'
import { createProject, fileOf, putFile, request } from '../support/requests.ts'

const test = suite<{ bench: Bench }>('a project is upgraded')
const project = projectName('sockshop')
const soon = { timeoutMs: 10_000 }

/** A build that reads and writes formats up to one. */
const settings = (to: number) => ({
  settings: {
    build: `${to}.0.0`,
    formats: { reads: [1, to], writes: [1, to] } as const,
    committer,
    staleReadsMaxSeconds: 300,
  },
})

test.before.each(async (context) => {
  context.bench = await openBench(settings(2))
})
test.after.each(async ({ bench }) => {
  await bench.close()
})

/** An upgrade, with the change of a file if one is named. */
function upgrade(
  to: Parameters<Draft['setFormat']>[0],
  change: WriteRequest = request(async () => ({ status: 200 })),
): WriteRequest {
  const evaluate = async (draft: Draft) => {
    draft.setFormat(to)
    return change.evaluate(draft)
  }
  return { ...change, kind: 'upgrade', evaluate }
}

async function transactionOf({ store }: Bench, seq: number) {
  const key = `projects/sockshop/log/${String(seq).padStart(20, '0')}.bundle`
  const object = await store.get(key, soon)
  if (object === null || object === 'not-modified') throw new Error(`there is no entry ${seq}`)
  return decodeEntry(seq, object.body).transaction
}

async function fails(work: Promise<unknown>, code: ErrorCode): Promise<string> {
  const error = await work.then(
    () => assert.unreachable('it ended well'),
    (reason) => reason,
  )
  assert.ok(isServiceError(error, code), String(error))
  return (error as Error).message
}

test('an upgrade is an entry by itself, and what follows has the new format', async ({ bench }) => {
  const { repositories } = bench
  await repositories.write(project, createProject())
  await Promise.all([
    repositories.write(project, putFile('a.yaml', 'one')),
    repositories.write(
      project,
      upgrade({ format: 2, minReader: 2, minWriter: 1 }, putFile('b.yaml', 'turned')),
    ),
    repositories.write(project, putFile('a.yaml', 'two')),
  ])
  const kept = { format: 2, minReader: 2, minWriter: 1 }
  for (const [seq, expected] of [
    [2, { kind: 'commit', format: 1, minReader: 1, minWriter: 1 }],
    [3, { kind: 'upgrade', ...kept }],
    [4, { kind: 'commit', ...kept }],
  ] as const) {
    const { kind, format, minReader, minWriter, requests } = await transactionOf(bench, seq)
    assert.equal({ kind, format, minReader, minWriter }, expected)
    assert.is(requests.length, 1)
  }
  const { value } = await bench
    .another()
    .read(project, async (view) => [view.format, await fileOf(view, 'b.yaml')], soon)
  assert.equal(value, [2, 'turned'])
})

test('an upgrade that moves no branch is an entry all the same; made again it is none', async ({
  bench,
}) => {
  const { repositories } = bench
  await repositories.write(project, createProject())
  for (const fence of [2, 2, 1]) {
    await repositories.write(project, upgrade({ format: 1, minReader: 1, minWriter: fence }))
  }
  const { value } = await repositories.read(project, async (view) => view.seq, soon)
  assert.is(value, 3)
})

test('commits made before an upgrade stay commits of the project, also while it is made', async ({
  bench,
}) => {
  const { repositories } = bench
  await repositories.write(project, createProject())
  const { commit } = await repositories.write(project, putFile('a.yaml', 'one'))
  const look = request(async (draft) => {
    assert.ok(await draft.hasCommit(commit as NonNullable<typeof commit>))
    return { status: 200 }
  })
  await repositories.write(project, upgrade({ format: 2, minReader: 2, minWriter: 2 }, look))
})

test('a writer that is too old, and has not seen the upgrade, loses its slot and refuses', async ({
  bench,
}) => {
  const { repositories } = bench
  const old = bench.another(settings(1))
  await repositories.write(project, createProject())
  await old.write(project, putFile('a.yaml', 'one'))
  await repositories.write(project, upgrade({ format: 2, minReader: 1, minWriter: 2 }))
  const sentence = await fails(old.write(project, putFile('a.yaml', 'two')), 'format_unsupported')
  assert.match(sentence, /sockshop has format 2/)
  const read = await old.read(project, (view) => fileOf(view, 'a.yaml'), soon)
  assert.is(read.value, 'one')
})

test('a reader that is too old answers nothing of the project', async ({ bench }) => {
  const { repositories } = bench
  const old = bench.another(settings(1))
  await repositories.write(project, createProject())
  await old.read(project, (view) => fileOf(view, 'a.yaml'), soon)
  await repositories.write(project, upgrade({ format: 2, minReader: 2, minWriter: 2 }))
  await fails(
    old.read(project, (view) => fileOf(view, 'a.yaml'), soon),
    'format_unsupported',
  )
})

test.run()
