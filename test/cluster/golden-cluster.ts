/** The golden cluster log and announcements: every kind of decision, and what a build of tomorrow may add. */
import { atOf, digitsOf, sha256 } from '../git/golden-log.ts'

/** Two decisions of version 0, then a rollout to format 2 and back; by key below `cluster/`. */
export function clusterFiles(): Map<string, string> {
  const files = new Map<string, string>()
  let previous: string | null = null
  for (const [at, decision] of decisions.entries()) {
    const seq = at + 1
    const transactionId = `6f0c1d5e-0000-4000-9000-${String(seq).padStart(12, '0')}`
    const made = { seq, previous, transactionId, at: atOf(seq) }
    const [version, build] = seq > 2 ? [1, '0.4.0'] : [0, '0.1.0']
    const line = `${JSON.stringify({ version, ...made, build, ...decision })}\n`
    files.set(`log/${digitsOf(seq)}.json`, line)
    previous = sha256(line)
  }
  for (const said of announcements) {
    files.set(`replicas/${said.replicaId}.json`, `${JSON.stringify(said)}\n`)
  }
  return files
}

const decisions = [
  { kind: 'expanded', format: 1, formats: [1] },
  { kind: 'expanded', format: 2, formats: [1] },
  { kind: 'target', format: 2, acceptIrreversible: false },
  { kind: 'withdrawn', format: 2, because: 'replica-7 handles formats 1 to 1' },
  { kind: 'forget', replicaId: 'replica-7' },
  { kind: 'permitted', format: 2 },
  { kind: 'target', format: 2, acceptIrreversible: true },
  { kind: 'reached', format: 2 },
  { kind: 'agreed', format: 2 },
  { kind: 'renamed', format: 9, later: { also: [1, null] } },
  { kind: 'reached', format: 2, later: 'ignored' },
  { kind: 'target', format: 1, acceptIrreversible: false },
]

const today = { build: '0.4.0', reads: [1, 2], writes: [1, 2], clusterSeq: 12 }

const announcements = [
  {
    version: 0,
    replicaId: 'of-0.1',
    role: 'replica',
    build: '0.1.0',
    reads: [1, 1],
    writes: [1, 1],
    clusterSeq: 2,
    startedAt: atOf(1),
    at: atOf(2),
    draining: true,
  },
  {
    version: 1,
    replicaId: 'of-0.4',
    role: 'replica',
    ...today,
    startedAt: atOf(11),
    at: atOf(12),
    draining: false,
    stopped: [{ project: 'sockshop', applied: 17 }],
    recent: ['sockshop', 'Ü project'],
    later: 'ignored',
  },
  {
    version: 1,
    replicaId: 'job',
    role: 'migrate',
    ...today,
    startedAt: atOf(12),
    at: atOf(12),
    draining: false,
    stopped: [],
    recent: [],
  },
]
