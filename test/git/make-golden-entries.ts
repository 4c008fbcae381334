/**
 * Writes golden files that are not there yet: `npm run build && node dist/test/git/make-golden-entries.js`. Those that are there
 * are what the format is (docs/entry-format.md), and stay.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { clusterFiles } from '../cluster/golden-cluster.ts'
import { repositoryRoot } from '../support/programs.ts'
import { accepted, followed, imported, sockshop } from './golden-logs.ts'

const fixtures = join(repositoryRoot, 'test/fixtures')
for (const [project, make] of Object.entries({ sockshop, imported, accepted, followed })) {
  const folder = join(fixtures, 'entries', project)
  if (existsSync(folder)) continue
  const log = make()
  for (const [key, bytes] of log.objects) write(join(folder, key), bytes)
  write(join(folder, 'expected.json'), `${JSON.stringify(log.expected, null, 2)}\n`)
}
const cluster = join(fixtures, 'cluster')
if (!existsSync(cluster)) {
  for (const [key, text] of clusterFiles()) write(join(cluster, key), text)
}

function write(path: string, bytes: Buffer | string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, bytes)
}
