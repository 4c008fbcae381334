/**
 * Builds the service from the environment and serves until it is told to stop. It listens at once and says in `/readyz` what it
 * waits for: the bucket is reached in the background, tried again until it answers, and probed before the first write is taken.
 */
import { setMaxListeners } from 'node:events'
import type { Config, Environment } from './config.ts'
import { type Contact, makeContact } from './contact.ts'
import { ServiceError } from './errors.ts'
import type { Identity } from './git/objects.ts'
import { tellHowToTry, tellStart } from './greeting.ts'
import { createApp, type Health, type HttpSettings } from './http/app.ts'
import { createLater } from './later.ts'
import { closeAll, createDrainableServer, type DrainableServer, drainTimes } from './lifecycle.ts'
import { createLocalLock } from './lock/local.ts'
import type { Lock } from './lock/lock.ts'
import { createRotatingLock } from './lock/rotating.ts'
import type { RealObserver } from './observer.ts'
import { createReadiness, type Readiness } from './readiness.ts'
import { createRepositories } from './repository/repositories.ts'
import type { Repositories } from './repository/repository.ts'
import { createResources } from './resources/git-resources.ts'
import type { Resources } from './resources/resources.ts'
import { readSettings, type Settled, sentence } from './settled.ts'
import { openFileStore } from './store/file.ts'
import { openStoreIdentity } from './store/identity.ts'
import { observeStore } from './store/observed.ts'
import { probeStore, type RuledStore } from './store/probe.ts'
import type { CallOptions, Store } from './store/store.ts'
import { systemClock, systemRandomness } from './system-clock.ts'
import { version } from './version.ts'

/** Tree layouts that this build reads and writes, first and last. */
const formats = { reads: [1, 1], writes: [1, 1] } as const
const memoryMaxBytes = 128 * 2 ** 20
const probePaths = new Set(['/livez', '/readyz', '/startupz', '/health', '/metrics'])
const closeStepMs = 2_000
/** One call to the store at the start may take so long. */
const timeoutMs = 5_000

/**
 * Serves until `stop` resolves and the drain is over.
 * @returns the exit code: 0, or 1 where a setting was wrong, the start failed or the drain had to cut requests
 */
export async function serve(options: {
  environment: Environment
  stop: Promise<NodeJS.Signals>
}): Promise<number> {
  const settled = readSettings(options.environment)
  if ('problems' in settled) {
    for (const problem of settled.problems)
      process.stderr.write(`configuration-service: ${problem}\n`)
    return 1
  }
  const { observer } = settled
  tellCrashes(observer)
  try {
    return await serveWith({ ...settled, stop: options.stop })
  } catch (error) {
    observer.log('error', 'crashed', { error })
    process.stderr.write(`configuration-service: ${sentence(error)}\n`)
    return 1
  } finally {
    await leaveLog(observer)
  }
}

async function serveWith(parts: Settled & { stop: Promise<NodeJS.Signals> }): Promise<number> {
  const { config, observer, stop } = parts
  tellStart(config, observer)
  const store = await openStore(config)
  const lock = await openLock(config, observer)
  const service = createService({ ...parts, store, lock })
  const { port } = await service.server.listen(config)
  observer.log('info', 'listening', { host: config.host, port })
  tellHowToTry(config, port)

  const ended = new AbortController()
  // The probe races many calls at once, and each listens for the end.
  setMaxListeners(0, ended.signal)
  // It fails only by a mistake of ours, and then as any other that nobody caught.
  void service.begin(ended.signal)
  observer.log('info', 'stopping', { signal: await stop })
  ended.abort()
  const { aborted } = await service.server.drain()
  await closeAll({
    steps: [
      ['repositories', service.close],
      ['lock', () => lock.close()],
      ['store', () => store.close()],
    ],
    stepMs: closeStepMs,
    observer,
  })
  observer.log('info', 'stopped', { aborted: aborted.length })
  observer.close()
  return aborted.length === 0 ? 0 : 1
}

interface Service {
  server: DrainableServer
  /** Reaches the bucket, however long it takes; from then on requests are served. */
  begin(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

function createService(parts: Settled & { store: RuledStore; lock: Lock }): Service {
  const { config, observer, tokens } = parts
  const resources = createLater<Resources>(notReady)
  let repositories: Repositories | undefined
  const readiness: Readiness = createReadiness({
    waitsFor: ['store', 'probe'],
    draining: () => server.draining(),
    onChange: (ready, afterSeconds) => {
      observer.set('ready', ready ? 1 : 0)
      observer.log('info', ready ? 'ready' : 'not_ready', { afterSeconds })
    },
  })
  const app = createApp({
    resources: resources.standIn,
    observer,
    settings: httpSettings(config),
    health: healthOf(readiness),
    metrics: observer.metrics,
    ...(tokens && { authenticate: tokens.authenticate }),
  })
  const server = createDrainableServer({
    listener: app.callback(),
    times: drainTimes({
      windowSeconds: config.drainWindowSeconds,
      requestSeconds: config.requestSeconds,
    }),
    requestSeconds: config.requestSeconds,
    isProbe: (url) => probePaths.has(url.split('?', 1)[0] ?? ''),
    observer,
  })
  return {
    server,
    async begin(signal) {
      const contact = await makeContact({
        identify: async () => (await openStoreIdentity(parts.store, { timeoutMs, signal })).storeId,
        probe: () => failuresOf(parts.store, { timeoutMs, signal }),
        observer,
        readiness,
        signal,
      })
      if (contact === undefined) return
      const store = observeStore(parts.store, observer)
      repositories = openRepositories({ ...parts, store, ...contact })
      const { defaultBranch } = config
      resources.arrived(createResources({ repositories, clock: systemClock, defaultBranch }))
      readiness.tell('probe', true, contact.unfit ?? 'passed')
    },
    async close() {
      await repositories?.close()
    },
  }
}

function openRepositories(parts: Settled & { store: Store; lock: Lock } & Contact): Repositories {
  const { config, observer, store, lock, storeId, unfit } = parts
  return createRepositories({
    store,
    storeId,
    lock,
    clock: systemClock,
    random: systemRandomness,
    observer,
    cache:
      config.cacheMaxBytes === 0
        ? null
        : { folder: config.cacheDirectory, maxBytes: config.cacheMaxBytes },
    memoryMaxBytes,
    settings: {
      build: version(),
      formats,
      committer: identityOf(config),
      staleReadsMaxSeconds: config.staleReads === 'serve' ? config.staleReadsMaxSeconds : 0,
    },
    unfit: () => unfit,
  })
}

function httpSettings(config: Config): HttpSettings {
  return {
    maxBodyBytes: config.maxBodyBytes,
    readMaxStaleSeconds: config.readMaxStaleSeconds,
    requestTimeoutMs: config.requestSeconds * 1_000,
    author: identityOf(config),
    publicPathPrefix: config.publicPathPrefix,
  }
}

function identityOf({ gitUser, gitEmail }: Config): Identity {
  return { name: gitUser, email: gitEmail }
}

function healthOf(readiness: Readiness): Health {
  const checksOf = () =>
    readiness.report().checks.map(({ name, ok, detail }) => ({ name, ok, reason: detail }))
  return {
    ready: () => ({ ok: readiness.report().ready, checks: checksOf() }),
    started: () => ({ ok: readiness.report().started, checks: checksOf() }),
  }
}

function notReady(): ServiceError {
  return new ServiceError('store_unavailable', 'not ready: the bucket was not reached yet')
}

async function failuresOf(store: RuledStore, options: CallOptions): Promise<readonly string[]> {
  const fitness = await probeStore(store, options)
  return fitness.fit ? [] : fitness.failures
}

async function openStore(config: Config): Promise<RuledStore> {
  const { store, accessKeyId, secretAccessKey, sessionToken } = config
  if (store.kind === 'file') return openFileStore(store.directory)
  // Loaded only here: its client takes a quarter of a second.
  const { openS3Store } = await import('./store/s3.ts')
  return openS3Store({
    ...store,
    credentials: () => ({
      accessKeyId: accessKeyId?.reveal() ?? '',
      secretAccessKey: secretAccessKey?.reveal() ?? '',
      sessionToken: sessionToken?.reveal(),
    }),
  })
}

async function openLock({ redisUrls }: Config, observer: RealObserver): Promise<Lock> {
  if (redisUrls === undefined) return createLocalLock()
  const { createRedisLock } = await import('./lock/redis.ts')
  return createRotatingLock({
    address: () => redisUrls.reveal(),
    open: (address) =>
      createRedisLock({ urls: address.split(',').map((url) => url.trim()), observer }),
  })
}

/** What nobody caught ends the process as Node would, but not before the log holds it. */
function tellCrashes(observer: RealObserver): void {
  process.on('uncaughtException', async (error) => {
    observer.log('error', 'crashed', { error })
    await leaveLog(observer)
    process.exit(1)
  })
}

/** Where nobody reads the log any more, `process.exit` would wait for ever for the thread that writes it. */
async function leaveLog(observer: RealObserver): Promise<void> {
  if (!(await observer.finish())) process.kill(process.pid, 'SIGKILL')
}
