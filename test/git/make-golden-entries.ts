/**
 * Writes the golden logs anew: `npm run build && node dist/test/git/make-golden-entries.js`. For as long as the entry format
 * is version 0; after that they are what the format is, and only new ones may be added.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { repositoryRoot } from '../support/programs.ts'
import { imported, sockshop } from './golden-logs.ts'

const folder = join(repositoryRoot, 'test/fixtures/entries')
for (const [project, log] of Object.entries({ sockshop: sockshop(), imported: imported() })) {
  rmSync(join(folder, project), { recursive: true, force: true })
  for (const [key, bytes] of log.objects) write(join(folder, project, key), bytes)
  write(join(folder, project, 'expected.json'), `${JSON.stringify(log.expected, null, 2)}\n`)
}

function write(path: string, bytes: Buffer | string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, bytes)
}
