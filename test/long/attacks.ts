/** What hostile and clumsy clients send, byte by byte. Each attack tells how its connections ended. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Chance } from '../support/chance.ts'

/** How often connections ended so: with a status, or `closed` without one. */
export type Ends = Map<string, number>

export interface Attack {
  name: string
  /** Lasts some seconds. */
  run(port: number, chance: Chance): Promise<Ends>
}

const project = '/v1/project/target'
const file = `${project}/resource/a.yaml`
const good = (path: string, body = '{"resourceContent":"YQ=="}') =>
  `PUT ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`

/** Opens a connection, and hands it over to be written to. @returns every status that came back on it */
function talk(
  port: number,
  write: (socket: Socket) => unknown,
  { waitMs = 10_000 } = {},
): Promise<string[]> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => write(socket))
    let text = ''
    const timer = setTimeout(() => socket.destroy(), waitMs)
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1')
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      resolve([...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status = '']) => status))
    })
  })
}

async function endsOf(talks: Promise<string[]>[]): Promise<Ends> {
  const ends: Ends = new Map()
  for (const statuses of await Promise.all(talks))
    for (const end of statuses.length === 0 ? ['closed'] : statuses)
      ends.set(end, (ends.get(end) ?? 0) + 1)
  return ends
}

function many<T>(count: number, make: (at: number) => T): T[] {
  return Array.from({ length: count }, (_, at) => make(at))
}

const truncated: Attack = {
  name: 'requests that are cut off anywhere',
  async run(port, chance) {
    const whole = good(file)
    const talks = many(400, () =>
      talk(port, (socket) => {
        socket.end(whole.slice(0, chance.between(1, whole.length - 1)))
      }),
    )
    return endsOf(talks)
  },
}

const garbled: Attack = {
  name: 'requests with bytes changed, added and left out',
  async run(port, chance) {
    const talks = many(600, () => {
      const bytes = [...Buffer.from(`${good(file)}GET ${file} HTTP/1.1\r\nHost: x\r\n\r\n`)]
      for (let change = chance.between(1, 6); change > 0; change--) {
        const at = chance.between(0, bytes.length - 1)
        bytes.splice(
          at,
          chance.between(0, 2),
          ...many(chance.between(0, 2), () => chance.between(0, 255)),
        )
      }
      return talk(port, (socket) => socket.write(Buffer.from(bytes)), { waitMs: 2_000 })
    })
    return endsOf(talks)
  },
}

const pipelined: Attack = {
  name: 'fifty requests at once on each of forty connections',
  run(port) {
    const reads = `GET ${file} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(25)
    const writes = good(file).repeat(25)
    return endsOf(
      many(40, () => talk(port, (socket) => socket.write(reads + writes), { waitMs: 6_000 })),
    )
  },
}

/** Two readings of one message: whatever is behind the first must never be taken for a request. */
const hidden = `POST /v1/project HTTP/1.1\r\nHost: x\r\nContent-Length: 26\r\n\r\n{"projectName":"smuggled"}`
const ambiguous = [
  'Content-Length: 0\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding: chunked\r\nContent-Length: 5',
  'Content-Length: 5\r\nContent-Length: 6',
  'Content-Length: 5, 5',
  'Content-Length: +5',
  'Content-Length: -1',
  'Content-Length: 0x5',
  'Content-Length : 5',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding: chunked, identity',
  'Transfer-Encoding:\tchunked\r\nContent-Length: 5',
  'Transfer-Encoding: identity\r\nContent-Length: 5',
  'X: y\r\n Content-Length: 5',
  'X: y\nContent-Length: 5',
]

const smuggled: Attack = {
  name: 'messages that two readers would end at two places',
  run(port) {
    const talks = ambiguous.map((fields) => {
      const head = `POST ${project}/resource HTTP/1.1\r\nHost: x\r\n${fields}\r\n\r\n`
      return talk(port, (socket) => socket.write(`${head}0\r\n\r\n${hidden}`), { waitMs: 3_000 })
    })
    return endsOf(talks)
  },
}

const slowHeads: Attack = {
  name: 'heads that come a byte a second',
  run(port) {
    const drip = async (socket: Socket) => {
      for (const byte of good(file)) {
        if (socket.destroyed) return
        socket.write(byte)
        await sleep(1_000)
      }
    }
    return endsOf(many(200, () => talk(port, (socket) => void drip(socket), { waitMs: 15_000 })))
  },
}

const slowBodies: Attack = {
  name: 'bodies that come a byte a second',
  run(port) {
    const drip = async (socket: Socket) => {
      socket.write(`PUT ${file} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n`)
      for (;;) {
        await sleep(1_000)
        if (socket.destroyed) return
        socket.write('x')
      }
    }
    return endsOf(many(200, () => talk(port, (socket) => void drip(socket), { waitMs: 15_000 })))
  },
}

/** What this machine lets a process open: beyond it, it would be attacked by itself. @see proc(5) */
function openFilesMost(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8')
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 1_024)
}

const silent: Attack = {
  name: 'ten thousand connections that say nothing',
  async run(port) {
    const talks: Promise<string[]>[] = []
    for (let count = 0; count < Math.min(10_000, openFilesMost() - 1_000); count++) {
      talks.push(talk(port, () => {}, { waitMs: 12_000 }))
      if (count % 500 === 499) await sleep(20)
    }
    return endsOf(talks)
  },
}

const large: Attack = {
  name: 'bodies of 64 MiB from 32 clients at once',
  run(port) {
    const piece = Buffer.alloc(64 * 1024, 'x')
    const pour = async (socket: Socket, isChunked: boolean) => {
      const closed = once(socket, 'close').catch(() => {})
      const length = isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${64 * 2 ** 20}`
      socket.write(`PUT ${file} HTTP/1.1\r\nHost: x\r\n${length}\r\n\r\n`)
      for (let sent = 0; sent < 1_024 && !socket.destroyed; sent++) {
        const goesOn = isChunked
          ? socket.write(Buffer.concat([Buffer.from('10000\r\n'), piece, Buffer.from('\r\n')]))
          : socket.write(piece)
        if (!goesOn) await Promise.race([once(socket, 'drain').catch(() => {}), closed])
      }
    }
    return endsOf(
      many(32, (at) => talk(port, (socket) => void pour(socket, at % 2 === 0), { waitMs: 20_000 })),
    )
  },
}

export const attacks = [
  truncated,
  garbled,
  pipelined,
  smuggled,
  slowHeads,
  slowBodies,
  large,
  silent,
]
