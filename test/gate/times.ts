/**
 * How long each step of a replacement takes, in milliseconds: a third of what the chart sets (`docs/zero-downtime.md`, section 8),
 * since the proportions are what is tested. The longest request alone is not scaled: where it ends is no race, and a drain takes
 * no longer than the requests that it meets.
 */
export interface GateTimes {
  /** From ready until the controller believes it (minReadySeconds). */
  minReadyMs: number
  /** Until a new endpoint is known everywhere. */
  addMs: readonly [number, number]
  /** Until an endpoint that goes is gone everywhere. */
  removeMs: readonly [number, number]
  /** How much later than the Service a gateway learns of either that knows the pods themselves. */
  laterMs: readonly [number, number]
  /** From terminating to SIGTERM. */
  preStopMs: number
  /** From terminating to SIGKILL, which must never be reached. */
  graceMs: number
  /** The longest that a replica accepts new requests after SIGTERM. */
  windowSeconds: number
  /** The longest request. */
  requestSeconds: number
  /** How long the long requests take. */
  longMs: number
  /** How long the slow uploads take. */
  slowMs: number
  /** Mode B: how long an unused connection to the Service is kept. */
  keptMs: number
  /** Between two heartbeats of a replica. */
  heartbeatSeconds: number
}

export const thirdOfReal: GateTimes = {
  minReadyMs: 2_000,
  addMs: [200, 1_000],
  removeMs: [300, 3_000],
  // With it 14 s, as preStop is to be longer than that.
  laterMs: [0, 1_667],
  preStopMs: 5_000,
  graceMs: 45_000,
  windowSeconds: 2,
  requestSeconds: 25,
  longMs: 7_000,
  slowMs: 5_000,
  // A fifth of what docs/gateway.md allows, as the window is of its own.
  keptMs: 4_000,
  heartbeatSeconds: 1,
}
