import { randomUUID } from 'node:crypto'
import { type CallOptions, type Store, StoreError } from './store.ts'

/** What tells this store from every other, also from a copy that was begun anew. */
export interface StoreIdentity {
  /** A UUID. */
  storeId: string
  /** RFC 3339. */
  createdAt: string
}

export const storeIdentityKey = 'store.json'
/** What to do about one that is damaged: it only tells caches and checkpoints of one store from those of another. */
export const storeIdentityRemedy =
  'bring it back from a copy of the bucket, or remove it: then checkpoints and caches are made anew'

/** A store that says "taken" and then "absent" again and again is not one to go on with. */
const attempts = 5

/**
 * Reads who the store is, and changes nothing.
 * @returns null where nobody has decided it
 * @throws as `openStoreIdentity`
 */
export async function findStoreIdentity(
  store: Store,
  options: CallOptions,
): Promise<StoreIdentity | null> {
  const found = await store.get(storeIdentityKey, options)
  if (found === 'not-modified') throw unreadable('not-modified without being asked')
  return found && parseIdentity(found.body.toString())
}

/**
 * Reads who the store is; the first who asks decides it.
 * @returns the identity, the same for everybody for ever
 * @throws StoreError, of the store itself, or `IdentityUnreadable` where `store.json` is not what we write
 */
export async function openStoreIdentity(
  store: Store,
  options: CallOptions,
): Promise<StoreIdentity> {
  const own = { storeId: randomUUID(), createdAt: new Date().toISOString() }
  for (let attempt = 0; attempt < attempts; attempt++) {
    const found = await findStoreIdentity(store, options)
    if (found !== null) return found
    const body = Buffer.from(`${JSON.stringify(own)}\n`)
    if ((await store.create(storeIdentityKey, body, options)).result === 'created') return own
  }
  throw unreadable('it is taken and absent at once')
}

function parseIdentity(text: string): StoreIdentity {
  const found = parseObject(text)
  if (typeof found.storeId !== 'string' || !/^[0-9a-f-]{36}$/.test(found.storeId)) {
    throw unreadable('it has no storeId')
  }
  return { storeId: found.storeId, createdAt: String(found.createdAt ?? '') }
}

function parseObject(text: string): Partial<Record<keyof StoreIdentity, unknown>> {
  try {
    return Object(JSON.parse(text))
  } catch (error) {
    throw unreadable('it is no JSON', error)
  }
}

function unreadable(sentence: string, cause?: unknown): StoreError {
  const reason = 'IdentityUnreadable'
  const message = `${storeIdentityKey}: ${sentence}; ${storeIdentityRemedy}`
  return new StoreError(message, { definite: true, reason, cause })
}
