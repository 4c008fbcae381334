/** Keptn's `migrate: true`: one project moves to format 2. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ServiceError } from '../../src/errors.ts'
import { parseOid } from '../../src/git/objects.ts'
import { createResources } from '../../src/resources/git-resources.ts'
import type { Resources } from '../../src/resources/resources.ts'
import { systemClock } from '../../src/system-clock.ts'
import {
  type Fixture,
  look,
  openFixture,
  projectScope,
  put,
  readContext,
  refusal,
  stageScope,
  tipOf,
  writeContext,
} from './fixture.ts'
import { portrait } from './portrait.ts'

const migrations = suite<{ on: Fixture }>('migrate')

migrations.before.each(async (context) => {
  context.on = await openFixture()
})
migrations.after.each(({ on }) => on.close())

const { project } = projectScope()

migrations(
  'migrate moves one project, once, and a retry with its key is answered the same',
  async ({ on }) => {
    await put(on, stageScope('dev'), { 'a.yaml': 'a' })
    const before = await portrait(on.resources)
    const idempotency = { key: 'k', digest: 'd' }
    const migrate = () =>
      on.resources.migrateProject(project, writeContext({ idempotency, message: 'Because.' }))
    const first = await migrate()
    assert.is(first.status, 204)
    assert.is(parseOid(first.commit ?? ''), await tipOf(on))
    assert.equal(await migrate(), first)
    const again = await on.resources.migrateProject(project, writeContext())
    assert.equal(again, { status: 204 })
    assert.equal(await portrait(on.resources), before)
    const [item] = (await on.resources.history(projectScope(), {}, readContext())).items
    assert.match(item?.message ?? '', /^Because\.\n\nStage: dev /)
    assert.equal(item?.author, writeContext().author)
    const missing = on.resources.migrateProject(projectScope('other').project, writeContext())
    assert.is(await refusal(missing), 'project_not_found: Project not found')
  },
)

migrations(
  'migrate is refused where it may not be, and asks nothing of what is migrated',
  async ({ on }) => {
    const migrate = (resources: Resources, idempotency?: { key: string; digest: string }) =>
      resources.migrateProject(project, writeContext(idempotency && { idempotency }))
    const over = (refused: ServiceError | null) =>
      createResources({
        repositories: on.bench.repositories,
        clock: systemClock,
        defaultBranch: 'main',
        refuseMigration: async () => refused,
      })
    const blocked = over(new ServiceError('conflict', 'replica a cannot read format 2'))
    const keyed = { key: 'k', digest: 'd' }
    const first = await migrate(blocked, keyed)
    assert.equal([first.status, first.message], [409, 'replica a cannot read format 2'])
    assert.equal(await migrate(over(null), keyed), first)
    const { repositories } = on.bench
    const unasked = createResources({ repositories, clock: systemClock, defaultBranch: 'main' })
    assert.match(await refusal(migrate(unasked)), /^not_supported: /)
    assert.is(await look(on, async ({ format }) => format), 1)
    assert.is((await migrate(over(null))).status, 204)
    for (const resources of [blocked, unasked]) {
      assert.equal(await migrate(resources), { status: 204 })
    }
  },
)

migrations.run()
