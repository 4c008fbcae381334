/**
 * Builds the service from the environment and serves until it is told to stop. It listens at once and says in `/readyz` what it
 * waits for: the bucket is reached in the background, tried again until it answers, and probed before the first write is taken.
 */
import { setMaxListeners } from 'node:events'
import {
  identityOf,
  newReplicaId,
  openLock,
  openPassing,
  openRepositories,
  openStore,
  type RepositoriesParts,
} from './adapters.ts'
import { clusterTimes } from './cluster/announcement.ts'
import { formatsOf } from './cluster/formats.ts'
import type { Migration } from './cluster/migration.ts'
import { createReplica, type Replica } from './cluster/replica.ts'
import { keepUp, warmUp } from './cluster/warm-up.ts'
import type { Config, Environment } from './config.ts'
import { makeContact } from './contact.ts'
import { ServiceError, sentence } from './errors.ts'
import { tellHowToTry, tellStart } from './greeting.ts'
import { createApp, type Health, type HttpSettings } from './http/app.ts'
import { createLater } from './later.ts'
import {
  closeAll,
  createDrainableServer,
  type DrainableServer,
  drainTimes,
  leaving,
} from './lifecycle.ts'
import type { Lock } from './lock/lock.ts'
import type { RealObserver } from './observer.ts'
import { createReadiness, type Readiness } from './readiness.ts'
import type { Repositories } from './repository/repository.ts'
import { createResources } from './resources/git-resources.ts'
import type { Resources } from './resources/resources.ts'
import { readSettings, type Settled } from './settled.ts'
import { openStoreIdentity } from './store/identity.ts'
import { observeStore } from './store/observed.ts'
import { failuresOf, type RuledStore } from './store/probe.ts'
import { StoreError } from './store/store.ts'
import { systemClock, systemRandomness } from './system-clock.ts'
import { version } from './version.ts'

const probePaths = new Set(['/livez', '/readyz', '/startupz', '/health', '/metrics'])
/** One call to the store at the start may take so long. */
const timeoutMs = 5_000
/** A new replica waits so long at most until it knows the projects that others are asked for. */
const warmUpMs = 5_000
/** Until a Service or a gateway leads here everybody's requests go elsewhere. */
const keepUpMs = 15_000
/** As sysexits calls a wrong configuration: here, a build that cannot handle what the store holds. */
const outOfRangeExit = 78

/** What the program hands over. */
export interface ServeOptions {
  environment: Environment
  stop: Promise<NodeJS.Signals>
  /** Every format that this build knows, in order. */
  migrations: readonly Migration[]
}

/**
 * Serves until `stop` resolves and the drain is over.
 * @returns the exit code: 0; 1 where a setting was wrong, the start failed or the drain had to cut requests; 78 where this build
 *   cannot handle the formats that the store holds, a minute after it found out
 */
export async function serve(options: ServeOptions): Promise<number> {
  const settled = readSettings(options.environment)
  if ('problems' in settled) {
    for (const problem of settled.problems)
      process.stderr.write(`configuration-service: ${problem}\n`)
    return 1
  }
  const { observer } = settled
  tellCrashes(observer)
  try {
    return await serveWith({ ...settled, ...options })
  } catch (error) {
    observer.log('error', 'crashed', { error })
    process.stderr.write(`configuration-service: ${sentence(error)}\n`)
    return 1
  } finally {
    await leaveLog(observer)
  }
}

type Parts = Settled & ServeOptions & { store: RuledStore; lock: Lock }

async function serveWith(settled: Settled & ServeOptions): Promise<number> {
  const { config, observer, stop } = settled
  tellStart(settled)
  const store = await openStore(config)
  const lock = await openLock(config, observer)
  const service = createService({ ...settled, store, lock })
  const { port } = await service.server.listen(config)
  observer.log('info', 'listening', { host: config.host, port })
  tellHowToTry(config, port)

  const ended = new AbortController()
  // The probe races many calls at once, and each listens for the end.
  setMaxListeners(0, ended.signal)
  // It fails only by a mistake of ours, and then as any other that nobody caught.
  const outOfRange = service.begin(ended.signal)
  const signal = await Promise.race([stop, outOfRange])
  observer.log('info', 'stopping', { signal })
  ended.abort()
  service.drainBegins()
  const { aborted, leftMs } = await service.server.drain()
  await closeAll({
    steps: [
      ['repositories', service.close],
      ['lock', () => lock.close()],
      // Last: until here it may serve, and whoever decides has to know.
      ['announcement', service.leave],
      ['store', () => store.close()],
    ],
    // Whoever waits for this process waits for the announcement: the bucket may be as slow as there is time for.
    totalMs: leaving.closeMs + leftMs,
    observer,
  })
  observer.log('info', 'stopped', { aborted: aborted.length })
  observer.close()
  if (signal === 'out-of-range') return outOfRangeExit
  return aborted.length === 0 ? 0 : 1
}

interface Service {
  server: DrainableServer
  /**
   * Reaches the bucket, however long it takes, and joins the cluster; from then on requests are served.
   * @returns only where this build cannot handle what it finds
   */
  begin(signal: AbortSignal): Promise<'out-of-range'>
  drainBegins(): void
  close(): Promise<void>
  /** Takes the announcement away. */
  leave(): Promise<void>
}

function createService(parts: Parts): Service {
  const { config, observer, tokens } = parts
  const resources = createLater<Resources>(() => notReady(readiness))
  let repositories: Repositories | undefined
  let replica: Replica | undefined
  const readiness: Readiness = createReadiness({
    waitsFor: ['store', 'probe', 'cluster'],
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

  async function begin(signal: AbortSignal): Promise<'ready' | 'out-of-range' | 'ended'> {
    const contact = await makeContact({
      identify: async () => (await openStoreIdentity(parts.store, { timeoutMs, signal })).storeId,
      probe: () => failuresOf(parts.store, { timeoutMs, signal }),
      observer,
      readiness,
      signal,
    })
    if (contact === undefined) return 'ended'
    readiness.tell('probe', true, contact.unfit ?? 'passed')
    const place = {
      ...parts,
      ...contact,
      store: observeStore(parts.store, observer),
      formats: formatsOf(parts.migrations),
    }
    replica = openReplica(place)
    const tell = (waitsFor: string) => {
      if (readiness.tell('cluster', false, waitsFor)) {
        observer.log('warn', 'cluster_failed', { waitsFor })
      }
    }
    const entered = await replica.enter({ signal, tell })
    if (entered !== 'ready') return entered
    repositories = replica.converting(openRepositories(place))
    readiness.tell('cluster', false, 'opens the projects that other replicas are asked for')
    const opened = await warmUp({
      repositories,
      // A bucket that does not answer now makes the first requests slower, and nothing else.
      projects: await replica.wanted().catch(() => []),
      clock: systemClock,
      limitMs: warmUpMs,
      observer,
    })
    if (signal.aborted) return 'ended'
    void keepUp({
      ...{ repositories, projects: opened, clock: systemClock, signal },
      lastsMs: keepUpMs,
    })
    resources.arrived(
      createResources({
        repositories,
        clock: systemClock,
        defaultBranch: config.defaultBranch,
        newFormat: replica.newFormat,
        settle: replica.settle,
        refuseMigration: refusalBy(replica),
      }),
    )
    readiness.tell('cluster', true, 'joined')
    return 'ready'
  }

  return {
    server,
    begin: (signal) =>
      new Promise((resolve, reject) => {
        begin(signal).then((end) => end === 'out-of-range' && resolve(end), reject)
      }),
    drainBegins: () => replica?.drain(),
    async close() {
      await repositories?.close()
    },
    async leave() {
      await replica?.leave()
    },
  }
}

function openReplica(place: RepositoriesParts & ServeOptions): Replica {
  const { config } = place
  return createReplica({
    ...place,
    clock: systemClock,
    random: systemRandomness,
    times: clusterTimes(config.heartbeatSeconds),
    replicaId: newReplicaId(),
    build: version(),
    committer: identityOf(config),
    open: () => openPassing(place),
  })
}

/** Keptn's `migrate: true` asks for the format in which stages are folders. */
const formatOfFolders = 2

function refusalBy({ permit }: Replica): () => Promise<ServiceError | null> {
  return async () => {
    try {
      const reason = await permit(formatOfFolders)
      return reason === null ? null : new ServiceError('conflict', reason)
    } catch (cause) {
      if (!(cause instanceof StoreError)) throw cause
      throw new ServiceError('store_unavailable', 'the bucket did not answer in time', { cause })
    }
  }
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

function healthOf(readiness: Readiness): Health {
  const checksOf = () =>
    readiness.report().checks.map(({ name, ok, detail }) => ({ name, ok, reason: detail }))
  return {
    ready: () => ({ ok: readiness.report().ready, checks: checksOf() }),
    started: () => ({ ok: readiness.report().started, checks: checksOf() }),
  }
}

function notReady(readiness: Readiness): ServiceError {
  const waitsFor = readiness.report().checks.find(({ ok }) => !ok)
  return new ServiceError('store_unavailable', `not ready: ${waitsFor?.name}: ${waitsFor?.detail}`)
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
  if (!(await observer.finish(leaving.logMs))) process.kill(process.pid, 'SIGKILL')
}
