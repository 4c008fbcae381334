import { StoreError } from './store.ts'

/**
 * Refuses what is no key of the port: UTF-8 without NUL, no empty, `.` or `..` segment.
 * @throws StoreError, definite, reason `InvalidKey`
 */
export function checkKey(key: string): void {
  if (!isKey(key)) {
    throw new StoreError(`not a key: ${JSON.stringify(key.slice(0, 200))}`, {
      definite: true,
      reason: 'InvalidKey',
    })
  }
}

const loneSurrogate = /\p{Surrogate}/u
const badSegment = /(^|\/)\.{0,2}(\/|$)/

function isKey(key: string): boolean {
  return !key.includes('\0') && !loneSurrogate.test(key) && !badSegment.test(key)
}

/** Orders two strings as their UTF-8 bytes are ordered; `<` compares UTF-16, which differs above U+FFFF. */
export function compareUtf8(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length)
  for (let i = 0; i < shorter; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return codePointRank(x) - codePointRank(y)
  }
  return a.length - b.length
}

/** Surrogates stand for code points above every other unit, but are numbered below U+E000. */
function codePointRank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit
}
