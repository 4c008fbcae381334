import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { drawBars } from '../../bench/chart.ts'
import { makeGitPeer } from '../../bench/peer-git.ts'
import {
  type ContenderName,
  contenders,
  joinLoads,
  type PeerRun,
  pushTo,
  putInto,
} from '../../bench/peers.ts'
import {
  judgePeers,
  makePeerReport,
  renderContenderLine,
  renderJudged,
  renderPeers,
} from '../../bench/peers-report.ts'
import { renderLine } from '../../bench/report.ts'
import { startProcess } from '../support/processes.ts'
import { repositoryRoot, requireServers } from '../support/programs.ts'
import { startEtcd } from '../support/servers.ts'

const benchFile = join(repositoryRoot, 'dist', 'bench', 'bench.js')
const at = '2026-11-22T00:00:00Z'

/** A run in which everybody does 100 a second, but for those that are named. */
function runOf(rates: Partial<Record<ContenderName, number>>): PeerRun {
  const measured = contenders.map(({ name }) => [
    name,
    { perSecond: rates[name] ?? 100, p50Ms: 1, p99Ms: 2 },
  ])
  return Object.fromEntries(measured) as PeerRun
}

const test = suite('the service beside others')

test('each row is the median of what its two did in the same run', () => {
  const runs = [
    runOf({ 'service-reads': 800, 'service-writes': 50, 'git-durable-writes': 1 }),
    runOf({ 'service-reads': 200, 'service-writes': 90, 'git-durable-writes': 2 }),
    runOf({ 'service-reads': 400, 'service-writes': 30, 'git-durable-writes': 1 }),
  ]
  const results = judgePeers({ runs }, at)
  assert.equal(
    results.map(({ name, median, verdict }) => [name, median, verdict]),
    [
      ['reads-beside-etcd', 4, 'must'],
      ['writes-beside-etcd', 0.5, 'must'],
      ['writes-beside-git', 45, 'missed'],
    ],
  )
})

test('a run that failed leaves every row missed', () => {
  const results = judgePeers({ runs: [runOf({})], error: 'no etcd' }, at)
  assert.equal(
    results.map(({ verdict }) => verdict),
    ['missed', 'missed', 'missed'],
  )
  assert.is(renderLine(results[0] as never), 'reads-beside-etcd: MISSED: no etcd')
})

test('loads at the same time add up, and are as slow as the slowest', () => {
  const load = (requests: number, ms: number) => ({
    requests,
    perSecond: requests / 2,
    p50Ms: ms,
    p99Ms: ms * 10,
  })
  assert.equal(joinLoads([load(10, 3), load(20, 1)]), {
    requests: 30,
    perSecond: 15,
    p50Ms: 3,
    p99Ms: 30,
  })
})

test('the longest bar of each group takes the whole width', () => {
  const bar = (length: number) => ({ label: 'x < y', side: 'own' as const, length, told: '7' })
  const picture = drawBars('title', [
    { title: 'one', bars: [bar(5), bar(20)] },
    { title: 'two', bars: [bar(4)] },
  ])
  const widths = [...picture.matchAll(/<rect [^>]*width="([\d.]+)"/g)].map(([, width]) => width)
  assert.equal(widths, ['130.0', '520.0', '520.0'])
  assert.match(picture, 'x &lt; y')
})

test('flags that choose rows do not go with others', async () => {
  const running = startProcess(process.execPath, [benchFile, '--peers', '--row', 'reads'])
  assert.is(await running.ended(), 2)
})

const span = { sliceSeconds: 1, warmUpSeconds: 0 }

if (requireServers('the service beside others: etcd', 'etcd', 'git')) {
  test('the tables name everybody, once for what they read and once for what they write', () => {
    const runs = [runOf({}), runOf({ 'service-reads': 300 }), runOf({})]
    const report = makePeerReport(runs, judgePeers({ runs }, at))
    const text = renderPeers(report)
    assert.match(text, '| this service, 1 replica | 100 (100 to 300) | 1 | 2 | – | wrk, GET |')
    const lines = text.split('\n').filter((line) => /^\| (?!What|Who|---)/.test(line))
    assert.is(lines.length, report.rows.length + contenders.length)
    for (const one of [text, renderJudged(report)]) {
      assert.match(one, /etcd 3\.\d+\.\d+, git \d+\.\d+/)
      assert.match(one, '| the same | git commit + push')
    }
    const first = report.contenders[0] as (typeof report.contenders)[number]
    assert.is(renderContenderLine(first), 'service-reads: 100 (100 to 300), 1, 2, –')
  })

  test('puts are counted once they are revisions of etcd', async () => {
    const etcd = await startEtcd()
    try {
      const turn = await putInto(etcd.url, span)
      assert.ok(turn.requests > 0 && turn.p50Ms > 0, JSON.stringify(turn))
    } finally {
      await etcd.stop()
    }
  })
}

if (requireServers('the service beside others: git', 'git')) {
  for (const isDurable of [true, false]) {
    test(`pushes are counted once the bare repository holds them, durable: ${isDurable}`, async () => {
      const peer = makeGitPeer(3, { isDurable })
      try {
        const turn = await pushTo(peer, span)
        assert.is(peer.commits(), turn.requests + 1)
      } finally {
        peer.remove()
      }
    })
  }
}

test.run()
