import { type Config, ConfigError, type Environment, readConfig } from './config.ts'
import { sentence } from './errors.ts'
import { createObserver, type RealObserver } from './observer.ts'
import { openTokens, type Tokens } from './tokens.ts'

/** What a start begins with: everything that somebody set, checked. */
export interface Settled {
  config: Config
  observer: RealObserver
  tokens: Tokens | undefined
}

/**
 * Reads everything that may be set wrongly, the files that settings name included, so that all problems are told together.
 * @returns the settings and the observer they ask for, or a sentence for each problem
 */
export function readSettings(environment: Environment): Settled | { problems: readonly string[] } {
  const problems: string[] = []
  let observer: RealObserver | undefined
  let config: Config | undefined
  try {
    config = readConfig(environment, (variable, error) =>
      observer?.log('error', 'secret_failed', { variable, message: sentence(error) }),
    )
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    problems.push(...error.problems)
  }
  observer = createObserver({ level: config?.logLevel ?? 'error' })
  let tokens: Tokens | undefined
  try {
    if (environment.TOKENS_FILE) tokens = openTokens(environment.TOKENS_FILE, observer)
  } catch (error) {
    problems.push(sentence(error))
  }
  return config === undefined || problems.length > 0 ? { problems } : { config, observer, tokens }
}
