/**
 * Child processes of a test that never outlive it. Each one leads its own process group. A small shell (the reaper) holds
 * the reading end of a pipe from us: when we end, `kill -9` included, it reads the end of the pipe, kills the groups that are
 * left and removes their folders.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const reaperScript = `
trap '' INT TERM HUP
pids=' '
folders=
while IFS= read -r line; do
  case $line in
    +*) pids="$pids\${line#+} " ;;
    -*) pid=\${line#-}; case $pids in *" $pid "*) pids="\${pids%%" $pid "*} \${pids#*" $pid "}" ;; esac ;;
    *) folders="$folders\${folders:+
}$line" ;;
  esac
done
for pid in $pids; do kill -s KILL -- -"$pid" 2>/dev/null; done
test -z "$folders" || printf '%s\\n' "$folders" | while IFS= read -r folder; do rm -rf -- "$folder"; done
`

let reaper: ChildProcess | undefined

function tellReaper(line: string): void {
  reaper ??= startReaper()
  reaper.stdin?.write(`${line}\n`)
}

function startReaper(): ChildProcess {
  const child = spawn('sh', ['-c', reaperScript], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  child.unref()
  ;(child.stdin as Socket).unref()
  // The process may end in the middle of a write; the reaper then reads the end.
  child.stdin?.on('error', () => {})
  return child
}

/** Makes a temporary folder that is gone when this process is. */
export function makeFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `${name}-`))
  tellReaper(folder)
  return folder
}

/** Removes a temporary folder now. */
export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
}

export interface RunningProcess {
  readonly pid: number
  /** The end of what it wrote to stdout and stderr so far. */
  output(): string
  /** The exit code, or the signal's name; undefined while it runs. */
  exited(): number | string | undefined
  /** Waits until it has ended. @returns as `exited` */
  ended(): Promise<number | string>
  /** Sends a signal to the process and all its children. */
  signal(name: NodeJS.Signals): void
  /** kill -9, then waits until it is gone. */
  kill(): Promise<void>
}

export interface ProcessOptions {
  /** Added to this process's own. */
  env?: Record<string, string>
  cwd?: string
  /** How many characters of output are kept, default 65,536. */
  keepChars?: number
  /** Whom it runs as; only root may say. */
  uid?: number
  /** Told of output as it comes. */
  onOutput?: (text: string) => void
}

/** Starts a program that dies with this process. */
export function startProcess(
  program: string,
  args: string[],
  options: ProcessOptions = {},
): RunningProcess {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
  })
  const pid = child.pid
  if (pid === undefined) throw new Error(`${program} did not start`)
  tellReaper(`+${pid}`)
  return watch(child, pid, options)
}

function watch(child: ChildProcess, pid: number, options: ProcessOptions): RunningProcess {
  const { keepChars = 65_536, onOutput } = options
  let output = ''
  let exit: number | string | undefined
  const keep = (chunk: Buffer) => {
    const text = chunk.toString()
    output = (output + text).slice(-keepChars)
    onOutput?.(text)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  child.unref()
  for (const stream of [child.stdout, child.stderr]) (stream as Socket).unref()
  const closed = new Promise<void>((resolve) => {
    child.once('exit', (code, signal) => {
      tellReaper(`-${pid}`)
      const finish = () => {
        exit ??= code ?? signal ?? 'unknown'
        resolve()
      }
      child.once('close', finish)
      // Somebody may have inherited its output and hold it open for ever.
      setTimeout(finish, 500).unref()
    })
  })
  const signal = (name: NodeJS.Signals) => signalGroup(pid, name)
  // A child that a test forgot keeps nobody alive, so whoever waits for one has to do that by a timer.
  const ended = async () => {
    while (exit === undefined) await Promise.race([closed, sleep(50)])
    return exit
  }
  const kill = async () => {
    signal('SIGKILL')
    await ended()
  }
  return { pid, output: () => output, exited: () => exit, ended, signal, kill }
}

/** Signals a process group; one that is gone already is no error. */
function signalGroup(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(-pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/**
 * Finds a free port below the range that outgoing connections take theirs from, so that a server that is restarted finds its
 * port still free. Somebody may be quicker: whoever starts a server tries again with another.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    if (await canListen(port)) return port
  }
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/**
 * Waits for a condition, asking every few milliseconds.
 * @param options.timeoutMs past it this fails, default 10,000
 * @param options.what for the message
 */
export async function waitFor(
  condition: () => boolean | Promise<boolean>,
  options: { timeoutMs?: number; what?: string } = {},
): Promise<void> {
  const endMs = performance.now() + (options.timeoutMs ?? 10_000)
  while (!(await condition())) {
    if (performance.now() > endMs)
      throw new Error(`waited in vain for ${options.what ?? condition}`)
    await sleep(10)
  }
}
