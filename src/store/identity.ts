import { randomUUID } from 'node:crypto'
import { type CallOptions, type Store, StoreError } from './store.ts'

/** What tells this store from every other, also from a copy that was begun anew. */
export interface StoreIdentity {
  /** A UUID. */
  storeId: string
  /** RFC 3339. */
  createdAt: string
}

const key = 'store.json'

/** A store that says "taken" and then "absent" again and again is not one to go on with. */
const attempts = 5

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
    const found = await store.get(key, options)
    if (found === 'not-modified') throw unreadable('not-modified without being asked')
    if (found !== null) return parseIdentity(found.body.toString())
    const body = Buffer.from(`${JSON.stringify(own)}\n`)
    if ((await store.create(key, body, options)).result === 'created') return own
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
  return new StoreError(`${key}: ${sentence}`, { definite: true, reason, cause })
}
