/**
 * The environment as one frozen `Config`. The table `settings` is the only place that names a variable: its parser, default,
 * unit and help; the README shows the same table (a test compares them). Nothing else in the program reads the environment.
 *
 * An empty variable counts as unset. A bad value is a problem that names the variable, never a silent default; all problems are
 * reported together. A secret may come from a file instead (`<VARIABLE>_FILE`), which is read again when it changes.
 */
import { readFileSync } from 'node:fs'
import {
  branchName,
  bytes,
  directory,
  host,
  identityPart,
  logLevel,
  oneOf,
  pathPrefix,
  redisUrls,
  seconds,
  storeLocation,
  text,
  wholeNumber,
} from './config-values.ts'
import { sentence } from './errors.ts'
import { Secret } from './secret.ts'
import { type WatchedFile, watchFiles } from './watched-file.ts'

interface Setting {
  variable: string
  /** What it was called in the release before, which is still read in this one, with a warning. */
  formerly?: string
  /** Turns the text of the variable into its value, or throws what is wrong with it ("must be …"). */
  parse: (text: string) => unknown
  /** Text that stands where the variable is unset; none: the value is then `undefined`. */
  default?: string
  unit: string
  help: string
  /** It must not be printed, and may come from a file; files of secrets with the same word are replaced together. */
  secret?: 'bucket' | 'lock'
}

export const settings = {
  port: {
    variable: 'PORT',
    parse: wholeNumber(0, 65_535),
    default: '8080',
    unit: 'port',
    help: 'Where it listens; 0 takes a free one.',
  },
  host: {
    variable: 'HOST',
    parse: host,
    default: '127.0.0.1',
    unit: 'address',
    help: 'Address it listens on; the image sets `0.0.0.0`.',
  },
  store: {
    variable: 'STORE_URL',
    parse: storeLocation,
    default: 'file:./data/store',
    unit: 'URL',
    help: 'The bucket: `file:<folder>`, or `s3://<bucket>[/<prefix>]` with the parameters `endpoint` (a URL), `region` and `style` (`path` or `virtual`). A bucket must exist.',
  },
  accessKeyId: {
    variable: 'AWS_ACCESS_KEY_ID',
    parse: text,
    unit: 'text',
    help: 'Key of the bucket.',
    secret: 'bucket',
  },
  secretAccessKey: {
    variable: 'AWS_SECRET_ACCESS_KEY',
    parse: text,
    unit: 'text',
    help: 'Secret of that key.',
    secret: 'bucket',
  },
  sessionToken: {
    variable: 'AWS_SESSION_TOKEN',
    parse: text,
    unit: 'text',
    help: 'Session token of a temporary key.',
    secret: 'bucket',
  },
  redisUrls: {
    variable: 'REDIS_URL',
    parse: redisUrls,
    unit: 'URLs',
    help: 'Redis for the advisory lock, `redis://` or `rediss://`; several, separated by commas, form a quorum (of an even number the last is left out). Unset: a lock inside the process.',
    secret: 'lock',
  },
  cacheDirectory: {
    variable: 'CACHE_DIR',
    parse: directory,
    default: './data/cache',
    unit: 'folder',
    help: 'Packs that were fetched; may be emptied at any time.',
  },
  cacheMaxBytes: {
    variable: 'CACHE_MAX_BYTES',
    parse: bytes(0, 2 ** 50),
    default: '1GiB',
    unit: 'bytes',
    help: 'How large that folder may grow.',
  },
  tokensFile: {
    variable: 'TOKENS_FILE',
    parse: text,
    unit: 'file',
    help: 'Who may do what (see Tokens), read again when it changes. Unset: everybody may do everything.',
  },
  maxBodyBytes: {
    variable: 'MAX_BODY_BYTES',
    parse: bytes(1_024, 2 ** 26),
    default: '10MiB',
    unit: 'bytes',
    help: 'Largest request body; beyond it 413.',
  },
  readMaxStaleSeconds: {
    variable: 'READ_MAX_STALE_SECONDS',
    parse: wholeNumber(0, 86_400),
    default: '0',
    unit: 'seconds',
    help: 'Reads may be so old, for clients that cannot send `Cache-Control: max-stale`; 0: every read is fresh.',
  },
  staleReads: {
    variable: 'STALE_READS',
    parse: oneOf('serve', 'refuse'),
    default: 'serve',
    unit: '`serve` or `refuse`',
    help: 'Whether single files are answered from the last known state, marked as stale, while the bucket does not answer.',
  },
  staleReadsMaxSeconds: {
    variable: 'STALE_READS_MAX_SECONDS',
    parse: wholeNumber(1, 86_400),
    default: '300',
    unit: 'seconds',
    help: 'For how long after the last proof they are.',
  },
  gitUser: {
    variable: 'GIT_KEPTN_USER',
    parse: identityPart,
    default: 'keptn',
    unit: 'text',
    help: 'Name of the Git committer, and of the author where no request names one.',
  },
  gitEmail: {
    variable: 'GIT_KEPTN_EMAIL',
    parse: identityPart,
    default: 'keptn@keptn.sh',
    unit: 'text',
    help: 'E-mail address of both.',
  },
  defaultBranch: {
    variable: 'DEFAULT_REMOTE_GIT_BRANCH',
    parse: branchName,
    default: 'main',
    unit: 'branch',
    help: 'Default branch of projects that are created from now on.',
  },
  publicPathPrefix: {
    variable: 'PREFIX_PATH',
    parse: pathPrefix,
    default: '',
    unit: 'path',
    help: 'What a gateway puts before `/api/…`; shown in the OpenAPI document, as in Keptn.',
  },
  logLevel: {
    variable: 'LOG_LEVEL',
    parse: logLevel,
    default: 'info',
    unit: '`debug`, `info`, `warn` or `error`',
    help: 'Log lines below it are not written.',
  },
  requestSeconds: {
    variable: 'REQUEST_TIMEOUT_SECONDS',
    parse: seconds(0.1, 600),
    default: '25',
    unit: 'seconds',
    help: 'The longest request; past it 503.',
  },
  drainWindowSeconds: {
    variable: 'DRAIN_WINDOW_SECONDS',
    parse: seconds(0.1, 600),
    default: '10',
    unit: 'seconds',
    help: 'After SIGTERM new requests are accepted for half of it at least, until a fifth of it passed without one, and for all of it at most.',
  },
  heartbeatSeconds: {
    variable: 'HEARTBEAT_SECONDS',
    parse: seconds(0.5, 60),
    default: '5',
    unit: 'seconds',
    help: 'How often a replica tells the others that it is there; silent for six times as long it counts as killed.',
  },
  directoryStageStructure: {
    variable: 'DIRECTORY_STAGE_STRUCTURE',
    parse: text,
    unit: 'text',
    help: "Keptn's switch; without effect but a warning: the format of a project decides.",
  },
} as const satisfies Record<string, Setting>

/**
 * The end of a pod, seconds: what its controller adds to the longest request and the accept window, and all four together are its
 * grace. The chart renders the same numbers; a test holds the two together.
 */
export const podEnd = { preStopSeconds: 15, marginSeconds: 10 } as const

type Value<S> = S extends { secret: string }
  ? Secret | undefined
  : S extends { parse: (text: string) => infer T; default: string }
    ? T
    : S extends { parse: (text: string) => infer T }
      ? T | undefined
      : never

type Table = Readonly<Record<string, Setting>>
type Values<T extends Table> = { readonly [Name in keyof T]: Value<T[Name]> }

/** What the environment says, checked; secrets print as `[SECRET]`. */
export type Config = Values<typeof settings>

/** Everything that is wrong with the environment, one sentence each, each beginning with the variable's name. */
export class ConfigError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
  }
}

export type Environment = Readonly<Record<string, string | undefined>>

/** Told of what is no reason to refuse an environment. */
export interface ConfigListener {
  /** A secret's file changed to something that cannot be used; the last good value stays. */
  onSecretFailure?: (variable: string, error: unknown) => void
  /** A setting stands under the name that it had in the release before. */
  onFormerName?: (sentence: string) => void
}

/**
 * Reads and checks the environment.
 * @returns the configuration, frozen
 * @throws ConfigError with all problems; a secret's value is in none of them
 */
export function readConfig(environment: Environment, listener: ConfigListener = {}): Config {
  const config = readTable(settings, environment, listener)
  const problems = contradictions(config)
  if (problems.length > 0) throw new ConfigError(problems)
  return config
}

/** Reads what one table of settings names. @returns and throws as `readConfig` */
export function readTable<const T extends Table>(
  table: T,
  environment: Environment,
  listener: ConfigListener = {},
): Values<T> {
  const problems: string[] = []
  const values: Record<string, unknown> = {}
  const files = createSecretFiles(listener)
  for (const [name, declared] of Object.entries<Setting>(table)) {
    try {
      const setting = asNamedIn(environment, declared, listener)
      values[name] = setting.secret
        ? readSecret(setting, environment, files)
        : readPlain(setting, environment)
    } catch (error) {
      problems.push(sentence(error))
    }
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return Object.freeze(values) as Values<T>
}

/** @returns the setting by the name under which the environment has it: its own, or the one that it had before */
function asNamedIn(
  environment: Environment,
  setting: Setting,
  { onFormerName = () => {} }: ConfigListener,
): Setting {
  const { variable, formerly } = setting
  const givenAs = (name: string) =>
    environment[name] || (setting.secret && environment[`${name}_FILE`]) || undefined
  const before = formerly === undefined ? undefined : givenAs(formerly)
  if (formerly === undefined || before === undefined) return setting
  const now = givenAs(variable)
  if (now !== undefined && now !== before) {
    throw new Error(`${variable} and ${formerly}, its former name, are both set: unset ${formerly}`)
  }
  onFormerName(`${formerly} is called ${variable} now: rename it before the next release`)
  return now === undefined ? { ...setting, variable: formerly } : setting
}

function readPlain(setting: Setting, environment: Environment): unknown {
  const given = environment[setting.variable] || setting.default
  if (given === undefined) return undefined
  return parsed(setting, given, `${setting.variable} ${sentenceOf(given)}`)
}

function readSecret(
  setting: Setting,
  environment: Environment,
  files: SecretFiles,
): Secret | undefined {
  const { variable } = setting
  const given = environment[variable]
  const path = environment[`${variable}_FILE`]
  if (given && path) throw new Error(`${variable} and ${variable}_FILE are both set: unset one`)
  if (given) {
    parsed(setting, given, variable)
    return new Secret(() => given)
  }
  if (!path) return undefined
  return new Secret(files.open(setting, path))
}

interface SecretFiles {
  /** @returns what gives the secret as it is now @throws what is wrong with the file, as a problem */
  open(setting: Setting, path: string): () => string
}

/** The files of secrets: those that are replaced together are read together. */
function createSecretFiles({ onSecretFailure = () => {} }: ConfigListener): SecretFiles {
  interface Group {
    files: { variable: string; path: string; parse: (content: string) => string }[]
    watched?: WatchedFile<readonly string[]>
  }
  const groups = new Map<Setting['secret'], Group>()

  return {
    open(setting, path) {
      const variable = `${setting.variable}_FILE`
      const parse = (content: string) => secretIn(content, { setting, path })
      try {
        parse(readFileSync(path, 'utf8'))
      } catch (error) {
        throw new Error(readFailure(variable, error))
      }
      const group: Group = groups.get(setting.secret) ?? { files: [] }
      groups.set(setting.secret, group)
      const { files } = group
      const at = files.push({ variable, path, parse }) - 1
      return () => {
        // Not before all files of the group are known.
        group.watched ??= watchFiles({
          files,
          onFailure: (failed, error) => onSecretFailure(files[failed]?.variable ?? variable, error),
        })
        return group.watched.current()[at] as string
      }
    },
  }
}

/** @throws a problem that does not repeat it */
function secretIn(content: string, { setting, path }: { setting: Setting; path: string }): string {
  const variable = `${setting.variable}_FILE`
  const value = content.trim()
  if (value === '') throw new Error(`${variable}: ${path} is empty`)
  parsed(setting, value, `${variable}: what ${path} holds`)
  return value
}

function readFailure(variable: string, error: unknown): string {
  const message = sentence(error)
  return message.startsWith(variable) ? message : `${variable} cannot be read: ${message}`
}

function parsed(setting: Setting, given: string, subject: string): unknown {
  try {
    return setting.parse(given)
  } catch (error) {
    throw new Error(`${subject} ${sentence(error)}`)
  }
}

function sentenceOf(given: string): string {
  // Somebody may have put a password where none belongs.
  const told = given.replace(/\/\/[^/@]*@/g, '//[SECRET]@')
  return `is ${JSON.stringify(told.length > 100 ? `${told.slice(0, 100)}…` : told)}, but`
}

function contradictions(config: Config): string[] {
  if (config.store.kind !== 's3') return []
  return (['accessKeyId', 'secretAccessKey'] as const)
    .filter((name) => config[name] === undefined)
    .map((name) => `${settings[name].variable} must be set, as STORE_URL names a bucket`)
}
