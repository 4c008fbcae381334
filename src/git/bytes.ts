/**
 * Names in Git are bytes; ours are strings. Both ways without loss: what is UTF-8 reads as such, and every byte that is not
 * becomes the lone surrogate U+DC80 + (byte - 0x80), which no UTF-8 decodes to. In between stands the byte string: one
 * character (U+0000 to U+00FF) a byte, so that `<` on byte strings compares as Git does.
 */
import { isUtf8 } from 'node:buffer'

const beyondAscii = /[^ -~]/

/**
 * Turns a name into its byte string.
 * @throws RangeError for a surrogate that stands for no byte
 */
export function toByteString(name: string): string {
  if (!beyondAscii.test(name)) return name
  let bytes = ''
  for (const character of name) bytes += bytesOf(character)
  return bytes
}

/** Turns a byte string into the name that `toByteString` takes back. */
export function fromByteString(bytes: string): string {
  if (!beyondAscii.test(bytes)) return bytes
  const buffer = Buffer.from(bytes, 'latin1')
  if (isUtf8(buffer)) return buffer.toString('utf8')
  let name = ''
  for (let at = 0; at < buffer.length; ) {
    const lengthBytes = characterLength(buffer, at)
    name +=
      lengthBytes === 0
        ? String.fromCharCode(0xdc00 + (buffer[at] as number))
        : buffer.toString('utf8', at, at + lengthBytes)
    at += Math.max(lengthBytes, 1)
  }
  return name
}

/** Compares two byte strings, as memcmp does. */
export function compareBytes(left: string, right: string): number {
  if (left === right) return 0
  return left < right ? -1 : 1
}

function bytesOf(character: string): string {
  const code = character.codePointAt(0) as number
  if (code < 0x80) return character
  if (code >= 0xdc80 && code <= 0xdcff) return String.fromCharCode(code - 0xdc00)
  if (code >= 0xd800 && code <= 0xdfff) throw new RangeError('a lone surrogate in a name')
  return Buffer.from(character, 'utf8').toString('latin1')
}

/** Length of the UTF-8 character that begins at a place, 1 to 4 bytes; 0 where none does. */
function characterLength(buffer: Buffer, at: number): number {
  for (let length = 1; length <= 4 && at + length <= buffer.length; length++) {
    if (isUtf8(buffer.subarray(at, at + length))) return length
  }
  return 0
}
