import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { makeFolder, removeFolder } from '../support/processes.ts'
import { compareBucket, type Ledger, type LedgerLine, readLedger } from './ledger.ts'
import { buildReport, type Seen } from './report.ts'
import { tail } from './tail.ts'
import { writeReport } from './write-report.ts'

const test = suite('the report of a gate')

const line = (more: Partial<LedgerLine>): LedgerLine => ({
  id: 'load 1',
  kind: 'post',
  project: 'short-0',
  file: 'a.yaml',
  blob: 'b1',
  sentMs: 0,
  tookMs: 10,
  ...more,
})

function ledgerOf(lines: LedgerLine[]): Ledger {
  const folder = makeFolder('ledger')
  const path = join(folder, 'ledger')
  writeFileSync(path, lines.map((one) => `${JSON.stringify(one)}\n`).join(''))
  const ledger = readLedger(path)
  removeFolder(folder)
  return ledger
}

/** Ten seconds, with an upgrade from the third to the sixth. */
function seenOf(lines: LedgerLine[], more: Partial<Seen> = {}): Seen {
  return {
    title: 'S1 & more',
    ledger: ledgerOf(lines),
    summary: { startedAtMs: 1_000_000, scheduled: 100, onTime: 100, seconds: 10 },
    witness: { requests: lines.length, complaints: [] },
    endings: [{ build: 'this', exit: 0, drainMs: 1_000, killed: false }],
    replacements: 1,
    wrong: [],
    faults: [],
    notes: [],
    steps: [
      { atMs: 999_000, build: 'v1', what: 'ready' },
      { atMs: 1_003_000, build: 'this', what: 'ready' },
      { atMs: 1_004_000, build: 'v1', what: 'SIGTERM' },
      { atMs: 1_005_000, build: 'v1', what: 'ended' },
    ],
    upgrades: { fromMs: 1_003_000, toMs: 1_006_000 },
    ...more,
  }
}

const failuresOf = (lines: LedgerLine[], more?: Partial<Seen>) =>
  buildReport(seenOf(lines, more)).failures

test('a clean run is green, and counts POSTs apart', () => {
  const report = buildReport(seenOf([line({}), line({ kind: 'get' }), line({ kind: 'long' })]))
  assert.equal(report.failures, [])
  assert.equal([report.requests, report.posts, report.replacements], [3, 2, 1])
  assert.match(report.text, /fewer than 100 % of all requests do, and 150 % of POSTs/)
})

test('whatever was not as it should be is red', () => {
  const ending = { build: 'this', exit: 0, drainMs: 1_000, killed: false }
  assert.match(failuresOf([line({ failure: 'ECONNRESET' })])[0] ?? '', /ECONNRESET/)
  const complaints = ['502 502']
  assert.is(failuresOf([line({})], { witness: { requests: 1, complaints } }).length, 1)
  assert.equal(failuresOf([line({})], { wrong: ['lost: a'], faults: ['job: b'] }), [
    'lost: a',
    'job: b',
  ])
  assert.is(failuresOf([line({})], { endings: [{ ...ending, exit: 1 }] }).length, 1)
  assert.is(failuresOf([line({})], { endings: [{ ...ending, killed: true }] }).length, 1)
  const summary = { startedAtMs: 0, scheduled: 1_000, onTime: 989, seconds: 10 }
  assert.match(failuresOf([line({})], { summary })[0] ?? '', /only 98.9 % were sent on time/)
})

test('latencies and drains are judged on a quiet machine only', () => {
  const lines = [line({ tookMs: 20 }), line({ sentMs: 4_000, tookMs: 2_001 })]
  assert.equal(failuresOf(lines), [])
  assert.equal(failuresOf(lines, { quiet: true }), [
    'latency: p99 2001 ms, above 250 ms',
    'latency: the longest took 2001 ms',
  ])
  const endings = [{ build: 'this', exit: 0, drainMs: 15_001, killed: false }]
  assert.equal(failuresOf([line({}), line({ sentMs: 4_000 })], { endings, quiet: true }), [
    'replica: took 15001 ms to end',
  ])
})

test('the log tells what was lost, doubled, or sent by nobody', async () => {
  const ledger = ledgerOf([
    line({}),
    line({ id: 'load 2' }),
    line({ id: 'load 3', failure: '503' }),
  ])
  const messages = new Map([
    ['load 2', 2],
    ['load 3', 1],
    ['load 9', 1],
    ['Create project', 1],
  ])
  assert.equal(await compareBucket(ledger, async () => ({ messages, faults: ['a gap'] })), [
    'log: short-0: a gap',
    'lost: load 1 was acknowledged, and is no commit',
    'doubled: load 2 is 2 commits',
    'unexpected: nobody sent load 9',
  ])
})

test('a file may hold what was acknowledged last, or what failed since', () => {
  const [files] = ledgerOf([
    line({ blob: 'b1', failure: '503' }),
    line({ blob: 'b2' }),
    line({ blob: null, kind: 'delete', failure: '503' }),
  ]).files.values()
  assert.equal(files?.get('a.yaml'), ['b2', null])
})

test('its files say what was seen, and what is not proven', () => {
  const folder = makeFolder('report')
  const report = buildReport(seenOf([line({}), line({ sentMs: 4_000, tookMs: 300 })]))
  const whole = { runs: [report], failures: ['too little: 1 of 2 posts'], seed: 7, words: [] }
  assert.equal(writeReport(folder, whole), [join(folder, 'report.md'), join(folder, 'run-1.svg')])
  const markdown = readFileSync(join(folder, 'report.md'), 'utf8')
  assert.match(markdown, /# The gate was red/)
  assert.match(markdown, /too little: 1 of 2 posts/)
  assert.match(markdown, /--seed 7/)
  assert.match(markdown, /## What this does not prove\n\n- kube-proxy/)
  const drawing = readFileSync(join(folder, 'run-1.svg'), 'utf8')
  assert.match(drawing, /S1 &amp; more/)
  // One line of SIGTERM, and areas from each step to the next.
  assert.is(drawing.match(/stroke-dasharray/g)?.length, 1)
  assert.is(drawing.match(/<rect x=/g)?.length, 6)
  removeFolder(folder)
})

test('a file that grows is read line by line, each line once', () => {
  const folder = makeFolder('tail')
  const path = join(folder, 'log')
  const lines = tail(path)
  assert.equal(lines(), [])
  writeFileSync(path, 'one\ntw')
  assert.equal(lines(), ['one'])
  appendFileSync(path, 'o\nthree\n')
  assert.equal(lines(), ['two', 'three'])
  assert.equal(lines(), [])
  removeFolder(folder)
})

test.run()
