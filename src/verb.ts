/** What verbs that are run once have in common: their settings, their store, their place among the processes of a cluster. */
import { newReplicaId } from './adapters.ts'
import { createMembership, type Membership, type MembershipOptions } from './cluster/membership.ts'
import type { Environment } from './config.ts'
import { type Contact, makeContact } from './contact.ts'
import { sentence } from './errors.ts'
import { silent } from './observe.ts'
import { readSettings, type Settled } from './settled.ts'
import { openStoreIdentity } from './store/identity.ts'
import { failuresOf, type RuledStore } from './store/probe.ts'
import { systemClock } from './system-clock.ts'
import { version } from './version.ts'

/** A store that does not answer for so long fails the verb. */
const patienceMs = 30_000
const timeoutMs = 5_000

/**
 * Runs a verb to its end with what the environment says.
 * @param verb.failure what is told where its work throws
 * @returns its exit code; 2 where it failed, or a setting is wrong
 */
export async function runOnce(
  environment: Environment,
  verb: { work(settled: Settled): Promise<number>; failure(reason: string): string },
): Promise<number> {
  const settled = readSettings(environment)
  if ('problems' in settled) return fail(settled.problems.join('\nconfiguration-service: '))
  try {
    return await verb.work(settled)
  } catch (error) {
    return fail(verb.failure(sentence(error)))
  } finally {
    settled.observer.close()
  }
}

/** Says why a verb is not done. @returns its exit code */
export function fail(message: string): number {
  process.stderr.write(`configuration-service: ${message}\n`)
  return 2
}

/** The membership of a process that changes formats: a target is agreed only once everybody has seen the proposal, it too. */
export function membershipOfJob(
  parts: Pick<MembershipOptions, 'store' | 'log' | 'times' | 'formats' | 'quiesce'>,
  replicaId = newReplicaId(),
): Membership {
  const identity = { replicaId, role: 'migrate', build: version() } as const
  return createMembership({ ...parts, identity, clock: systemClock, observer: silent })
}

interface Reaching {
  /** Whether it is to be written to. */
  probe: boolean
  signal: AbortSignal
  giveUpAfterMs?: number
}

/** Reaches the store for a verb that runs once, and sees whether it may be written to. @throws the last failure, after half a minute */
export async function reach(
  store: RuledStore,
  { probe, signal, giveUpAfterMs = patienceMs }: Reaching,
): Promise<Contact> {
  let failure = 'interrupted'
  // Node 20 forgets `AbortSignal.timeout` inside `AbortSignal.any` with the next collection of garbage, and never tells it.
  const ended = new AbortController()
  const end = () => ended.abort()
  const timer = setTimeout(end, giveUpAfterMs)
  signal.addEventListener('abort', end)
  if (signal.aborted) end()
  const tell = (_check: string, _ok: boolean, detail: string) => {
    failure = detail
    return true
  }
  const contact = await makeContact({
    identify: async () => (await openStoreIdentity(store, { timeoutMs, signal })).storeId,
    probe: () => (probe ? failuresOf(store, { timeoutMs, signal }) : Promise.resolve([])),
    observer: silent,
    readiness: { tell },
    signal: ended.signal,
  }).finally(() => {
    clearTimeout(timer)
    signal.removeEventListener('abort', end)
  })
  if (contact === undefined) throw new Error(failure)
  return contact
}
