/** Format 2: stages are folders of the default branch, Keptn's directory structure (`docs/design.md`, section 9). */
import type { Migration } from '../src/cluster/migration.ts'
import { convertToBranches, convertToFolders } from '../src/resources/conversion.ts'

export const directoryStructure: Migration = {
  format: 2,
  name: '0002-directory-structure',
  minReader: 2,
  minWriter: 2,
  irreversible: null,
  async expand() {},
  async up(draft) {
    if (!draft.exists || draft.format !== 1) return
    await convertToFolders(draft, 'Migrate to format 2: stages are folders\n')
  },
  async down(draft) {
    if (!draft.exists || draft.format !== 2) return
    await convertToBranches(draft, 'Migrate to format 1: stages are branches\n')
  },
}
