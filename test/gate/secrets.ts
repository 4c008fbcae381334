/** Secrets as files, as the kubelet keeps them: a folder of links, all of which one rename turns to what is new. */
import { mkdirSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface SecretFiles {
  /** Of one secret. */
  path(name: string): string
  /** Replaces all of them at once. */
  write(values: Record<string, string>): void
}

/** @param folder where nothing is yet */
export function createSecretFiles(folder: string, values: Record<string, string>): SecretFiles {
  const data = join(folder, '..data')
  let version = 0
  const place = (given: Record<string, string>) => {
    const name = `..version-${++version}`
    mkdirSync(join(folder, name), { recursive: true })
    for (const [file, value] of Object.entries(given)) {
      writeFileSync(join(folder, name, file), value)
    }
    symlinkSync(name, join(folder, '..new'))
    renameSync(join(folder, '..new'), data)
  }
  place(values)
  for (const file of Object.keys(values)) symlinkSync(join('..data', file), join(folder, file))
  return {
    path: (name) => join(folder, name),
    write(given) {
      const old = readlinkSync(data)
      place(given)
      rmSync(join(folder, old), { recursive: true })
    },
  }
}
