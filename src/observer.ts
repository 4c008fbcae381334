/**
 * The real observer: JSON lines through pino, metrics through prom-client. Only this file knows either.
 *
 * Lines are gathered for up to 100 ms (`lines.ts`), warnings and errors are written at once. A process that is killed loses
 * the last 100 ms.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { type DestinationStream, type Logger, pino } from 'pino'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { openLines } from './lines.ts'
import {
  type CounterName,
  counters,
  type GaugeName,
  gauges,
  type HistogramName,
  histograms,
  type LogEvent,
  type LogLevel,
  type MetricSpec,
  metricPrefix,
  type Observer,
} from './observe.ts'

const delayResolutionMs = 10

export interface RealObserver extends Observer {
  /** Every metric in Prometheus' text form, and the content type to send it with. */
  metrics(): Promise<{ text: string; contentType: string }>
  /**
   * Waits until every line is written; to be called before the process exits.
   * @returns whether it is; if not, a thread hangs in a write, for which `process.exit` would wait
   */
  finish(timeoutMs: number): Promise<boolean>
  /** Ends the timers that feed it. */
  close(): void
}

/**
 * Builds the observer.
 * @param options.level lines below it are not written
 * @param options.destination where lines go, else standard output
 */
export function createObserver(options: {
  level: LogLevel
  destination?: DestinationStream
}): RealObserver {
  const lines = openLines({
    fd: 1,
    onDropped: (dropped) => `{"level":"warn","event":"log_dropped","lines":${dropped}}\n`,
  })
  const logger = pino(
    {
      level: options.level,
      base: null,
      messageKey: 'message',
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
      timestamp: createTimestamp(),
    },
    options.destination ?? lines,
  )
  const meters = createMeters()
  // A child has its event serialized once and for all: 40 % of the cost of a line.
  const children = new Map<LogEvent, Logger>()
  const childOf = (event: LogEvent) => {
    const child = logger.child({ event })
    children.set(event, child)
    return child
  }
  return {
    ...meters,
    log(level, event, fields) {
      const child = children.get(event) ?? childOf(event)
      child[level](fields ?? {})
      if (level === 'error' || level === 'warn') lines.flush()
    },
    finish: lines.finish,
  }
}

/** RFC 3339; under load many lines share a millisecond, and so its text. */
function createTimestamp(): () => string {
  let ms = 0
  let text = ''
  return () => {
    const now = Date.now()
    if (now !== ms) {
      ms = now
      text = `,"time":"${new Date(now).toISOString()}"`
    }
    return text
  }
}

function createMeters() {
  const registry = new Registry()
  const counter = registered(
    counters,
    (config) => new Counter({ ...config, registers: [registry] }),
  )
  const sums = Object.fromEntries(
    Object.keys(counters).map((name) => [name, createSums()]),
  ) as Record<CounterName, Sums>
  const gauge = registered(gauges, (config) => new Gauge({ ...config, registers: [registry] }))
  const histogram = registered(
    histograms,
    (config, spec) =>
      new Histogram({ ...config, buckets: [...spec.buckets], registers: [registry] }),
  )
  collectDefaultMetrics({ register: registry })
  const delay = monitorEventLoopDelay({ resolution: delayResolutionMs })
  delay.enable()

  const tellDelay = () => {
    // What is measured is the time between two looks: the part that was planned is no delay.
    const seconds = (nanoseconds: number) =>
      delay.count === 0 ? 0 : Math.max(0, nanoseconds / 1e9 - delayResolutionMs / 1_000)
    gauge.event_loop_delay_seconds.set({ quantile: '0.5' }, seconds(delay.percentile(50)))
    gauge.event_loop_delay_seconds.set({ quantile: '0.99' }, seconds(delay.percentile(99)))
    gauge.event_loop_delay_seconds.set({ quantile: '1' }, seconds(delay.max))
    delay.reset()
  }
  return {
    count: (metric: CounterName, labels?: Record<string, string>, by = 1) =>
      sums[metric].add(labels, by),
    record(metric: HistogramName, value: number, labels?: Record<string, string>) {
      if (labels === undefined) histogram[metric].observe(value)
      else histogram[metric].observe(labels, value)
    },
    set(metric: GaugeName, value: number, labels?: Record<string, string>) {
      if (labels === undefined) gauge[metric].set(value)
      else gauge[metric].set(labels, value)
    },
    async metrics() {
      for (const metric of Object.keys(sums) as CounterName[]) sums[metric].tell(counter[metric])
      tellDelay()
      return { text: await registry.metrics(), contentType: registry.contentType }
    },
    close() {
      delay.disable()
    },
  }
}

interface Sums {
  add(labels: Record<string, string> | undefined, by: number): void
  /** Adds to the counter what came since the last time. */
  tell(counter: Counter): void
}

/** Counters are added up here between two scrapes: prom-client checks and hashes the labels of each call, at 0.24 µs. */
function createSums(): Sums {
  const sums = new Map<string, { labels: Record<string, string>; sum: number }>()
  return {
    add(labels = {}, by) {
      let key = ''
      for (const name in labels) key += `${labels[name]}\n`
      const known = sums.get(key)
      if (known === undefined) sums.set(key, { labels: { ...labels }, sum: by })
      else known.sum += by
    },
    tell(counter) {
      for (const known of sums.values()) {
        counter.inc(known.labels, known.sum)
        known.sum = 0
      }
    },
  }
}

function registered<Specs extends Record<string, MetricSpec>, Metric>(
  specs: Specs,
  make: (
    config: { name: string; help: string; labelNames: string[] },
    spec: Specs[keyof Specs],
  ) => Metric,
): Record<keyof Specs, Metric> {
  const made = Object.entries(specs).map(([name, spec]) => [
    name,
    make(
      {
        name: metricPrefix + name,
        help: spec.help,
        labelNames: Object.keys(spec.labels ?? {}),
      },
      spec as Specs[keyof Specs],
    ),
  ])
  return Object.fromEntries(made) as Record<keyof Specs, Metric>
}
