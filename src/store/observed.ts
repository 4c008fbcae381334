import type { counters, LabelsOf, Observer } from '../observe.ts'
import { type CreateResult, type Store, type StoredObject, StoreError } from './store.ts'

type Labels = LabelsOf<typeof counters.store_calls_total>
type Kind = Labels['kind']
type Outcome = Labels['outcome']

/** Wraps a store so that each call is counted by how it ended, and timed. */
export function observeStore(store: Store, observer: Observer): Store {
  async function observed<T>(kind: Kind, call: Promise<T>, outcomeOf: (value: T) => Outcome) {
    const startedMs = performance.now()
    let outcome: Outcome = 'ambiguous'
    try {
      const value = await call
      outcome = outcomeOf(value)
      return value
    } catch (error) {
      if (error instanceof StoreError && error.definite) outcome = 'refused'
      throw error
    } finally {
      observer.count('store_calls_total', { kind, outcome })
      observer.record('store_call_seconds', (performance.now() - startedMs) / 1_000, { kind })
    }
  }
  return {
    get: (key, options) => observed('get', store.get(key, options), outcomeOfGet),
    create: (key, body, options) =>
      observed('create', store.create(key, body, options), outcomeOfCreate),
    put: (key, body, options) => observed('put', store.put(key, body, options), () => 'ok'),
    list: (options) => observed('list', store.list(options), () => 'ok'),
    delete: (key, options) => observed('delete', store.delete(key, options), () => 'ok'),
    close: () => store.close(),
  }
}

function outcomeOfGet(found: StoredObject | 'not-modified' | null): Outcome {
  if (found === null) return 'absent'
  return found === 'not-modified' ? 'not_modified' : 'ok'
}

function outcomeOfCreate({ result }: CreateResult): Outcome {
  return result === 'created' ? 'ok' : result
}
