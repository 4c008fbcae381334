/** Hostile and clumsy clients, one kind after the other, beside others who must not notice. */
import { readFileSync } from 'node:fs'
import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { chanceOf, drawSeed } from '../support/chance.ts'
import { send } from '../support/send.ts'
import { type Service, startService } from '../support/service.ts'
import { attacks } from './attacks.ts'

const test = suite('hostile clients')
/** The service says no otherwise. */
const allowed = /^(closed|2..|400|404|405|408|411|413|414|415|417|431|503)$/

test('no 5xx but 503, no crash, no growth, and nobody else fails', async () => {
  const seed = drawSeed('hostile')
  const service = await startService({
    env: { REQUEST_TIMEOUT_SECONDS: '8', NODE_OPTIONS: '--max-old-space-size=96' },
  })
  const others = readAndWrite(service)
  try {
    await others.quiet()
    const before = memoryOf(service)
    const told: string[] = [`before: p99 ${others.p99Ms()} ms, ${before.nowMiB} MiB`]
    const wrong: string[] = []
    for (const attack of attacks) {
      others.reset()
      const [ends] = await Promise.all([attack.run(service.port, chanceOf(seed)), sleep(3_000)])
      const said = [...ends].map(([end, count]) => `${count} ${end}`).join(', ')
      told.push(
        `${attack.name}: ${said}; others: p99 ${others.p99Ms()} ms, ${memoryOf(service).nowMiB} MiB`,
      )
      for (const end of ends.keys()) if (!allowed.test(end)) wrong.push(`${attack.name}: ${end}`)
    }
    await others.quiet()
    const after = memoryOf(service)
    told.push(`after: p99 ${others.p99Ms()} ms, ${after.nowMiB} MiB, at the peak ${after.peakMiB}`)
    console.log(told.join('\n'))
    const smuggled = await send(service.url, { method: 'GET', path: '/v1/project/smuggled/stage' })
    assert.is(smuggled.status, 404, 'what was hidden behind a message is no request')
    assert.equal(wrong, [])
    assert.equal(await others.stop(), [])
    assert.equal(
      service.events().filter(({ event }) => event === 'request_failed' || event === 'crashed'),
      [],
    )
    assert.ok(after.peakMiB < 512, `${after.peakMiB} MiB at the peak`)
    assert.ok(after.nowMiB < before.nowMiB + 128, `${after.nowMiB} MiB in the end`)
    assert.is(await service.stop(), 0)
  } finally {
    await others.stop()
    await service.dispose()
  }
})

test.run()

/** Others: they keep their connections, as those who were there first. */
function readAndWrite({ url }: Service) {
  const agent = new Agent({ keepAlive: true, maxSockets: 4 })
  const failures: string[] = []
  let durations: number[] = []
  let isOver = false
  const ask = async (method: 'GET' | 'PUT' | 'POST', path: string, body?: string) => {
    const startedMs = performance.now()
    const { status } = await send(url, { method, path, agent, ...(body && { body }) })
    durations.push(performance.now() - startedMs)
    if (status >= 300) failures.push(`${method} ${path}: ${status}`)
  }
  const running = (async () => {
    await ask('POST', '/v1/project', '{"projectName":"target"}')
    await ask('POST', '/v1/project', '{"projectName":"others"}')
    for (let turn = 0; !isOver; turn++) {
      const path = `/v1/project/others/resource/${turn % 10}.yaml`
      await ask('PUT', path, `{"resourceContent":"${btoa(`turn ${turn}`)}"}`)
      await ask('GET', path)
      await sleep(20)
    }
  })().catch((error) => void failures.push(String(error)))
  return {
    reset() {
      durations = []
    },
    async quiet() {
      durations = []
      await sleep(3_000)
    },
    p99Ms: () =>
      Math.round(
        durations.sort((left, right) => left - right)[Math.floor(durations.length * 0.99)] ?? 0,
      ),
    async stop() {
      isOver = true
      await running
      agent.destroy()
      return failures
    },
  }
}

/** @see proc(5) */
function memoryOf({ process }: Service): { nowMiB: number; peakMiB: number } {
  const status = readFileSync(`/proc/${process.pid}/status`, 'utf8')
  const mib = (name: string) =>
    Math.round(Number(new RegExp(`${name}:\\s*(\\d+) kB`).exec(status)?.[1]) / 1_024)
  return { nowMiB: mib('VmRSS'), peakMiB: mib('VmHWM') }
}
