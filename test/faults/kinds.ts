/** The faults: what each does to which part, and how that ends. */
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Chance } from '../support/chance.ts'
import { waitFor } from '../support/processes.ts'
import { send } from '../support/send.ts'
import type { Server } from '../support/servers.ts'
import type { TcpFault } from '../support/tcp-proxy.ts'
import { type Equipment, fillDisk, hog, openFilesMost, setClock } from './equipment.ts'
import { type BucketStand, cacheOf, type Line, lines, type Stand, storeOf } from './stand.ts'

/** Ends a fault; resolves when it has ended. */
export type Heal = () => Promise<void> | void

interface Common {
  name: string
  title: string
  /** How often in the whole campaign. */
  rounds: number
  /** For how long, milliseconds, from and to; as of the campaign unless told. */
  lastsMs?: readonly [number, number]
  equipment: Equipment
}

/** A fault of the three replicas over a bucket, or of the one over a folder. */
export type FaultKind = Common &
  (
    | { on: 'bucket'; strike(stand: BucketStand, chance: Chance): Promise<Heal> | Heal }
    | { on: 'folder'; strike(stand: Stand, chance: Chance): Promise<Heal> | Heal }
  )

const parts = ['replica', 'minio', 'redis', 'nginx'] as const
type Part = (typeof parts)[number]

const words: Record<Part, string> = {
  replica: 'a replica',
  minio: 'MinIO',
  redis: 'Redis',
  nginx: 'nginx',
}

/** A hundred in all. */
const killRounds: Record<Part, number> = { replica: 40, minio: 20, redis: 20, nginx: 20 }

/** A supervisor starts again what died, after a moment. */
const kills: FaultKind[] = parts.map((part) => ({
  name: `kill-${part}`,
  title: `\`kill -9\` of ${words[part]}, which is started again`,
  rounds: killRounds[part],
  lastsMs: [0, 500],
  equipment: 'plain',
  on: 'bucket',
  async strike(stand, chance) {
    if (part === 'replica') {
      const replica = chance.pick(stand.replicas)
      await replica.kill()
      return () => replica.start()
    }
    await stand[part].kill()
    return () => stand[part].restart()
  },
}))

const stops: FaultKind[] = parts.map((part) => ({
  name: `stop-${part}`,
  title: `SIGSTOP of ${words[part]}, then SIGCONT`,
  rounds: 4,
  equipment: 'plain',
  on: 'bucket',
  strike(stand, chance) {
    if (part !== 'replica') return pause(stand[part])
    const { process } = chance.pick(stand.replicas).service
    process.signal('SIGSTOP')
    return () => process.signal('SIGCONT')
  },
}))

function pause(server: Server): Heal {
  server.pause()
  return () => server.resume()
}

const wires: Record<string, { title: string; fault: (chance: Chance) => TcpFault }> = {
  cut: { title: 'connections are reset, also new ones', fault: () => 'cut' },
  delay: {
    title: 'bytes come 50 to 300 ms later, each way',
    fault: (chance) => ({ delayMs: chance.between(50, 300) }),
  },
  'half-open': {
    title: 'bytes vanish; connections of then stay silent for ever',
    fault: () => 'half-open',
  },
  bandwidth: {
    title: '5 to 50 kB a second for each connection',
    fault: (chance) => ({ bytesPerSecond: chance.between(5_000, 50_000) }),
  },
  reset: {
    title: 'each connection is reset after 1 to 5,000 bytes',
    fault: (chance) => ({ resetAfterBytes: () => chance.between(1, 5_000) }),
  },
}

/** Of one replica or of all of them. */
function wireKinds(line: Line): FaultKind[] {
  return Object.entries(wires).map(([name, { title, fault }]) => ({
    name: `${line}-${name}`,
    title: `${line.replace('-', ' to ')}: ${title}`,
    rounds: 4,
    equipment: 'plain',
    on: 'bucket',
    strike(stand, chance) {
      const all = stand.proxies[line]
      const struck = chance.happens(0.7) ? all : [chance.pick(all)]
      const drawn = fault(chance)
      for (const proxy of struck) proxy.become(drawn)
      return () => {
        for (const proxy of struck) proxy.become('pass')
      }
    },
  }))
}

const hour = 3_600

function clockKind(name: string, offsetSeconds: number): FaultKind {
  return {
    name: `clock-${name}`,
    title: `the clocks of one replica, or of all, jump an hour ${name}, and back again`,
    rounds: 4,
    equipment: 'own-clock',
    on: 'bucket',
    async strike(stand, chance) {
      const all = stand.replicas
      const struck = chance.happens(0.5) ? all : [chance.pick(all)]
      const set = (seconds: number) => {
        for (const { service } of struck) setClock(service.folder, seconds)
      }
      set(offsetSeconds)
      await Promise.all(struck.map(({ service }) => expectClock(service.url, offsetSeconds)))
      return () => set(0)
    },
  }
}

async function expectClock(url: string, offsetSeconds: number): Promise<void> {
  // Node dates its answers anew once a second.
  await sleep(1_100)
  const { headers } = await send(url, { method: 'GET', path: '/livez' })
  const seenSeconds = (Date.parse(headers.date ?? '') - Date.now()) / 1_000
  if (Math.abs(seenSeconds - offsetSeconds) > 60) {
    throw new Error(`the clock of ${url} is ${seenSeconds} s off, not ${offsetSeconds} s`)
  }
}

/** @param place on the disk @returns what frees it again */
function fill(place: string): Heal {
  fillDisk(place)
  return () => {
    for (const name of readdirSync(place)) {
      if (name.startsWith('filler-')) rmSync(join(place, name))
    }
  }
}

const disks: FaultKind[] = [
  {
    name: 'full-cache',
    title: 'the disk of every cache is full',
    rounds: 4,
    equipment: 'small-cache',
    on: 'bucket',
    strike({ replicas }) {
      const heals = replicas.map(({ service }) => fill(cacheOf(service)))
      return async () => {
        for (const heal of heals) await heal()
      }
    },
  },
  {
    name: 'full-store',
    title: 'the disk of a `file:` store is full (one replica)',
    rounds: 4,
    equipment: 'small-store',
    on: 'folder',
    strike: ({ replicas: [replica] }) => {
      if (replica === undefined) throw new Error('there is no replica')
      return fill(storeOf(replica.service))
    },
  },
]

const files: FaultKind = {
  name: 'few-files',
  title: 'no replica can open one more file or connection (`EMFILE`)',
  rounds: 4,
  equipment: 'few-files',
  on: 'bucket',
  async strike({ replicas }) {
    const heals = replicas.map(({ service }) => hog(service.port))
    await Promise.all(replicas.map(({ service }) => expectMany(service.process.pid)))
    return () => {
      for (const heal of heals) heal()
    }
  },
}

/** A fault that does not happen would prove nothing. What finds no place is closed at once, so the number is never full for long. */
function expectMany(pid: number): Promise<void> {
  const isFull = () => readdirSync(`/proc/${pid}/fd`).length >= openFilesMost - 10
  return waitFor(isFull, { what: `process ${pid} to have all files open that it may` })
}

/** All kinds, those together that need the same equipment. */
export const kinds: readonly FaultKind[] = [
  ...kills,
  ...stops,
  ...lines.flatMap(wireKinds),
  ...disks,
  files,
  clockKind('forward', hour),
  clockKind('back', -hour),
]
