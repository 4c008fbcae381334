/** Parsers of variables: text to a value, or an error that goes on where "PORT is …, but" stopped. */

/** Where the objects are. */
export type StoreLocation =
  | { kind: 'file'; directory: string }
  | {
      kind: 's3'
      bucket: string
      /** Without slashes at its ends; may be empty. */
      prefix: string
      /** Scheme, host and port; none for AWS. */
      endpoint?: string
      region: string
      /** Whether the bucket is a part of the path or of the host's name. */
      style: 'path' | 'virtual'
    }

export const text = (given: string): string => given

export function wholeNumber(min: number, max: number): (given: string) => number {
  return (given) => {
    const value = /^\d{1,16}$/.test(given) ? Number(given) : Number.NaN
    if (!(value >= min && value <= max)) fail(`must be a whole number from ${min} to ${max}`)
    return value
  }
}

export function seconds(min: number, max: number): (given: string) => number {
  return (given) => {
    const value = /^\d{1,6}(\.\d{1,3})?$/.test(given) ? Number(given) : Number.NaN
    if (!(value >= min && value <= max)) fail(`must be a number of seconds from ${min} to ${max}`)
    return value
  }
}

const byteUnits: Readonly<Record<string, number>> = {
  '': 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}

export function bytes(min: number, max: number): (given: string) => number {
  return (given) => {
    const [, digits, unit] = /^(\d{1,16})([KMGT]iB)?$/.exec(given) ?? []
    const value = Number(digits) * (byteUnits[unit ?? ''] ?? Number.NaN)
    if (!(value >= min && value <= max)) {
      fail(`must be a number of bytes from ${min} to ${max}, as in 1048576, 512KiB, 10MiB or 1GiB`)
    }
    return value
  }
}

export function oneOf<const Choice extends string>(...choices: Choice[]) {
  return (given: string): Choice => {
    const choice = choices.find((one) => one === given)
    return choice ?? fail(`must be one of ${choices.join(', ')}`)
  }
}

const levels = {
  // The names that Keptn's Go services take as well, so that a manifest moves over as it is.
  trace: 'debug',
  debug: 'debug',
  info: 'info',
  warn: 'warn',
  warning: 'warn',
  error: 'error',
  fatal: 'error',
  panic: 'error',
} as const

export function logLevel(given: string): 'debug' | 'info' | 'warn' | 'error' {
  const known: Readonly<Record<string, 'debug' | 'info' | 'warn' | 'error'>> = levels
  const name = given.toLowerCase()
  return (
    (Object.hasOwn(levels, name) ? known[name] : undefined) ??
    fail('must be debug, info, warn or error')
  )
}

export function host(given: string): string {
  if (!/^[A-Za-z0-9.:_-]+$/.test(given)) fail('must be an address or a host name, without a port')
  return given
}

export function directory(given: string): string {
  if (given.includes('\0')) fail('must be the path of a folder')
  return given
}

/** What Git takes as one part of `name <email>`. */
export function identityPart(given: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (/[<>\u0000-\u001f\u007f]/.test(given) || given.trim() !== given) {
    fail('must have no <, >, line break or blank at its ends')
  }
  return given
}

/** A careful part of what `git check-ref-format --branch` allows. */
export function branchName(given: string): string {
  const allowed =
    /^[A-Za-z0-9_][A-Za-z0-9._/-]{0,99}$/.test(given) &&
    !/\.\.|\/\/|\/\.|\.lock(\/|$)|[./]$/.test(given) &&
    given !== 'HEAD'
  if (!allowed) fail('must be a name that Git takes for a branch, as in main or release/1.0')
  return given
}

export function pathPrefix(given: string): string {
  if (given === '' || given === '/') return ''
  if (!/^(\/[A-Za-z0-9._~-]+)+\/?$/.test(given)) fail('must be a path as in /keptn')
  return given.replace(/\/$/, '')
}

/** One or more URLs of Redis servers, separated by commas. */
export function redisUrls(given: string): string[] {
  return given.split(',').map((one) => {
    const url = URL.canParse(one.trim()) ? new URL(one.trim()) : undefined
    // The value is a secret (it may hold a password), so the sentence must not repeat it.
    if (url === undefined || !/^rediss?:$/.test(url.protocol) || url.hostname === '') {
      fail('must be one or more URLs as in redis://host:6379, separated by commas')
    }
    return one.trim()
  })
}

const storeForms =
  'must be file:<folder>, or s3://<bucket>[/<prefix>][?endpoint=<URL>&region=<name>&style=path|virtual]'

export function storeLocation(given: string): StoreLocation {
  if (given.startsWith('file:')) return fileLocation(given)
  const url = given.startsWith('s3://') && URL.canParse(given) ? new URL(given) : undefined
  if (url === undefined) fail(storeForms)
  return bucketLocation(url)
}

function fileLocation(given: string): StoreLocation {
  const directory = given.slice('file:'.length).replace(/^\/\/(?=\/)/, '')
  if (directory === '' || directory.startsWith('//') || directory.includes('\0')) fail(storeForms)
  return { kind: 'file', directory }
}

function bucketLocation(url: URL): StoreLocation {
  const known = ['endpoint', 'region', 'style']
  for (const name of url.searchParams.keys()) {
    if (!known.includes(name)) fail(`must not have the parameter ${JSON.stringify(name)}`)
  }
  if (url.username !== '' || url.password !== '') {
    fail('must not hold a key: use AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY')
  }
  const bucket = url.host
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) fail('must name a bucket as S3 allows it')
  const prefix = prefixOf(url.pathname)
  const endpoint = endpointOf(url.searchParams.get('endpoint'))
  const style = url.searchParams.get('style') ?? (endpoint === undefined ? 'virtual' : 'path')
  if (style !== 'path' && style !== 'virtual') fail('must have style=path or style=virtual')
  const region = url.searchParams.get('region') || 'us-east-1'
  return { kind: 's3', bucket, prefix, ...(endpoint && { endpoint }), region, style }
}

function prefixOf(path: string): string {
  const segments = path.split('/').filter((segment) => segment !== '')
  // `decodeURIComponent` throws on a bad escape.
  const bad = segments.some((segment) => /%(?![0-9A-Fa-f]{2})|%00|%2F/i.test(segment))
  if (bad) fail('must have a prefix of plain segments')
  return segments.map(decodeURIComponent).join('/')
}

function endpointOf(given: string | null): string | undefined {
  if (!given) return undefined
  const url = URL.canParse(given) ? new URL(given) : undefined
  const plain =
    url !== undefined && /^https?:$/.test(url.protocol) && /^\/?$/.test(url.pathname + url.search)
  if (!plain || url.username !== '') fail('must have an endpoint as in http://minio:9000')
  return url.origin
}

function fail(sentence: string): never {
  throw new Error(sentence)
}
