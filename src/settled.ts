import { type Config, ConfigError, type Environment, readConfig } from './config.ts'
import { sentence } from './errors.ts'
import { createObserver, type RealObserver } from './observer.ts'
import { openTokens, type Tokens } from './tokens.ts'

/** What a start begins with: everything that somebody set, checked. */
export interface Settled {
  config: Config
  observer: RealObserver
  tokens: Tokens | undefined
  /** What about the settings will have to be changed, one sentence each. */
  warnings: readonly string[]
}

/**
 * Reads everything that may be set wrongly, the files that settings name included, so that all problems are told together.
 * @returns the settings and the observer they ask for, or a sentence for each problem
 */
export function readSettings(environment: Environment): Settled | { problems: readonly string[] } {
  const problems: string[] = []
  const warnings: string[] = []
  let observer: RealObserver | undefined
  let config: Config | undefined
  try {
    config = readConfig(environment, {
      onSecretFailure: (variable, error) =>
        observer?.log('error', 'secret_failed', { variable, message: sentence(error) }),
      onFormerName: (warning) => warnings.push(warning),
    })
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
  if (config === undefined || problems.length > 0) return { problems }
  return { config, observer, tokens, warnings }
}
