/** Deltas: an object as copies from its base and new bytes. @see gitformat-pack */

/**
 * Applies a delta to its base.
 * @throws Error where the delta is broken or belongs to another base
 */
export function applyDelta(base: Buffer, delta: Buffer): Buffer {
  const baseSize = readSize(delta, 0)
  const resultSize = readSize(delta, baseSize.next)
  if (baseSize.value !== base.length) throw new Error('a delta belongs to another base')
  const parts: Buffer[] = []
  let sizeBytes = 0
  // Seven bytes can copy 16 MiB, so the size is watched before anything is put together.
  for (let at = resultSize.next; at < delta.length && sizeBytes <= resultSize.value; ) {
    const { part, next } = readInstruction(base, delta, at)
    parts.push(part)
    sizeBytes += part.length
    at = next
  }
  if (sizeBytes !== resultSize.value) throw new Error('a delta makes another size than it says')
  return Buffer.concat(parts, sizeBytes)
}

function readInstruction(base: Buffer, delta: Buffer, at: number) {
  const command = delta[at] as number
  if (command === 0) throw new Error('a delta holds an instruction of an unknown kind')
  if (command & 128) return readCopy(base, delta, at + 1, command)
  const part = delta.subarray(at + 1, at + 1 + command)
  if (part.length < command) throw new Error('a delta is cut off')
  return { part, next: at + 1 + command }
}

/** The command's low seven bits say which bytes of an offset (4) and a size (3) follow; the others are 0. */
function readCopy(base: Buffer, delta: Buffer, at: number, command: number) {
  const bytes = [0, 0, 0, 0, 0, 0, 0]
  let next = at
  for (let bit = 0; bit < 7; bit++) {
    if (command & (1 << bit)) bytes[bit] = byteAt(delta, next++)
  }
  const fields = Buffer.from(bytes)
  const offset = fields.readUInt32LE(0)
  const size = fields.readUIntLE(4, 3) || 0x10000
  if (offset + size > base.length) throw new Error('a delta copies from beyond its base')
  return { part: base.subarray(offset, offset + size), next }
}

function readSize(delta: Buffer, at: number) {
  let value = 0
  let next = at
  for (let unit = 1, more = true; more; unit *= 128) {
    const byte = byteAt(delta, next++)
    value += (byte & 127) * unit
    more = byte >= 128
    if (value > 0xffff_ffff) throw new Error('a delta makes an object of 4 GiB or more')
  }
  return { value, next }
}

function byteAt(delta: Buffer, at: number): number {
  const byte = delta[at]
  if (byte === undefined) throw new Error('a delta is cut off')
  return byte
}
