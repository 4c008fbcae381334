/**
 * What the service tells of itself: log events and metrics, all their names in one place.
 *
 * A name that is not here does not compile, a metric that is here and that nobody feeds fails a test. Labels take the closed
 * values written beside them; `'open'` marks the few whose values another closed list gives (the router's patterns). Never the
 * name of a project, a token, a body or a whole URL. Log lines are JSON, one a line; `observer.ts` writes them.
 */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** Everything that is told, passed to whoever has something to tell. */
export interface Observer {
  /** @param fields JSON; never `level`, `time` or `event`; an `Error` under the name `error` is told with its stack */
  log(level: LogLevel, event: LogEvent, fields?: Record<string, unknown>): void
  /** Adds to a counter; 1 unless told. */
  count<N extends CounterName>(
    metric: N,
    labels?: LabelsOf<(typeof counters)[N]>,
    by?: number,
  ): void
  /** Adds one duration (seconds), or one size, to a histogram. */
  record<N extends HistogramName>(
    metric: N,
    value: number,
    labels?: LabelsOf<(typeof histograms)[N]>,
  ): void
  /** Sets a gauge. */
  set<N extends GaugeName>(metric: N, value: number, labels?: LabelsOf<(typeof gauges)[N]>): void
}

/** Names are closed; each part of the program adds its own lines here. */
export type LogEvent =
  | 'starting'
  | 'listening'
  | 'ready'
  | 'not_ready'
  | 'config_warning'
  | 'secret_failed'
  | 'tokens_loaded'
  | 'tokens_failed'
  | 'drain_phase'
  | 'request_aborted'
  | 'close_failed'
  | 'stopping'
  | 'stopped'
  | 'crashed'
  | 'request'
  | 'request_failed'
  | 'lock_down'
  | 'lock_up'
  | 'project_stopped'
  | 'project_resumed'
  | 'restore_accepted'
  | 'checkpoint_written'
  | 'checkpoint_failed'
  | 'cache_failed'
  | 'background_failed'
  | 'store_unfit'
  | 'store_failed'
  | 'warmed_up'
  | 'announced'
  | 'announcements_swept'
  | 'sweep_failed'
  | 'announce_failed'
  | 'cluster_state'
  | 'cluster_failed'
  | 'out_of_range'
  | 'expanded'
  | 'project_converted'
  | 'conversion_failed'

/** What every metric says of itself. */
export interface MetricSpec {
  /** One sentence; the unit is in the name. */
  help: string
  /** Label names with their closed values. */
  labels?: Readonly<Record<string, readonly string[] | 'open'>>
}

export interface HistogramSpec extends MetricSpec {
  /** Upper bounds, ascending, in the unit of the name. */
  buckets: readonly number[]
}

/** The labels that a metric asks for. */
export type LabelsOf<Spec> = Spec extends { labels: infer Labels }
  ? { readonly [Name in keyof Labels]: Labels[Name] extends readonly (infer V)[] ? V : string }
  : Readonly<Record<string, never>>

/** Every metric's name as Prometheus shows it begins with this. */
export const metricPrefix = 'configuration_service_'

const fromHalfMsTo30Seconds = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
] as const

export const counters = {
  http_requests_total: {
    help: 'Requests that were answered, or that the client gave up (499), by route pattern.',
    labels: { method: 'open', route: 'open', status: 'open' },
  },
  store_calls_total: {
    help: 'Calls to the object store, by how they ended.',
    labels: {
      kind: ['get', 'create', 'put', 'list', 'delete'],
      outcome: ['ok', 'absent', 'not_modified', 'exists', 'conflict', 'refused', 'ambiguous'],
    },
  },
  store_probes_total: { help: 'Freshness probes that were started.' },
  store_probe_hedges_total: { help: 'Freshness probes that were slow and hedged by a list.' },
  commit_conflicts_total: { help: 'Slots of a log that another writer won.' },
  commit_ambiguous_total: {
    help: 'Creates of an entry whose answer was lost, and that were repeated.',
  },
  lock_skipped_total: { help: 'Commits that went on without the advisory lock.' },
  cache_requests_total: {
    help: 'Look-ups of objects in memory, and of packs in the cache folder.',
    labels: { cache: ['objects', 'folder'], result: ['hit', 'miss'] },
  },
  stale_answers_total: {
    help: 'Reads that were answered from an older state while the store was away.',
  },
} as const satisfies Record<string, MetricSpec>

export const histograms = {
  http_request_seconds: {
    help: 'Time from the head of a request to the end of its answer.',
    labels: { method: 'open', route: 'open' },
    buckets: fromHalfMsTo30Seconds,
  },
  store_call_seconds: {
    help: 'Time of a call to the object store.',
    labels: { kind: ['get', 'create', 'put', 'list', 'delete'] },
    buckets: fromHalfMsTo30Seconds,
  },
  batch_requests: {
    help: 'Requests that were committed together in one entry.',
    buckets: [1, 2, 4, 8, 16, 32, 64],
  },
  entry_bytes: {
    help: 'Size of an entry of a log.',
    buckets: [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536],
  },
  commit_seconds: {
    help: 'Time from the first evaluation of a batch to the answer of the store that decided it.',
    buckets: fromHalfMsTo30Seconds,
  },
  lock_wait_seconds: {
    help: 'Time spent waiting for the advisory lock.',
    buckets: fromHalfMsTo30Seconds,
  },
  probe_seconds: {
    help: 'Time of a freshness probe, hedged ones included.',
    buckets: fromHalfMsTo30Seconds,
  },
} as const satisfies Record<string, HistogramSpec>

export const gauges = {
  lock_up: { help: '1 while enough lock servers answer, else 0; absent without any.' },
  stopped_projects: { help: 'Projects that are stopped because their log is not what it was.' },
  open_projects: { help: 'Projects that are open in memory.' },
  open_projects_bytes: {
    help: 'What open projects take in memory, about, beside the objects that they share.',
  },
  queued_writes: { help: 'Writes that wait for their batch, all projects together.' },
  ready: { help: '1 while /readyz answers 200, else 0.' },
  event_loop_delay_seconds: {
    help: 'Delay of the event loop since the scrape before, by quantile.',
    labels: { quantile: ['0.5', '0.99', '1'] },
  },
} as const satisfies Record<string, MetricSpec>

export type CounterName = keyof typeof counters
export type HistogramName = keyof typeof histograms
export type GaugeName = keyof typeof gauges

/** Tells nobody. */
export const silent: Observer = {
  log() {},
  count() {},
  record() {},
  set() {},
}
