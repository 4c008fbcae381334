/** A history of a size that Keptn reaches after years, imported, and how much memory and time that takes. */
import { spawn } from 'node:child_process'
import { createCipheriv } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { startProcess } from '../support/processes.ts'
import { mainFile } from '../support/service.ts'
import { git, projectFiles } from './keptn-repositories.ts'

export interface Size {
  commits: number
  /** Of each commit's file; incompressible, so the pack is as large as all of them. */
  fileBytes: number
  stages: number
  services: number
}

/** Makes a bare repository: each commit writes one file of one service of one stage. */
export async function makeLarge(folder: string, size: Size): Promise<void> {
  mkdirSync(folder, { recursive: true })
  git(folder, ['init', '--quiet', '--bare', '--initial-branch=main'])
  const stream = spawn('git', ['-C', folder, 'fast-import', '--quiet', '--depth=0'], {
    stdio: ['pipe', 'inherit', 'inherit'],
  })
  const write = async (bytes: string | Buffer) => {
    if (!stream.stdin.write(bytes)) await once(stream.stdin, 'drain')
  }
  const who = (at: number) => `committer keptn <keptn@keptn.sh> ${1_600_000_000 + at} +0000\n`
  const { 'metadata.yaml': metadata = '' } = projectFiles('large', false)
  await write(`commit refs/heads/main\n${who(0)}data 3\none\nM 100644 inline metadata.yaml\n`)
  await write(`data ${Buffer.byteLength(metadata as string)}\n${metadata}\n`)
  for (let stage = 0; stage < size.stages; stage++) {
    await write(`reset refs/heads/stage-${stage}\nfrom refs/heads/main\n\n`)
  }
  // Zeros, enciphered: bytes that do not deflate, the same each time.
  const noise = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16))
  const zeros = Buffer.alloc(size.fileBytes)
  for (let at = 1; at < size.commits; at++) {
    const stage = at % size.stages
    const service = Math.floor(at / size.stages) % size.services
    await write(`commit refs/heads/stage-${stage}\n${who(at)}data 7\nwritten\n`)
    await write(`M 100644 inline service-${service}/slo.yaml\ndata ${zeros.length}\n`)
    await write(noise.update(zeros))
    await write('\n')
  }
  stream.stdin.end()
  const [code] = await once(stream, 'close')
  if (code !== 0) throw new Error(`git fast-import ended with ${code}`)
}

export interface Measured {
  exit: number | string
  output: string
  seconds: number
  /** The largest sum of resident memory of the program and its children that was seen, bytes. */
  peakBytes: number
}

/** Runs a verb, and looks 20 times a second at what it and its children hold in memory. */
export async function measure(
  folder: string,
  words: readonly string[],
  env = {},
): Promise<Measured> {
  const began = performance.now()
  const child = startProcess(process.execPath, ['--max-old-space-size=192', mainFile, ...words], {
    cwd: folder,
    env: { TMPDIR: folder, ...env },
  })
  let peakBytes = 0
  while (child.exited() === undefined) {
    peakBytes = Math.max(peakBytes, residentBytes(child.pid))
    await sleep(50)
  }
  const exit = await child.ended()
  const seconds = Math.round((performance.now() - began) / 1_000)
  return { exit, output: child.output(), seconds, peakBytes }
}

/** Resident memory of a process and its children; file pages that are mapped count as well. */
function residentBytes(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const own = 1_024 * Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0)
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
    return children.filter(Boolean).reduce((sum, id) => sum + residentBytes(Number(id)), own)
  } catch {
    // It has just ended.
    return 0
  }
}
