import { compareUtf8 } from './keys.ts'
import { type Answer, dateOf } from './s3-answers.ts'
import type { ListedObject, ListOptions, ListPage } from './store.ts'

/**
 * The query of a list.
 * @param prefix what every key of the store begins with
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
 */
export function listQuery(prefix: string, options: ListOptions): Record<string, string> {
  const { delimiter, startAfter, limit = 1000 } = options
  return {
    'list-type': '2',
    // XML cannot hold every character of a key.
    'encoding-type': 'url',
    'max-keys': `${limit}`,
    prefix: prefix + options.prefix,
    ...(delimiter && { delimiter }),
    ...(startAfter && { 'start-after': prefix + afterRolledUp(startAfter, delimiter) }),
  }
}

/**
 * Where a list goes on after a rolled-up prefix. Stores differ in whether keys below it count as after it; the last
 * character of Unicode skips them all.
 */
function afterRolledUp(startAfter: string, delimiter: string | undefined): string {
  const isRolledUp = delimiter !== undefined && startAfter.endsWith(delimiter)
  return isRolledUp ? `${startAfter}\u{10ffff}` : startAfter
}

/**
 * Reads the answer of a list. By hand, because minio's client decodes keys also where the store has not encoded them
 * (Versity Gateway: `a%41` became `aA`), and its XML parser holds up everybody for 40 ms a page where this takes 1.
 * @throws where the answer is no list
 */
export function parseList(prefix: string, options: ListOptions, answer: Answer): ListPage {
  const xml = answer.body.toString()
  const isTruncated = element(xml, 'IsTruncated')
  if (isTruncated === undefined) throw new Error('the answer is no ListBucketResult')
  const isEncoded = element(xml, 'EncodingType') === 'url'
  const textOf = (text: string) => {
    const plain = unescapeXml(text)
    return (isEncoded ? decodeURIComponent(plain.replace(/\+/g, ' ')) : plain).slice(prefix.length)
  }
  const objects = elements(xml, 'Contents').map((item) => listedObject(item, textOf))
  const prefixes = elements(xml, 'CommonPrefixes')
    .map((item) => textOf(element(item, 'Prefix') ?? ''))
    .filter((rolledUp) => compareUtf8(rolledUp, options.startAfter ?? '') > 0)
  const next = isTruncated === 'true' ? lastOf(objects, prefixes) : null
  return { objects, prefixes, next, dateMs: dateOf(answer.headers) }
}

function listedObject(item: string, textOf: (text: string) => string): ListedObject {
  return {
    key: textOf(element(item, 'Key') ?? ''),
    etag: unescapeXml(element(item, 'ETag') ?? ''),
    sizeBytes: Number(element(item, 'Size')),
    lastModifiedMs: Date.parse(element(item, 'LastModified') ?? ''),
  }
}

function lastOf(objects: ListedObject[], prefixes: string[]): string | null {
  const lasts = [objects.at(-1)?.key, prefixes.at(-1)].filter((key) => key !== undefined)
  return lasts.sort(compareUtf8).at(-1) ?? null
}

function elements(xml: string, name: string): string[] {
  const found: string[] = []
  const [open, close] = [`<${name}>`, `</${name}>`]
  for (let at = xml.indexOf(open); at >= 0; at = xml.indexOf(open, at)) {
    const end = xml.indexOf(close, at)
    if (end < 0) throw new Error('the list is cut off')
    found.push(xml.slice(at + open.length, end))
    at = end
  }
  return found
}

function element(xml: string, name: string): string | undefined {
  const start = xml.indexOf(`<${name}>`)
  if (start < 0) return undefined
  return xml.slice(start + name.length + 2, xml.indexOf('</', start))
}

const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function unescapeXml(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(/&(?:#x([0-9a-f]+)|#([0-9]+)|([a-z]+));/gi, (whole, hex, decimal, name) => {
    if (name !== undefined) return entities[name] ?? whole
    return String.fromCodePoint(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16))
  })
}
