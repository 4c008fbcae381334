/** Load of one request again and again by wrk: on two cores a client takes from the server what it needs itself. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder, removeFolder, startProcess } from '../test/support/processes.ts'
import { needProgram } from '../test/support/programs.ts'

export interface Load {
  requests: number
  perSecond: number
  p50Ms: number
  p99Ms: number
}

/**
 * Asks for one URL over many connections.
 * @param options.seconds whole ones
 * @param options.connections default 128
 * @param options.post what is posted, JSON; default: a GET
 * @throws where an answer is no 2xx, or a connection fails
 */
export async function loadByWrk(options: {
  url: string
  seconds: number
  connections?: number
  headers?: Record<string, string>
  post?: string
}): Promise<Load> {
  const { url, seconds, connections = 128, headers = {}, post } = options
  const folder = makeFolder('wrk')
  const flags = ['-t1', `-c${connections}`, '--latency', `-d${seconds}s`]
  for (const [name, value] of Object.entries(headers)) flags.push('-H', `${name}: ${value}`)
  if (post !== undefined) flags.push('-s', writeScript(folder, post))
  const running = startProcess(needProgram('wrk'), [...flags, url])
  await running.ended()
  removeFolder(folder)
  return parseWrk(running.output())
}

/** Without a function of its own in it, wrk makes the request once, as it does a GET. @returns its path */
function writeScript(folder: string, body: string): string {
  const file = join(folder, 'post.lua')
  const lines = [
    'wrk.method = "POST"',
    'wrk.headers["Content-Type"] = "application/json"',
    `wrk.body = [==[${body}]==]`,
  ]
  writeFileSync(file, lines.join('\n'))
  return file
}

/** Reads what wrk prints at its end. @throws where anything failed */
export function parseWrk(output: string): Load {
  const requests = /(\d+) requests in/.exec(output)?.[1]
  const perSecond = /Requests\/sec:\s*([\d.]+)/.exec(output)?.[1]
  const [p50Ms, p99Ms] = [percentileMs(output, 50), percentileMs(output, 99)]
  const hasFailed = /Non-2xx|Socket errors/.test(output)
  if (hasFailed || !requests || !perSecond || p50Ms === undefined || p99Ms === undefined) {
    throw new Error(`wrk: ${output}`)
  }
  return { requests: Number(requests), perSecond: Number(perSecond), p50Ms, p99Ms }
}

function percentileMs(output: string, percent: number): number | undefined {
  const [, number, unit] =
    new RegExp(`^\\s*${percent}%\\s+([\\d.]+)(us|ms|s)`, 'm').exec(output) ?? []
  if (number === undefined) return undefined
  return Number(number) * { us: 0.001, ms: 1, s: 1_000 }[unit as 'us' | 'ms' | 's']
}
