/** Times as the log writes them: RFC 3339, UTC, milliseconds. */

/**
 * Writes a time.
 * @param ms milliseconds since the epoch, years 0 to 9999
 * @throws RangeError beyond that
 */
export function toRfc3339(ms: number): string {
  const text = new Date(ms).toISOString()
  if (text.length !== 24) throw new RangeError(`RFC 3339 knows no such year: ${text}`)
  return text
}

/**
 * Reads a time that `toRfc3339` wrote.
 * @returns milliseconds since the epoch; null for any other text, other forms of RFC 3339 included
 */
export function parseRfc3339(text: string): number | null {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text)) return null
  const ms = Date.parse(text)
  // The round trip refuses 30 February and 24:00, which Date moves on.
  return Number.isNaN(ms) || new Date(ms).toISOString() !== text ? null : ms
}
