/**
 * The witness sees a log that is no longer the one that was applied: a restored bucket, a lifecycle rule, a lost tail. A probe for the
 * next entry cannot see that, since another replica may have filled the gap.
 */
import { sleep } from '../clock.ts'
import { sha256 } from './entry.ts'
import { type Environment, storeTimeoutMs } from './environment.ts'
import type { ProjectKeys } from './keys.ts'
import { ageMsOf, laterOf, type Moment, momentOf } from './moment.ts'
import { single } from './promises.ts'
import type { Snapshot } from './snapshot.ts'

const hedgeAfterMs = 200
/** A long log takes many pages, each of them work for the store: between two of them it has four times as long for others. */
const restLeastMs = 200
const restsPerPage = 4

/** The store shows what cannot be: a person decides. */
export class LogViolation extends Error {
  /** The entry that shows it. */
  readonly seq: number

  constructor(message: string, seq: number) {
    super(message)
    this.seq = seq
  }
}

interface Applied {
  seq: number
  hash: string
  /** Empty where the store has not said it yet. */
  etag: string
}

export interface Witness {
  /** Remembers an entry that was applied. */
  applied(entry: Applied): void
  /** Says that everything applied so far was just read, by a look that began then. */
  seen(started: Moment, isWhole: boolean): void
  /** Milliseconds since the last look began; infinite before the first. */
  ageMs(): number
  /** The same, of the last look at the whole log. */
  wholeAgeMs(): number
  /** Looks whether every entry since the last look is the one applied. @throws LogViolation */
  look(): Promise<void>
  /** Looks whether the log has every sequence up to the newest applied. @throws LogViolation */
  lookWhole(): Promise<void>
  /** Compares the entries since the last look byte for byte. @throws LogViolation */
  compare(): Promise<void>
  clear(): void
}

/** Makes the witness of one project's log. */
export function createWitness(options: {
  environment: Environment
  keys: ProjectKeys
  snapshot: () => Snapshot
}): Witness {
  const { keys } = options
  const { store, clock } = options.environment
  /** From the entry last witnessed to the newest applied. */
  let window: Applied[] = []
  let looked: Moment | null = null
  let whole: Moment | null = null

  const slide = (started: Moment, last: Applied | undefined) => {
    looked = laterOf(looked, started)
    window = window.filter((entry) => entry.seq >= (last?.seq ?? 0))
  }

  /** Reads an applied entry and compares it; keeps the ETag that the store gives it now. */
  const compareEntry = async (entry: Applied): Promise<void> => {
    const known = entry.etag === '' ? {} : { ifNoneMatch: entry.etag }
    const object = await store.get(keys.entry(entry.seq), { timeoutMs: storeTimeoutMs, ...known })
    if (object === 'not-modified') return
    if (object === null)
      throw new LogViolation(`entry ${entry.seq} was applied and is gone`, entry.seq)
    if (sha256(object.body) !== entry.hash) {
      throw new LogViolation(`entry ${entry.seq} is not the one that was applied`, entry.seq)
    }
    entry.etag = object.etag
  }

  const lookByList = async (entries: Applied[]): Promise<void> => {
    const etags = await listEtags((entries[0] as Applied).seq, (entries.at(-1) as Applied).seq)
    for (const entry of entries) {
      if (etags.get(entry.seq) !== entry.etag || entry.etag === '') {
        await compareEntry({ ...entry, etag: '' })
        entry.etag = etags.get(entry.seq) ?? ''
      }
    }
  }

  /** Looks once more where a look is slow, since reads wait for it; what the log cannot be counts whoever sees it. */
  const hedged = (lookOnce: () => Promise<void>) =>
    new Promise<void>((resolve, reject) => {
      let under = 0
      const begin = () => {
        under++
        lookOnce().then(end, (error) => {
          under--
          if (under === 0 || error instanceof LogViolation) end(error)
        })
      }
      const cancel = clock.schedule(hedgeAfterMs, begin)
      const end = (error?: unknown) => {
        cancel()
        if (error === undefined) resolve()
        else reject(error)
      }
      begin()
    })

  /** ETags of the entries from one sequence to another, as a list shows them; reads may wait for one that does not rest. */
  const listEtags = async (
    from: number,
    to: number,
    rests = false,
  ): Promise<Map<number, string>> => {
    const etags = new Map<number, string>()
    let startAfter = from > 1 ? keys.entry(from - 1) : undefined
    for (;;) {
      const startedMs = clock.monotonicMs()
      const page = await store.list({
        prefix: keys.logPrefix,
        ...(startAfter !== undefined && { startAfter }),
        timeoutMs: storeTimeoutMs,
      })
      let last = 0
      for (const { key, etag } of page.objects) {
        last = keys.parseEntry(key) ?? last
        etags.set(last, etag)
      }
      if (page.next === null || last >= to) return etags
      startAfter = page.next
      const tookMs = clock.monotonicMs() - startedMs
      if (rests) await sleep(clock, Math.max(restLeastMs, restsPerPage * tookMs))
    }
  }

  return {
    applied(entry) {
      window.push(entry)
    },
    seen(started, isWhole) {
      slide(started, window.at(-1))
      if (isWhole) whole = laterOf(whole, started)
    },
    ageMs: () => ageMsOf(clock, looked),
    wholeAgeMs: () => ageMsOf(clock, whole),
    look: single(async () => {
      const started = momentOf(clock)
      const entries = [...window]
      await hedged(async () => {
        if (entries.length === 1) await compareEntry(entries[0] as Applied)
        if (entries.length > 1) await lookByList(entries)
      })
      slide(started, entries.at(-1))
    }),
    lookWhole: single(async () => {
      const started = momentOf(clock)
      const { seq: newest } = options.snapshot()
      const listed = newest === 0 ? new Map() : await listEtags(1, newest, true)
      for (let seq = 1; seq <= newest; seq++) {
        if (listed.has(seq)) continue
        // A list beside a busy writer may miss an entry; a GET may not.
        const object = await store.get(keys.entry(seq), { timeoutMs: storeTimeoutMs })
        if (object === null) throw new LogViolation(`entry ${seq} is gone`, seq)
      }
      whole = laterOf(whole, started)
    }),
    async compare() {
      for (const entry of window) await compareEntry({ ...entry, etag: '' })
    },
    clear() {
      window = []
      looked = null
      whole = null
    },
  }
}
