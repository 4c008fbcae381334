/** Load of plain GETs by wrk: on two cores a client takes from the server what it needs itself. */

import { startProcess } from '../test/support/processes.ts'
import { needProgram } from '../test/support/programs.ts'

export interface Load {
  requests: number
  perSecond: number
  p99Ms: number
}

/**
 * Asks for one URL over 128 connections.
 * @param options.seconds whole ones
 * @throws where an answer is no 2xx, or a connection fails
 */
export async function loadByWrk(options: {
  url: string
  seconds: number
  headers?: Record<string, string>
}): Promise<Load> {
  const headers = Object.entries(options.headers ?? {}).flatMap(([name, value]) => [
    '-H',
    `${name}: ${value}`,
  ])
  const args = ['-t1', '-c128', '--latency', `-d${options.seconds}s`, ...headers, options.url]
  const running = startProcess(needProgram('wrk'), args)
  await running.ended()
  return parseWrk(running.output())
}

/** Reads what wrk prints at its end. @throws where anything failed */
export function parseWrk(output: string): Load {
  const requests = /(\d+) requests in/.exec(output)?.[1]
  const perSecond = /Requests\/sec:\s*([\d.]+)/.exec(output)?.[1]
  const [, p99, unit] = /99%\s+([\d.]+)(us|ms|s)/.exec(output) ?? []
  if (/Non-2xx|Socket errors/.test(output) || !requests || !perSecond || !p99) {
    throw new Error(`wrk: ${output}`)
  }
  const perUnit = { us: 0.001, ms: 1, s: 1_000 }[unit as 'us' | 'ms' | 's']
  return {
    requests: Number(requests),
    perSecond: Number(perSecond),
    p99Ms: Number(p99) * perUnit,
  }
}
