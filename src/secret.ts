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

/** Values that belong together, all of one moment: a look at their files may fall between two of them. */
export function revealTogether(
  secrets: readonly (Secret | undefined)[],
): readonly (string | undefined)[] {
  for (;;) {
    const values = secrets.map((secret) => secret?.reveal())
    if (secrets.every((secret, at) => secret?.reveal() === values[at])) return values
  }
}
