import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { counters, gauges, histograms, metricPrefix } from '../../src/observe.ts'
import { createObserver } from '../../src/observer.ts'

const test = suite('observer')

function observed(level: 'debug' | 'info' | 'warn' | 'error' = 'info') {
  const lines: string[] = []
  const observer = createObserver({
    level,
    destination: { write: (line) => void lines.push(line) },
  })
  return { observer, lines, parsed: () => lines.map((line) => JSON.parse(line)) }
}

test('a line is one JSON object with level, time, event and the fields', () => {
  const { observer, parsed } = observed()
  observer.log('info', 'request', { requestId: 'r-1', status: 200 })
  observer.close()
  const [line] = parsed()
  assert.is(line.level, 'info')
  assert.is(line.event, 'request')
  assert.is(line.requestId, 'r-1')
  assert.is(line.status, 200)
  assert.ok(Math.abs(Date.parse(line.time) - Date.now()) < 60_000)
})

test('an error is told with its sentence, its stack and its cause', () => {
  const { observer, parsed } = observed()
  const error = new Error('no answer', { cause: new Error('ECONNREFUSED') })
  observer.log('error', 'background_failed', { error })
  observer.close()
  const [line] = parsed()
  assert.match(line.error.message, 'no answer')
  assert.match(line.error.stack, 'observer.test')
  assert.match(line.error.stack, 'ECONNREFUSED')
})

test('lines below the level are not written', () => {
  const { observer, lines } = observed('warn')
  observer.log('info', 'ready')
  observer.log('warn', 'store_failed')
  observer.close()
  assert.is(lines.length, 1)
})

test('what was counted, recorded and set is in the text under the prefix', async () => {
  const { observer } = observed()
  observer.count('http_requests_total', { method: 'GET', route: '/v1/project', status: '200' }, 3)
  observer.count('store_probes_total')
  observer.record('commit_seconds', 0.003)
  observer.set('stopped_projects', 2)
  const { text, contentType } = await observer.metrics()
  observer.close()
  assert.match(contentType, 'text/plain')
  assert.match(
    text,
    'configuration_service_http_requests_total{method="GET",route="/v1/project",status="200"} 3',
  )
  assert.match(text, 'configuration_service_store_probes_total 1')
  assert.match(text, 'configuration_service_commit_seconds_bucket{le="0.005"} 1')
  assert.match(text, 'configuration_service_stopped_projects 2')
})

test('every metric of the tables is registered with its help', async () => {
  const { observer } = observed()
  const { text } = await observer.metrics()
  observer.close()
  for (const [name, { help }] of Object.entries({ ...counters, ...histograms, ...gauges })) {
    assert.ok(text.includes(`# HELP ${metricPrefix}${name} ${help}`), `${name} is not registered`)
  }
})

test('the delay of a blocked event loop is seen by the next scrape', async () => {
  const { observer } = observed()
  await new Promise((resolve) => setTimeout(resolve, 30))
  const until = performance.now() + 120
  while (performance.now() < until);
  await new Promise((resolve) => setTimeout(resolve, 30))
  const { text } = await observer.metrics()
  observer.close()
  const worst = /event_loop_delay_seconds\{quantile="1"\} (\S+)/.exec(text)?.[1]
  assert.ok(Number(worst) > 0.08, `the worst delay shown is ${worst} s`)
})

test.run()
