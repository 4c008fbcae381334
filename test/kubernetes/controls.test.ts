import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { makeFolder, removeFolder } from '../support/processes.ts'
import { repositoryRoot } from '../support/programs.ts'
import { controlNames, copyChart, isControl } from './controls.ts'

const test = suite('controls of the gate on Kubernetes')
const chart = join(repositoryRoot, 'charts', 'configuration-service')

test('each still finds what it changes in the chart', () => {
  const folder = makeFolder('controls')
  try {
    const deployment = (root: string) =>
      readFileSync(join(root, 'templates', 'deployment.yaml'), 'utf8')
    for (const name of controlNames) {
      assert.ok(isControl(name))
      copyChart(chart, join(folder, name), name)
      assert.is.not(deployment(join(folder, name)), deployment(chart), name)
    }
    copyChart(chart, join(folder, 'none'))
    assert.is(deployment(join(folder, 'none')), deployment(chart))
  } finally {
    removeFolder(folder)
  }
})

test.run()
