import { type Store, StoreError } from '../../src/store/store.ts'

type Call = { kind: 'get' | 'create' | 'put' | 'list' | 'delete'; key: string }

export interface FaultyStore extends Store {
  /** Every call that was made, in order. */
  readonly calls: Call[]
  /** Asked before each call; what it throws is the answer. */
  before: (call: Call) => void | Promise<void>
  /** Asked after each call that succeeded; what it throws is the answer, though the call took effect. */
  after: (call: Call) => void | Promise<void>
}

/** A real store, with somebody between it and its caller. */
export function createFaultyStore(store: Store): FaultyStore {
  const run = async <T>(call: Call, work: () => Promise<T>): Promise<T> => {
    faulty.calls.push(call)
    await faulty.before(call)
    const answer = await work()
    await faulty.after(call)
    return answer
  }
  const faulty: FaultyStore = {
    calls: [],
    before() {},
    after() {},
    get: (key, options) => run({ kind: 'get', key }, () => store.get(key, options)),
    create: (key, body, options) =>
      run({ kind: 'create', key }, () => store.create(key, body, options)),
    put: (key, body, options) => run({ kind: 'put', key }, () => store.put(key, body, options)),
    list: (options) => run({ kind: 'list', key: options.prefix }, () => store.list(options)),
    delete: (key, options) => run({ kind: 'delete', key }, () => store.delete(key, options)),
    close: () => store.close(),
  }
  return faulty
}

/** The failure of a store that does not answer. */
export function away(): never {
  throw new StoreError('the store is away', { definite: true, reason: 'ECONNREFUSED' })
}

/** The failure of a call whose answer was lost. */
export function lostAnswer(): never {
  throw new StoreError('no answer', { definite: false, reason: 'timeout' })
}
