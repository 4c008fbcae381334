/** A write that meets a conversion of its project. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createConvertingRepositories } from '../../src/cluster/converting.ts'
import { silent } from '../../src/observe.ts'
import type { ProjectName } from '../../src/repository/repository.ts'
import { systemClock } from '../../src/system-clock.ts'
import { openBench } from '../support/repositories.ts'
import { createProject, request } from '../support/requests.ts'

const test = suite('a write that meets a conversion')
const project = 'p' as ProjectName

test('it waits no longer than its own time for one that another write began', async () => {
  const bench = await openBench()
  try {
    await bench.repositories.write(project, createProject())
    let conversions = 0
    const repositories = createConvertingRepositories({
      repositories: bench.repositories,
      conversions: {
        // One that does not end: the bucket is away, say.
        convert: () => {
          conversions++
          return new Promise(() => {})
        },
        quiet: () => undefined,
      },
      clock: systemClock,
      observer: silent,
      target: () => 2,
    })
    const order: string[] = []
    const write = (name: string, timeoutMs: number) =>
      repositories
        .write(project, { ...request(async () => ({ status: 200 })), timeoutMs })
        .then(({ status }) => order.push(`${name} ${status}`))
    await Promise.all([write('patient', 1_500), write('hurried', 150)])
    assert.equal(order, ['hurried 200', 'patient 200'])
    assert.is(conversions, 1)
  } finally {
    await bench.close()
  }
})

test.run()
