/** Formats that no release has, for builds that no release is. */
import { branches } from '../../migrations/0001-branches.ts'
import type { Migration } from '../../src/cluster/migration.ts'
import type { Draft } from '../../src/repository/repository.ts'

const tree = '040000'
const folder = 'moved'

/** The commit of the default branch and its root, or null where there is none. */
async function rootOf(draft: Draft) {
  const tip = draft.refs.get(`refs/heads/${draft.defaultBranch}`)
  if (tip === undefined) return null
  return (await draft.readCommit(tip)).tree
}

function limits(format: number, minReader = format, minWriter = format) {
  return { format, minReader, minWriter }
}

/** Format 2: the files of the default branch lie in a folder. */
export const moving: Migration = {
  ...limits(2),
  name: '0002-moving',
  irreversible: null,
  /** Leaves a mark beside the files, once. */
  async expand(draft) {
    const root = await rootOf(draft)
    if (root === null || draft.refs.has('refs/heads/expanded-2')) return
    draft.setBranch('expanded-2', draft.refs.get(`refs/heads/${draft.defaultBranch}`) as never)
  },
  async up(draft) {
    const root = await rootOf(draft)
    draft.setFormat(limits(2))
    if (root === null) return
    const moved = draft.writeTree([[folder, { mode: tree, oid: root }]])
    draft.commit(draft.defaultBranch, { tree: moved, message: 'to format 2' })
  },
  async down(draft) {
    const root = await rootOf(draft)
    draft.setFormat(limits(1))
    if (root === null) return
    const held = (await draft.readTree(root)).get(folder)
    if (held === undefined) throw new Error('format 2 without its folder')
    draft.commit(draft.defaultBranch, { tree: held.oid, message: 'to format 1' })
  },
}

/** Format 3: only fences writers; builds of format 2 go on reading. */
export const fencing: Migration = {
  ...limits(3, 2, 3),
  name: '0003-fencing',
  irreversible: null,
  async expand() {},
  async up(draft) {
    draft.setFormat(limits(3, 2, 3))
  },
  async down(draft) {
    draft.setFormat(limits(2))
  },
}

/** Format 4: cannot be taken back. */
export const forgetting: Migration = {
  ...limits(4),
  name: '0004-forgetting',
  irreversible: 'it forgets what format 3 needs',
  async expand() {},
  async up(draft) {
    draft.setFormat(limits(4))
  },
  async down() {
    throw new Error('there is no way back')
  },
}

/** The builds of formats 1 to 4, by their format. */
export const builds = {
  1: [branches],
  2: [branches, moving],
  3: [branches, moving, fencing],
  4: [branches, moving, fencing, forgetting],
} as const satisfies Record<number, readonly Migration[]>
