/** Values that must not be printed. */
import { inspect } from 'node:util'

const shown = '[SECRET]'

/** A value that prints as `[SECRET]`, whichever way it is printed; it may change while the service runs. */
export class Secret {
  readonly #read: () => string

  /** @param read gives the value as it is now */
  constructor(read: () => string) {
    this.#read = read
  }

  /** The value as it is now, for the one place that uses it. */
  reveal(): string {
    return this.#read()
  }

  toString(): string {
    return shown
  }

  toJSON(): string {
    return shown
  }

  [inspect.custom](): string {
    return shown
  }
}
