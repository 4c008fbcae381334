/** What the service tells of itself: log events and metrics, all their names in one place. */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** Everything that is told, passed to whoever has something to tell. */
export interface Observer {
  log(level: LogLevel, event: LogEvent, fields?: Record<string, unknown>): void
  /** Adds to a counter. */
  count(metric: CounterName, labels?: Record<string, string>, by?: number): void
  /** Adds one duration, or one size, to a histogram. */
  record(metric: HistogramName, value: number, labels?: Record<string, string>): void
  /** Sets a gauge. */
  set(metric: GaugeName, value: number, labels?: Record<string, string>): void
}

/** Names are closed; each part of the program adds its own lines here. */
export type LogEvent =
  | 'project_stopped'
  | 'project_resumed'
  | 'checkpoint_written'
  | 'checkpoint_failed'
  | 'cache_failed'
  | 'background_failed'
  | 'lock_down'
  | 'lock_up'

export type CounterName =
  | 'store_probes_total'
  | 'store_probe_hedges_total'
  | 'commit_conflicts_total'
  | 'commit_ambiguous_total'
  | 'lock_skipped_total'
  | 'cache_requests_total'
  | 'stale_answers_total'

export type HistogramName =
  | 'batch_requests'
  | 'entry_bytes'
  | 'commit_seconds'
  | 'lock_wait_seconds'
  | 'probe_seconds'

export type GaugeName = 'stopped_projects' | 'queued_writes'

/** Tells nobody. */
export const silent: Observer = {
  log() {},
  count() {},
  record() {},
  set() {},
}
