import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { drawChart } from '../../bench/chart.ts'
import { renderProfile } from '../../bench/profile.ts'
import { merge, putBetweenMarkers, renderLine, renderTable } from '../../bench/report.ts'
import { judge, quantile, type Row, rows } from '../../bench/rows.ts'
import { parseWrk } from '../../bench/wrk.ts'
import { startProcess } from '../support/processes.ts'
import { repositoryRoot } from '../support/programs.ts'

const benchFile = join(repositoryRoot, 'dist', 'bench', 'bench.js')

const at = '2026-11-22T00:00:00Z'
const machine = { cores: 2, node: 'v20.15.0', platform: 'linux' }
const rowOf = (name: string) => rows.find((row) => row.name === name) as Row

const test = suite('results of the benchmark')

test('a ratio is judged by the median of its runs', () => {
  const runs = [0.2, 0.75, 0.95].map((value) => ({ value: value * 1_000, baseline: 1_000 }))
  const result = judge(rowOf('reads'), { samples: runs, at })
  assert.equal([result.median, result.verdict], [0.75, 'must'])
})

test('of what is better when lower, less than the aim is reached', () => {
  const verdictAt = (value: number) =>
    judge(rowOf('read-latency'), { samples: [{ value, baseline: 1 }], at }).verdict
  assert.equal([1.1, 1.2, 1.4].map(verdictAt), ['aim', 'must', 'missed'])
})

test('a row that failed is missed, whatever its other runs gave', () => {
  const result = judge(rowOf('probes'), { samples: [{ value: 1 }], error: 'no MinIO', at })
  assert.equal([result.median, result.verdict], [null, 'missed'])
  assert.match(renderLine(result), /^probes: MISSED: no MinIO$/)
})

test('a quantile lies between its neighbours', () => {
  assert.equal([quantile([4, 1, 3, 2], 0.5), quantile([1], 0.99)], [2.5, 1])
})

test('a later result replaces the earlier one of its row only', () => {
  const result = (name: string, value: number) =>
    judge(rowOf(name), { samples: [{ value, baseline: 1 }], at })
  const merged = merge([result('writes', 5), result('reads', 1)], [result('writes', 9)])
  assert.equal(
    merged.map(({ name, median }) => [name, median]),
    [
      ['reads', 1],
      ['writes', 9],
    ],
  )
})

test('the table has a line for each row, between the markers of the text', () => {
  const results = rows.map((row) =>
    judge(row, { samples: [{ value: 2, baseline: 1, notes: { bareKoaPerSecond: 7 } }], at }),
  )
  const table = renderTable({ machine, rows: results })
  assert.is(table.match(/^\| (?!What|---)/gm)?.length, rows.length)
  assert.match(table, '2 cores, 2026-11-22. Bare Koa: 7 reads/s.')
  const text = 'a\n<!-- results: begin -->\nold\n<!-- results: end -->\nb\n'
  assert.match(putBetweenMarkers(text, 'new'), /^a\n<!--.*-->\n\nnew\n<!--.*-->\nb\n$/)
  assert.throws(() => putBetweenMarkers('no markers', 'new'), /no place/)
})

test('the chart has a bar for each row, as long as its figure', () => {
  const samples = [{ value: 1.4, baseline: 1 }]
  const chart = drawChart([judge(rowOf('reads'), { samples, at })])
  // Twice the must, on a scale of four musts over 520.
  assert.match(chart, '<rect x="20" y="56" width="260.0" height="14" rx="2" class="aim"/>')
  assert.match(chart, '>1.40 (0.70)</text>')
})

test('wrk that met failures gives no figures', () => {
  const good =
    '     50%  980.00us\n     99%   12.50ms\n  8575 requests in 1.00s, 4.47MB read\nRequests/sec:   8553.21\n'
  assert.equal(parseWrk(good), { requests: 8575, perSecond: 8553.21, p50Ms: 0.98, p99Ms: 12.5 })
  assert.throws(() => parseWrk(`${good}Non-2xx or 3xx responses: 1\n`), /wrk:/)
  assert.throws(() => parseWrk(`${good}Socket errors: connect 0, read 1\n`), /wrk:/)
  assert.throws(() => parseWrk('unable to connect'), /wrk:/)
})

test('a profile counts samples of its time only, and idle time apart', () => {
  const node = (id: number, functionName: string) => ({
    id,
    callFrame: { functionName, url: '', lineNumber: 0, columnNumber: 0 },
  })
  const profile = {
    startTime: 1_000,
    nodes: [node(1, 'early'), node(2, 'busy'), node(3, '(idle)'), node(4, 'rare')],
    samples: [1, 2, 3, 4, 1],
    timeDeltas: [10, 30, 40, 10, 1_000],
  }
  const lines = renderProfile(profile, { fromMicros: 1_020, toMicros: 1_500 })
  assert.equal(lines, [' 75.0 %  busy', ' 25.0 %  rare', ' 50.0 %  of the time it was idle'])
})

test('a quick run of one row prints its line, and exits 1 only where a must is missed', async () => {
  const running = startProcess(process.execPath, [benchFile, '--quick', '--row', 'start'])
  const code = await running.ended()
  const line = /^start: \+[\d.]+ s \([\d.]+ s against [\d.]+ s\).*: (.*)$/m.exec(running.output())
  assert.is(code, line?.[1] === 'MISSED' ? 1 : line === null ? 'no line' : 0)
})

test('a row that there is not is refused with the names of those that there are', async () => {
  const running = startProcess(process.execPath, [benchFile, '--row', 'nothing'])
  assert.is(await running.ended(), 2)
  assert.match(running.output(), 'reads, stale-reads')
})

test.run()
