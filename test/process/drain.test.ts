import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type RunningProcess, startProcess, waitFor } from '../support/processes.ts'

const test = suite('drain')

/** Listens for 1 to 2 s after the signal, needs 0.4 s of quiet, cuts what is not used for 5 s, and what is left after 5 s. */
const env = { WINDOW_SECONDS: '2', REQUEST_SECONDS: '2' }
/** Cuts what is left after 15 s. */
const patientEnv = { ...env, REQUEST_SECONDS: '12' }
/** Balancers learn of the end of a replica so late. */
const propagationMs = 600

interface Child {
  port: number
  process: RunningProcess
  /** Sends SIGTERM. */
  terminate(): void
  /** @returns the exit code, or the name of the signal, and the time since the signal */
  end(): Promise<{ code: number | string; afterMs: number }>
  events(): Record<string, unknown>[]
  /** When a phase of the drain began, in milliseconds since the signal, by the program's own clock. */
  phaseAtMs(phase: string): number
}

async function startChild(settings = env): Promise<Child> {
  const program = fileURLToPath(new URL('./drain-program.js', import.meta.url))
  const running = startProcess(process.execPath, [program], { env: settings })
  const events = () =>
    running
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  const listening = () => events().find(({ event }) => event === 'listening')
  await waitFor(() => listening() !== undefined, { what: 'the program to listen' })
  let signalledMs = 0
  return {
    port: Number(listening()?.port),
    process: running,
    events,
    phaseAtMs: (phase) => Number(events().find((line) => line.phase === phase)?.afterMs),
    terminate() {
      signalledMs = performance.now()
      running.signal('SIGTERM')
    },
    async end() {
      const code = await running.ended()
      return { code, afterMs: performance.now() - signalledMs }
    },
  }
}

interface Answer {
  status: number
  connection: string | undefined
  body: string
  atMs: number
}

function ask(port: number, path: string, agent?: Agent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request(
      { host: '127.0.0.1', port, path, method: 'POST', agent: agent ?? false },
      (response) => {
        let body = ''
        response.setEncoding('utf8')
        response.on('data', (text) => {
          body += text
        })
        response.on('error', reject)
        response.on('end', () => {
          const connection = response.headers.connection
          const status = response.statusCode ?? 0
          resolve({ status, connection, body, atMs: performance.now() })
        })
      },
    )
    call.on('error', reject)
    call.end('body')
  })
}

/**
 * POSTs one after the other and repeats none. One that keeps its connection stays with it until the server asks it to leave;
 * then, as after the balancer has learned of the end, it has somewhere else to go.
 */
async function client(child: Child, state: { gone: boolean }, keepAlive: boolean) {
  const agent = new Agent({ keepAlive, maxSockets: 1 })
  const answers: Answer[] = []
  const failures: string[] = []
  while (!state.gone || (keepAlive && answers.at(-1)?.connection !== 'close')) {
    try {
      const answer = await ask(child.port, '/answer?afterMs=5', agent)
      answers.push(answer)
      if (answer.status !== 200 || answer.body !== 'done') failures.push(JSON.stringify(answer))
    } catch (error) {
      failures.push(String(error))
      if (failures.length > 20) break
    }
  }
  agent.destroy()
  return { answers, failures }
}

test('under load SIGTERM fails no request, and a second one shortens nothing', async () => {
  const child = await startChild()
  const state = { gone: false }
  const clients = [0, 1, 2, 3, 4, 5].map((n) => client(child, state, n % 2 === 0))
  const bodyOf = (path: string) => ask(child.port, path).then(({ body }) => body, String)
  const long = [0, 1].map((n) => bodyOf(`/answer?afterMs=1800&id=early-${n}`))
  await sleep(300)
  const signalledMs = performance.now()
  child.terminate()
  await sleep(100)
  child.process.signal('SIGTERM')
  child.process.signal('SIGINT')
  long.push(bodyOf('/answer?afterMs=1800&id=late'))
  await sleep(propagationMs - 100)
  state.gone = true

  const done = await Promise.all(clients)
  assert.equal(
    done.flatMap(({ failures }) => failures),
    [],
  )
  assert.equal(await Promise.all(long), ['done', 'done', 'done'])
  const { code, afterMs } = await child.end()
  assert.is(code, 0)
  assert.ok(afterMs >= 1_850, `it ended after ${afterMs} ms, before the late long request`)

  const after = done.flatMap(({ answers }) => answers).filter(({ atMs }) => atMs > signalledMs + 50)
  assert.ok(after.length > 50, `only ${after.length} requests after the signal: no load`)
  const kept = after.filter(({ connection }) => connection !== 'close')
  assert.equal(kept, [], 'every answer after the signal asks the client to leave')
})

test('an answer under way at the signal asks the client to leave as well', async () => {
  const child = await startChild()
  const agent = new Agent({ keepAlive: true })
  const answer = ask(child.port, '/answer?afterMs=300', agent)
  await sleep(100)
  child.terminate()
  assert.is((await answer).connection, 'close')
  agent.destroy()
  assert.is((await child.end()).code, 0)
})

test('a request that cannot be parsed is answered 400 with Connection: close while draining', async () => {
  const child = await startChild()
  child.terminate()
  await waitFor(() => child.events().some(({ phase }) => phase === 'accepting'))
  const answer = await raw(child.port, 'NONSENSE\r\n\r\n')
  assert.match(answer, /^HTTP\/1\.1 400 /)
  assert.match(answer, /\r\nconnection: close\r\n/i)
  assert.is((await child.end()).code, 0)
})

test('without traffic it ends after half the window, although probes go on', async () => {
  const child = await startChild()
  child.terminate()
  let probes = 0
  const probing = (async () => {
    while (child.process.exited() === undefined) {
      await ask(child.port, '/livez').then(
        () => probes++,
        () => {},
      )
      await sleep(50)
    }
  })()
  const { code } = await child.end()
  await probing
  assert.is(code, 0)
  assert.ok(probes > 5, `only ${probes} probes`)
  const closedMs = child.phaseAtMs('finishing')
  assert.ok(closedMs >= 990 && closedMs < 1_900, `the listener closed after ${closedMs} ms`)
})

test('traffic keeps the listener open until the end of the window and no longer', async () => {
  const child = await startChild()
  child.terminate()
  const isAnswered = () =>
    ask(child.port, '/answer?afterMs=1').then(
      () => true,
      () => false,
    )
  while (await isAnswered()) await sleep(20)
  assert.is((await child.end()).code, 0)
  const closedMs = child.phaseAtMs('finishing')
  assert.ok(closedMs >= 1_990 && closedMs < 4_000, `the listener closed after ${closedMs} ms`)
})

test('a connection that its client keeps is left to the client, who may use it once more', async () => {
  const child = await startChild(patientEnv)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  await ask(child.port, '/answer?afterMs=1', agent)
  child.terminate()
  await waitFor(() => child.phaseAtMs('finishing') > 0, { what: 'the listener to close' })
  await sleep(200)
  const answer = await ask(child.port, '/answer?afterMs=1', agent)
  assert.is(answer.body, 'done')
  assert.is(answer.connection, 'close')
  agent.destroy()
  assert.is((await child.end()).code, 0)
})

test('connections that are silent, unused, or stop amid a head, hold it up for a while only', async () => {
  const child = await startChild(patientEnv)
  const whole = 'POST /answer?afterMs=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n'
  const sockets = ['', 'POST /answer HTTP/1.1\r\nHost: x\r\n', whole].map((text) => {
    const socket = connect(child.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(text)
    return socket
  })
  await sleep(100)
  child.terminate()
  const { code } = await child.end()
  for (const socket of sockets) socket.destroy()
  assert.is(code, 0)
  const closedMs = child.phaseAtMs('closed')
  assert.ok(closedMs >= 4_700 && closedMs < 12_000, `it took ${closedMs} ms`)
})

test('a request that does not end is cut at the deadline, named, and the exit code says so', async () => {
  const child = await startChild()
  const answers = ['a', 'b&head=now'].map((id) =>
    ask(child.port, `/answer?afterMs=60000&id=${id}`).then(
      () => 'answered',
      () => 'cut',
    ),
  )
  await sleep(100)
  child.terminate()
  const { code, afterMs } = await child.end()
  assert.equal(await Promise.all(answers), ['cut', 'cut'])
  assert.is(code, 1)
  assert.ok(afterMs >= 4_900 && afterMs < 20_000, `it ended after ${Math.round(afterMs)} ms`)
  const named = child.events().filter(({ event }) => event === 'request_aborted')
  assert.equal(named.map(({ requestId }) => requestId).sort(), ['a', 'b'])
})

test('SIGINT drains as SIGTERM does', async () => {
  const child = await startChild()
  const answer = ask(child.port, '/answer?afterMs=500')
  await sleep(100)
  child.process.signal('SIGINT')
  assert.is((await answer).body, 'done')
  assert.is((await child.end()).code, 0)
})

test('each phase is told with the number of requests under way', async () => {
  const child = await startChild()
  const answer = ask(child.port, '/answer?afterMs=1500')
  await sleep(100)
  child.terminate()
  await answer
  await child.end()
  const phases = child.events().filter(({ event }) => event === 'drain_phase')
  assert.equal(
    phases.map(({ phase, requestsUnderWay }) => [phase, requestsUnderWay]),
    [
      ['accepting', 1],
      ['finishing', 1],
      ['closed', 0],
    ],
  )
})

function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    let answer = ''
    socket.setEncoding('utf8')
    socket.on('data', (chunk) => {
      answer += chunk
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(answer))
  })
}

test.run()
