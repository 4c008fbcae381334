/** Load of plain GETs by wrk: on two cores a client takes from the server what it needs itself. */

import { startProcess } from '../test/support/processes.ts'
import { needProgram } from '../test/support/programs.ts'

export interface Load {
  requests: number
  perSecond: number
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
  const args = ['-t1', '-c128', `-d${options.seconds}s`, ...headers, options.url]
  const running = startProcess(needProgram('wrk'), args)
  await running.ended()
  return parseWrk(running.output())
}

/** Reads what wrk prints at its end. @throws where anything failed */
export function parseWrk(output: string): Load {
  const requests = /(\d+) requests in/.exec(output)?.[1]
  const perSecond = /Requests\/sec:\s*([\d.]+)/.exec(output)?.[1]
  if (/Non-2xx|Socket errors/.test(output) || requests === undefined || perSecond === undefined) {
    throw new Error(`wrk: ${output}`)
  }
  return { requests: Number(requests), perSecond: Number(perSecond) }
}
