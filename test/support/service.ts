/** The built program as a child process, on a port of its own, with a folder of its own. */
import { join } from 'node:path'
import {
  makeFolder,
  type RunningProcess,
  removeFolder,
  startProcess,
  waitFor,
} from './processes.ts'
import { repositoryRoot } from './programs.ts'

export const mainFile = join(repositoryRoot, 'dist', 'src', 'main.js')

export interface Service {
  /** `http://127.0.0.1:port` */
  readonly url: string
  readonly port: number
  /** Working folder; with the defaults the store is its `data/store`. */
  readonly folder: string
  readonly process: RunningProcess
  /** The log lines so far, parsed. */
  events(): Record<string, unknown>[]
  /** SIGTERM. @returns the exit code, or the signal that killed it */
  stop(): Promise<number | string>
  /** kill -9, and the folder is removed. */
  dispose(): Promise<void>
}

/** Settings with which a drain takes a tenth of a second where nobody asks for anything. */
export const quickDrain = { DRAIN_WINDOW_SECONDS: '0.2' }

/** What is kept of a program's log, characters; the newest. */
const keepChars = 4_000_000

/**
 * Starts the program and waits until it listens, or is ready.
 * @param options.env added to what it needs; nothing of this process's settings reaches it but PATH and the like
 * @param options.timeoutMs until then, default 30,000
 * @param options.until `ready` unless told
 * @param options.program another build than this tree's, as a path
 * @param options.through a command that changes what the program runs with and then becomes it, such as `prlimit --nofile=64`
 */
export async function startService(
  options: {
    env?: Record<string, string>
    folder?: string
    until?: 'listening' | 'ready'
    timeoutMs?: number
    program?: string
    through?: readonly string[]
  } = {},
): Promise<Service> {
  const { env = {}, folder = makeFolder('service'), until = 'ready', timeoutMs = 30_000 } = options
  const own = [process.execPath, options.program ?? mainFile]
  const [program = '', ...args] = [...(options.through ?? []), ...own]
  const running = startProcess(program, args, {
    cwd: folder,
    env: { PORT: '0', ...quickDrain, ...env },
    keepChars,
  })
  const events = () => parseLines(running.output())
  const find = (name: string) => events().find(({ event }) => event === name)
  await waitFor(() => find(until) !== undefined || running.exited() !== undefined, {
    what: `the service to be ${until}`,
    timeoutMs,
  }).catch(async (error) => {
    await running.kill()
    throw new Error(`${error.message}: ${running.output().slice(-2_000)}`)
  })
  const listening = find('listening')
  if (listening === undefined || running.exited() !== undefined) {
    throw new Error(`the service ended with ${running.exited()}: ${running.output()}`)
  }
  const port = Number(listening.port)
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    folder,
    process: running,
    events,
    stop() {
      running.signal('SIGTERM')
      return running.ended()
    },
    async dispose() {
      await running.kill()
      removeFolder(folder)
    },
  }
}

function parseLines(output: string): Record<string, unknown>[] {
  // Of more than is kept the first line is cut anywhere.
  const whole = output.length < keepChars ? output : output.slice(output.indexOf('\n') + 1)
  return whole
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}
