import type { Migration } from '../src/cluster/migration.ts'

/** The first format: the tree that Keptn's resource-service writes, each stage a branch. There is none before it. */
export const branches: Migration = {
  format: 1,
  name: '0001-branches',
  minReader: 1,
  minWriter: 1,
  irreversible: 'there is no format before it',
  async expand() {},
  async up() {},
  async down() {},
}
