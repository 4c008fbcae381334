/** How a verb that is run once gets hold of its store. */
import { type Contact, makeContact } from './contact.ts'
import { silent } from './observe.ts'
import { openStoreIdentity } from './store/identity.ts'
import { failuresOf, type RuledStore } from './store/probe.ts'

/** A store that does not answer for so long fails the verb. */
const patienceMs = 30_000
const timeoutMs = 5_000

/** Reaches the store for a verb that runs once, and sees whether it may be written to. @throws the last failure, after half a minute */
export async function reach(
  store: RuledStore,
  { probe, signal }: { probe: boolean; signal: AbortSignal },
): Promise<Contact> {
  let failure = 'interrupted'
  const tell = (_check: string, _ok: boolean, detail: string) => {
    failure = detail
    return true
  }
  const contact = await makeContact({
    identify: async () => (await openStoreIdentity(store, { timeoutMs, signal })).storeId,
    probe: () => (probe ? failuresOf(store, { timeoutMs, signal }) : Promise.resolve([])),
    observer: silent,
    readiness: { tell },
    signal: AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]),
  })
  if (contact === undefined) throw new Error(failure)
  return contact
}
