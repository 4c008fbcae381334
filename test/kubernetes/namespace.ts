/** The network namespace that the lab lives in: its ports are its own, so nothing on this machine is in its way, or it in theirs. */
import { existsSync, readdirSync } from 'node:fs'
import { run } from '../support/run.ts'

const folder = '/run/netns'
const prefix = 'configuration-service-'

/** Makes a namespace that is named for this process; those of processes that are gone are removed. */
export async function makeNamespace(): Promise<{ name: string; remove(): Promise<void> }> {
  const stale = existsSync(folder) ? readdirSync(folder).filter((name) => isStale(name)) : []
  for (const name of stale) await remove(name)
  const name = `${prefix}${process.pid}`
  await run(['ip', 'netns', 'add', name])
  return { name, remove: () => remove(name) }
}

/** The words that run a program inside; not `ip netns exec`, which changes the mounts as well. */
export function inside(name: string, words: string[]): string[] {
  return ['nsenter', `--net=${folder}/${name}`, '--', ...words]
}

async function remove(name: string): Promise<void> {
  await run(['ip', 'netns', 'delete', name])
}

function isStale(name: string): boolean {
  if (!name.startsWith(prefix)) return false
  return !existsSync(`/proc/${name.slice(prefix.length)}`)
}
