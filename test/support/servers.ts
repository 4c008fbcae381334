/**
 * Real servers for tests: child processes on free loopback ports, in temporary folders, gone when the test is. Nothing is
 * fixed, so any number of test files run at the same time.
 */
import { randomUUID } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Client } from 'minio'
import {
  freePort,
  makeFolder,
  type RunningProcess,
  removeFolder,
  startProcess,
  waitFor,
} from './processes.ts'
import { needProgram } from './programs.ts'

export { findProgram, requireServers } from './programs.ts'

export interface Server {
  readonly port: number
  /** Data and logs; removed by `stop`. */
  readonly folder: string
  /** Of the newest start. */
  readonly pid: number
  output(): string
  /** SIGSTOP: it holds its connections and answers nobody. */
  pause(): void
  /** SIGCONT. */
  resume(): void
  /** kill -9; the folder and the port stay for `restart`. */
  kill(): Promise<void>
  /** kill -9 if it still runs, and starts again on the same port and folder; waits until it answers. */
  restart(): Promise<void>
  /** Ends it for good and removes its folder. */
  stop(): Promise<void>
}

export interface S3Server extends Server {
  /** `http://127.0.0.1:port` */
  readonly endpoint: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Makes a bucket. @param name default a fresh one. @returns its name */
  createBucket(name?: string): Promise<string>
}

export interface StartOptions {
  /** Default: a free one. */
  port?: number
  /** Address that MinIO and Redis listen on, default 127.0.0.1. */
  bind?: string
  /** More arguments at the end of the command line. */
  args?: string[]
  env?: Record<string, string>
}

interface Recipe {
  name: string
  program: string
  args(context: { port: number; folder: string }): string[]
  env?: Record<string, string>
  /** Whether it answers. A throw means not yet. */
  answers(port: number): Promise<boolean>
}

/** A real MinIO, one drive. It needs 0.3 to 1 s to start. */
export function startMinio(options: StartOptions = {}): Promise<S3Server> {
  const secrets = { accessKeyId: 'test', secretAccessKey: randomUUID() }
  return startS3(secrets, options, {
    name: 'minio',
    args: ({ port, folder }) => {
      mkdirSync(join(folder, 'data'), { recursive: true })
      const flags = ['--quiet', '--config-dir', join(folder, 'config')]
      const address = `${options.bind ?? '127.0.0.1'}:${port}`
      return ['server', ...flags, '--address', address, join(folder, 'data')]
    },
    env: {
      MINIO_ROOT_USER: secrets.accessKeyId,
      MINIO_ROOT_PASSWORD: secrets.secretAccessKey,
      MINIO_BROWSER: 'off',
      MINIO_UPDATE: 'off',
      MINIO_SCANNER_SPEED: 'slowest',
    },
  })
}

/** A real Versity Gateway over a folder: the second implementation of S3. */
export function startVersityGateway(options: StartOptions = {}): Promise<S3Server> {
  const secrets = { accessKeyId: 'test', secretAccessKey: randomUUID() }
  return startS3(secrets, options, {
    name: 'versitygw',
    args: ({ port, folder }) => {
      const data = join(folder, 'data')
      mkdirSync(data, { recursive: true })
      // Its file of locks for conditional writes lies in the data folder. Without --keep-alive each call opens a connection.
      return ['--quiet', '--keep-alive', '--port', `127.0.0.1:${port}`, 'posix', data]
    },
    env: {
      ROOT_ACCESS_KEY_ID: secrets.accessKeyId,
      ROOT_SECRET_ACCESS_KEY: secrets.secretAccessKey,
    },
  })
}

/** A real Redis that keeps nothing on disk. @param options.password asked of every client */
export async function startRedis(
  options: StartOptions & { password?: string } = {},
): Promise<Server & { url: string }> {
  const password = options.password === undefined ? [] : ['--requirepass', options.password]
  const server = await startServer(
    {
      name: 'redis',
      program: needProgram('redis-server'),
      args: ({ port, folder }) => {
        const address = options.bind ?? '127.0.0.1'
        const place = ['--bind', address, '--port', `${port}`, '--dir', folder]
        if (options.bind !== undefined) place.push('--protected-mode', 'no')
        return [...place, '--save', '', '--appendonly', 'no', ...password, ...(options.args ?? [])]
      },
      answers: (port) => speaks(port, 'PING\r\n', /^[+-]/),
    },
    options,
  )
  const login = options.password === undefined ? '' : `:${encodeURIComponent(options.password)}@`
  return Object.assign(server, { url: `redis://${login}127.0.0.1:${server.port}` })
}

/** A real etcd of one member that waits for its disk, as it does by default, and answers JSON at `/v3`. */
export async function startEtcd(
  options: StartOptions = {},
): Promise<Server & { readonly url: string }> {
  const peers = `http://127.0.0.1:${await freePort()}`
  const server = await startServer(
    {
      name: 'etcd',
      program: needProgram('etcd'),
      args: ({ port, folder }) => [
        ...['--data-dir', join(folder, 'data'), '--log-level', 'error'],
        ...['--listen-client-urls', `http://127.0.0.1:${port}`],
        ...['--advertise-client-urls', `http://127.0.0.1:${port}`],
        ...['--listen-peer-urls', peers, '--initial-advertise-peer-urls', peers],
        ...['--initial-cluster', `default=${peers}`],
        ...(options.args ?? []),
      ],
      answers: async (port) => (await fetch(`http://127.0.0.1:${port}/health`)).ok,
    },
    options,
  )
  return Object.assign(server, { url: `http://127.0.0.1:${server.port}` })
}

/**
 * A real nginx.
 * @param config what stands inside `http {}` (upstreams and servers), as text or made from the port to listen on
 */
export async function startNginx(
  config: string | ((port: number) => string),
  options: StartOptions = {},
): Promise<Server & { url: string; reload(config: string | ((port: number) => string)): void }> {
  const write = (folder: string, port: number, text: typeof config) => {
    const http = typeof text === 'string' ? text : text(port)
    writeFileSync(join(folder, 'nginx.conf'), nginxConfig(folder, http))
  }
  let current = config
  const server = await startServer(
    {
      name: 'nginx',
      program: needProgram('nginx'),
      args: ({ port, folder }) => {
        write(folder, port, current)
        return ['-p', folder, '-e', join(folder, 'error.log'), '-c', join(folder, 'nginx.conf')]
      },
      answers: (port) => speaks(port, 'GET / HTTP/1.0\r\n\r\n', /^HTTP/),
    },
    options,
  )
  const reload = (text: typeof config) => {
    current = text
    write(server.folder, server.port, current)
    process.kill(server.pid, 'SIGHUP')
  }
  return Object.assign(server, { url: `http://127.0.0.1:${server.port}`, reload })
}

function nginxConfig(folder: string, http: string): string {
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const places = kinds.map((kind) => `  ${kind}_temp_path ${join(folder, kind)};`)
  // Workers keep our user, so that they may write into our folder.
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  return `${user}
daemon off;
worker_processes 2;
pid ${join(folder, 'nginx.pid')};
error_log ${join(folder, 'error.log')} warn;
events { worker_connections 1024; }
http {
  access_log off;
${places.join('\n')}
${http}
}
`
}

async function startS3(
  secrets: { accessKeyId: string; secretAccessKey: string },
  options: StartOptions,
  recipe: Omit<Recipe, 'program' | 'answers'>,
): Promise<S3Server> {
  const region = 'us-east-1'
  const clientOf = (port: number) =>
    new Client({
      endPoint: '127.0.0.1',
      port,
      useSSL: false,
      region,
      accessKey: secrets.accessKeyId,
      secretKey: secrets.secretAccessKey,
    })
  const answers = async (port: number) => Array.isArray(await clientOf(port).listBuckets())
  const program = needProgram(recipe.name)
  const args: Recipe['args'] = (context) => [...recipe.args(context), ...(options.args ?? [])]
  const server = await startServer({ ...recipe, program, args, answers }, options)
  const createBucket = async (name = `bucket-${randomUUID().slice(0, 8)}`) => {
    await clientOf(server.port).makeBucket(name, region)
    return name
  }
  const endpoint = `http://127.0.0.1:${server.port}`
  return Object.assign(server, { ...secrets, region, endpoint, createBucket })
}

/** Starts a server; a port that somebody else took in between is exchanged for another, up to three times. */
async function startServer(recipe: Recipe, options: StartOptions): Promise<Server> {
  const folder = makeFolder(recipe.name)
  let port = options.port ?? (await freePort())
  let running = await begin(recipe, { port, folder }, options)
  for (let attempt = 1; attempt < 3 && running.exited() !== undefined; attempt++) {
    if (options.port === undefined) port = await freePort()
    running = await begin(recipe, { port, folder }, options)
  }
  if (running.exited() !== undefined) throw new Error(`${recipe.name}: ${running.output()}`)
  const restart = async () => {
    await running.kill()
    running = await begin(recipe, { port, folder }, options)
    if (running.exited() !== undefined) throw new Error(`${recipe.name}: ${running.output()}`)
  }
  return {
    port,
    folder,
    get pid() {
      return running.pid
    },
    output: () => running.output(),
    pause: () => running.signal('SIGSTOP'),
    resume: () => running.signal('SIGCONT'),
    kill: () => running.kill(),
    restart,
    stop: async () => {
      await running.kill()
      removeFolder(folder)
    },
  }
}

/** Starts the process, and waits until it answers or has ended. */
async function begin(
  recipe: Recipe,
  context: { port: number; folder: string },
  options: StartOptions,
): Promise<RunningProcess> {
  const env = { HOME: context.folder, ...recipe.env, ...options.env }
  const running = startProcess(recipe.program, recipe.args(context), { env, cwd: context.folder })
  const ready = async () =>
    running.exited() !== undefined || (await recipe.answers(context.port).catch(() => false))
  try {
    await waitFor(ready, { timeoutMs: 30_000, what: `${recipe.name} to answer` })
  } catch (error) {
    await running.kill()
    throw new Error(`${recipe.name} did not answer: ${running.output()}`, { cause: error })
  }
  return running
}

/** Whether somebody on a port answers some bytes as expected, within a second. */
function speaks(port: number, request: string, expected: RegExp): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', timeout: 1_000 })
    const done = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => socket.write(request))
    socket.once('data', (data) => done(expected.test(data.toString())))
    socket.once('error', () => done(false))
    socket.once('close', () => done(false))
    socket.once('timeout', () => done(false))
  })
}
