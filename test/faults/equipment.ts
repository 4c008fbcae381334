/** What replicas are started with so that a fault can reach them: a small disk, few open files, a clock that can be set. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'

export const equipments = ['plain', 'small-cache', 'small-store', 'few-files', 'own-clock'] as const
export type Equipment = (typeof equipments)[number]

/** How a replica is started. */
export interface Means {
  env: Record<string, string>
  /** As of `startService`. */
  through: readonly string[]
}

/** Bytes of a small disk: more than a run of one kind writes. */
const diskBytes = 64 * 1024 * 1024
/** A start opens more at once than a replica that serves. */
export const openFilesMost = 256
/** So many connections take all of them, and would take more. */
const hogConnections = 400
const clockFile = 'clock'

/** @param folder of the replica @returns how it is started */
export function meansOf(equipment: Equipment, folder: string): Means {
  switch (equipment) {
    case 'plain':
      return { env: {}, through: [] }
    case 'small-cache':
    case 'small-store':
      return { env: {}, through: onSmallDisk(smallDisk(equipment, folder)) }
    case 'few-files':
      return { env: {}, through: ['prlimit', `--nofile=${openFilesMost}:${openFilesMost}`] }
    case 'own-clock': {
      setClock(folder, 0)
      const env = {
        LD_PRELOAD: fakeTimeLibrary() ?? '',
        FAKETIME_TIMESTAMP_FILE: join(folder, clockFile),
        FAKETIME_NO_CACHE: '1',
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
      }
      return { env, through: [] }
    }
  }
}

/** Why replicas cannot be started so on this machine, in a sentence; null where they can. */
export function absenceOf(equipment: Equipment): string | null {
  const works = (words: readonly string[]) =>
    spawnSync(words[0] ?? '', words.slice(1), { stdio: 'ignore' }).status === 0
  switch (equipment) {
    case 'plain':
      return null
    case 'small-cache':
    case 'small-store':
      return works([...onSmallDisk('/tmp'), 'true'])
        ? null
        : 'a tmpfs in a mount namespace of its own takes root, or user namespaces'
    case 'few-files':
      return works(['prlimit', '--version']) ? null : 'prlimit is not installed (util-linux)'
    case 'own-clock':
      return fakeTimeLibrary() === null ? 'libfaketime is not installed (npm run servers)' : null
  }
}

function smallDisk(equipment: 'small-cache' | 'small-store', folder: string): string {
  const place = join(folder, 'data', equipment === 'small-cache' ? 'cache' : 'store')
  mkdirSync(place, { recursive: true })
  return place
}

/** In a mount namespace of its own, so that nothing is left of it when the process is gone. */
function onSmallDisk(place: string): string[] {
  const asRoot = process.getuid?.() === 0 ? [] : ['--map-root-user']
  const script = `mount -t tmpfs -o size=${diskBytes} tmpfs "$0" && exec "$@"`
  return ['unshare', '--mount', ...asRoot, 'sh', '-c', script, place]
}

/** The folder as the process itself sees it. */
export function insideOf(pid: number, place: string): string {
  return join('/proc', String(pid), 'root', place)
}

/** Fills a disk to the last byte. @param place on it */
export function fillDisk(place: string): void {
  const block = Buffer.alloc(1024 * 1024, 1)
  for (let sizeBytes = block.length; sizeBytes >= 1; sizeBytes = Math.floor(sizeBytes / 2)) {
    try {
      for (let number = 0; ; number++) {
        writeFileSync(join(place, `filler-${sizeBytes}-${number}`), block.subarray(0, sizeBytes))
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    }
  }
}

/** Sets the clock of a replica from now on. @param offsetSeconds against the machine's */
export function setClock(folder: string, offsetSeconds: number): void {
  const sign = offsetSeconds < 0 ? '-' : '+'
  const path = join(folder, clockFile)
  writeFileSync(`${path}.new`, `${sign}${Math.abs(offsetSeconds)}\n`)
  renameSync(`${path}.new`, path)
}

/** Opens connections to a port, and again those that are closed, until told to stop. @returns what closes them */
export function hog(port: number): () => void {
  const sockets = new Set<ReturnType<typeof connect>>()
  let isOver = false
  const open = () => {
    const socket = connect({ port, host: '127.0.0.1' })
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => {
      sockets.delete(socket)
      if (!isOver) setTimeout(open, 20)
    })
  }
  for (let count = 0; count < hogConnections; count++) open()
  return () => {
    isOver = true
    for (const socket of sockets) socket.destroy()
  }
}

/** Where Debian puts it, whatever the machine's kind; null where it is not installed. */
function fakeTimeLibrary(): string | null {
  for (const name of readdirSync('/usr/lib')) {
    const path = join('/usr/lib', name, 'faketime', 'libfaketimeMT.so.1')
    if (name.endsWith('-linux-gnu') && existsSync(path)) return path
  }
  return null
}
