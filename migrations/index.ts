/** Every format that this build knows, in order. A file here is never changed once it was released, only followed by another. */
import type { Migration } from '../src/cluster/migration.ts'
import { branches } from './0001-branches.ts'
import { directoryStructure } from './0002-directory-structure.ts'

export const migrations: readonly Migration[] = [branches, directoryStructure]
