/** The golden logs: every line of docs/entry-format.md at least once. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Oid } from '../../src/git/objects.ts'
import { encodePack, type PackedObject } from '../../src/git/pack.ts'
import { deltaPack } from './delta-packs.ts'
import {
  append,
  atOf,
  commitFiles,
  deletionCommit,
  digitsOf,
  type Expected,
  emptyLog,
  type Files,
  type GoldenLog,
  type GoldenRequest,
  logKey,
  sha256,
  tipOf,
} from './golden-log.ts'
import { stockGit } from './stock-git.ts'

const principal = 'anna'

/** A project that lives, dies, and is made again under another default branch. */
export function sockshop(): GoldenLog {
  const log = emptyLog('main', 0)
  create(log, 'sockshop')
  addStages(log, ['dev', 'prod'])
  keyedWithRefusal(log)
  spilled(log)
  deleteStage(log, 'prod')
  deleteProject(log)
  log.defaultBranch = 'trunk'
  log.incarnation = log.expected.length + 1
  create(log, 'sockshop again')
  addStages(
    log,
    Array.from({ length: 60 }, (_, at) => (at % 2 ? `stage-${at}` : `Stufe-ü.${at}`)),
  )
  ofNewerBuild(log)
  return log
}

/** A project that was imported from elsewhere: a pack with deltas, and an annotated tag. */
export function imported(): GoldenLog {
  const log = emptyLog('main', 0)
  importPack(log, { isIndexed: false })
  commitOn(log, 'main', { 'new.yaml': 'after: import\n' })
  deleteProject(log)
  return log
}

/** One of version 1 that takes another format, dies, is brought back, and loses entries, which a person accepts. */
export function accepted(): GoldenLog {
  const log = emptyLog('main', 1)
  create(log, 'accepted')
  addStages(log, ['dev', 'prod'])
  keyedWithRefusal(log)
  takeFolders(log)
  deleteProject(log)
  undelete(log)
  refuse(log)
  append(log, { kind: 'restore', requests: [] })
  restoreInPlace(log)
  append(log, { kind: 'restore', requests: [] })
  commitOn(log, 'main', { 'after.yaml': 'all: that is left\n' })
  return log
}

/** One that was imported, with an index beside its checkpoints, and again with what was new since. */
export function followed(): GoldenLog {
  const log = emptyLog('main', 1)
  importPack(log, { isIndexed: true })
  importMore(log)
  return log
}

function create(log: GoldenLog, name: string): void {
  const files = {
    'metadata.yaml': `projectName: ${name}\ncreationTimestamp: "2026-11-21T12:00:00Z"\n`,
  }
  const made = commitFiles(log, {
    files,
    parents: [],
    message: `Create ${name}`,
    author: principal,
  })
  log.refs.set(`refs/heads/${log.defaultBranch}`, made.oid)
  append(log, { kind: 'create', requests: [done(201, made.oid)], objects: made.objects })
}

function addStages(log: GoldenLog, stages: readonly string[]): void {
  const tip = log.refs.get(`refs/heads/${log.defaultBranch}`) as Oid
  for (const stage of stages) log.refs.set(`refs/heads/${stage}`, tip)
  const requests = stages.map(() => ({ ...done(201, tip), commits: [] }))
  append(log, { kind: 'commit', requests })
}

function commitOn(log: GoldenLog, branch: string, files: Files): void {
  const parent = log.refs.get(`refs/heads/${branch}`) as Oid
  const all = { ...log.files.get(parent), ...files }
  const change = { files: all, parents: [parent], message: 'Update resources', author: principal }
  const made = commitFiles(log, change)
  log.refs.set(`refs/heads/${branch}`, made.oid)
  const requests = [done(201, made.oid)]
  append(log, { kind: 'commit', requests, objects: made.objects, prerequisites: [parent] })
}

/** A batch: a keyed commit, one on top of it without a key, a keyed refusal, a keyed request that changes nothing. */
function keyedWithRefusal(log: GoldenLog): void {
  const parent = log.refs.get('refs/heads/dev') as Oid
  const files = { ...log.files.get(parent), 'carts/slo.yaml': 'spec_version: "1.0"\n' }
  const message = 'Update carts/slo.yaml\n\nX-Keptn-User: ü <not@an.address>'
  const first = commitFiles(log, { files, parents: [parent], message, author: 'Jörg' })
  const more = { ...files, 'carts/helm/values.yaml': 'image: carts:1.2.3\n' }
  const second = commitFiles(log, {
    files: more,
    parents: [first.oid],
    message: 'More',
    author: '',
  })
  log.refs.set('refs/heads/dev', second.oid)
  const requests = [
    keyed('order-1', done(201, first.oid)),
    done(201, second.oid),
    keyed('order-2', { principal, commits: [], outcome: { status: 404, code: 'stage_not_found' } }),
    keyed('ключ/3', { ...done(200, second.oid), principal: '', commits: [] }),
  ]
  const objects = new Map(
    [...first.objects, ...second.objects].map((object) => [object.oid, object]),
  )
  append(log, { kind: 'commit', requests, objects: [...objects.values()], prerequisites: [parent] })
}

/** All objects lie in two packs, blobs in the first, and the entry holds its transaction alone. */
function spilled(log: GoldenLog): void {
  const parent = log.refs.get('refs/heads/dev') as Oid
  const texts = Array.from({ length: 40 }, (_, at) => [
    `carts/jmeter/${at}.jmx`,
    `<plan>${at}</plan>\n`,
  ])
  const files = { ...log.files.get(parent), ...(Object.fromEntries(texts) as Files) }
  const made = commitFiles(log, {
    files,
    parents: [parent],
    message: 'Load tests',
    author: principal,
  })
  log.refs.set('refs/heads/dev', made.oid)
  const isBlob = (object: PackedObject) => object.type === 'blob'
  const fresh = made.objects.filter((object) => !log.known.has(object.oid))
  for (const object of fresh) log.known.add(object.oid)
  const packs = {
    '0d2f6e7a-1111-4000-8000-000000000001.pack': encodePack(fresh.filter(isBlob)),
    '0d2f6e7a-1111-4000-8000-000000000002.pack': encodePack(fresh.filter((one) => !isBlob(one))),
  }
  append(log, { kind: 'commit', requests: [done(201, made.oid)], packs, prerequisites: [parent] })
}

function deleteStage(log: GoldenLog, stage: string): void {
  const commit = deletionCommit(log, [`refs/heads/${stage}`])
  const parents = [log.refs.get(`refs/heads/${stage}`) as Oid]
  log.refs.delete(`refs/heads/${stage}`)
  log.refs.set('refs/meta/deleted', commit.oid)
  const requests = [{ principal, commits: [commit.oid], outcome: { status: 204 } }]
  append(log, { kind: 'commit', requests, objects: commit.objects, prerequisites: parents })
}

function deleteProject(log: GoldenLog): void {
  const names = [...log.refs.keys()].filter((name) => !name.startsWith('refs/meta/')).sort()
  const commit = deletionCommit(log, names)
  const before = log.refs.get('refs/meta/deleted')
  const tips = names.map((name) => tipOf(log, name))
  const prerequisites = before === undefined ? tips : [before, ...tips]
  for (const name of names) log.refs.delete(name)
  log.refs.set('refs/meta/deleted', commit.oid)
  const requests = [keyed('bye', { principal, commits: [commit.oid], outcome: { status: 204 } })]
  append(log, { kind: 'delete', requests, objects: commit.objects, prerequisites })
}

/** What a build of tomorrow may write: a kind and fields that nobody knows yet. */
function ofNewerBuild(log: GoldenLog): void {
  const tip = log.refs.get('refs/heads/trunk') as Oid
  log.refs.set('refs/heads/renamed', tip)
  log.refs.delete('refs/heads/stage-1')
  const request = { ...done(200, tip), commits: [], later: { also: [1, null] } }
  append(log, { kind: 'rename', requests: [request], fields: { later: 'ignored' } })
}

/** Stages become folders of the default branch, in one merge of their branches. */
function takeFolders(log: GoldenLog): void {
  const stages = ['dev', 'prod']
  const tips = stages.map((stage) => log.refs.get(`refs/heads/${stage}`) as Oid)
  const main = log.refs.get('refs/heads/main') as Oid
  const folders = stages.flatMap((stage, at) =>
    Object.entries(log.files.get(tips[at] as Oid) ?? {}).map(([path, text]) => [
      `.keptn-stages/${stage}/${path}`,
      text,
    ]),
  )
  const files = { ...log.files.get(main), ...(Object.fromEntries(folders) as Files) }
  const parents = [...new Set([main, ...tips])]
  const made = commitFiles(log, { files, parents, message: 'To folders', author: 'keptn' })
  log.refs.set('refs/heads/main', made.oid)
  for (const stage of stages) log.refs.delete(`refs/heads/${stage}`)
  log.format = 2
  const requests = [{ ...done(200, made.oid), principal: '' }]
  append(log, { kind: 'upgrade', requests, objects: made.objects, prerequisites: parents })
}

/** The project as it was before it was deleted, in the incarnation that it had. */
function undelete(log: GoldenLog): void {
  const before = log.expected.at(-2) as Expected
  const tip = before.refs['refs/heads/main'] as Oid
  log.refs.set('refs/heads/main', tip)
  append(log, { kind: 'create', requests: [{ ...done(200, tip), commits: [] }] })
}

function refuse(log: GoldenLog): void {
  const message = 'the stage dev exists'
  const outcome = { status: 409, code: 'stage_exists', message }
  append(log, { kind: 'commit', requests: [keyed('again', { principal, commits: [], outcome })] })
}

/** A slot holds what follows an entry that is lost; what takes its place follows from the entry before alone. */
function restoreInPlace(log: GoldenLog): void {
  const { previous, refs } = log
  const seq = log.expected.length + 1
  log.previous = sha256('an entry that nobody has any more')
  log.refs = new Map(refs)
  commitOn(log, 'main', { 'lost.yaml': 'given: up\n' })
  const stray = log.objects.get(logKey(seq)) as Buffer
  log.objects.set(`set-aside/${digitsOf(seq)}-${sha256(stray)}.bundle`, stray)
  log.expected.pop()
  log.previous = previous
  log.refs = refs
  const digits = sha256(`restore ${seq} ${previous}`)
  const parts = [digits.slice(0, 8), digits.slice(8, 12), `4${digits.slice(13, 16)}`]
  const transactionId = [...parts, `8${digits.slice(17, 20)}`, digits.slice(20, 32)].join('-')
  const fields = { version: 0, transactionId, at: atOf(seq - 1), build: 'accept-restore' }
  append(log, { kind: 'restore', requests: [], fields })
}

function importMore(log: GoldenLog): void {
  const parent = log.refs.get('refs/heads/main') as Oid
  const files = { ...log.files.get(parent), 'upstream.yaml': 'more: true\n' }
  const made = commitFiles(log, { files, parents: [parent], message: 'More', author: 'Anna' })
  log.refs.set('refs/heads/main', made.oid)
  const fresh = made.objects.filter((object) => !log.known.has(object.oid))
  const packs = { '0d2f6e7a-1111-4000-8000-000000000005.pack': encodePack(fresh) }
  append(log, {
    kind: 'import',
    requests: [done(200, made.oid)],
    packs,
    prerequisites: [parent],
  })
}

function importPack(log: GoldenLog, { isIndexed }: { isIndexed: boolean }): void {
  const git = stockGit()
  try {
    const pack = deltaPack(git, 8)
    git.run(['index-pack', '--stdin'], pack)
    const names = git.text(['cat-file', '--batch-all-objects', '--batch-check=%(objectname)'])
    for (const name of names.split('\n')) log.known.add(name as Oid)
    const tip = newestCommit(git)
    const paths = git.text(['ls-tree', '-r', '--name-only', tip]).split('\n')
    const files = paths.map((path) => [path, git.run(['show', `${tip}:${path}`]).toString()])
    log.files.set(tip, Object.fromEntries(files))
    const tag = taggedPack(git, tip)
    log.refs.set('refs/heads/main', tip)
    log.refs.set('refs/tags/v1', tag.oid)
    log.peeled.set(tag.oid, tip)
    const packs = {
      '0d2f6e7a-1111-4000-8000-000000000003.pack': pack,
      '0d2f6e7a-1111-4000-8000-000000000004.pack': tag.pack,
    }
    const indexes = Object.fromEntries(isIndexed ? [[Object.keys(packs)[0], indexOf(git)]] : [])
    append(log, { kind: 'import', requests: [done(201, tip)], packs, indexes })
  } finally {
    git.remove()
  }
}

/** sha256 of the index that git wrote of its only pack. */
function indexOf(git: ReturnType<typeof stockGit>): string {
  const folder = join(git.dir, 'objects/pack')
  const name = readdirSync(folder).find((one) => one.endsWith('.idx')) as string
  return sha256(readFileSync(join(folder, name)))
}

function newestCommit(git: ReturnType<typeof stockGit>): Oid {
  const rows = git.text([
    'cat-file',
    '--batch-all-objects',
    '--batch-check=%(objecttype) %(objectname)',
  ])
  const commits = rows.split('\n').filter((row) => row.startsWith('commit'))
  const said = git.text(['rev-list', '--topo-order', ...commits.map((row) => row.slice(7))])
  return said.slice(0, 40) as Oid
}

function taggedPack(git: ReturnType<typeof stockGit>, tip: Oid): { oid: Oid; pack: Buffer } {
  const text = `object ${tip}\ntype commit\ntag v1\ntagger Anna <anna@example.org> 1795262400 +0100\n\nv1\n`
  const oid = git.text(['mktag'], text) as Oid
  return { oid, pack: git.run(['pack-objects', '--stdout', '--quiet'], `${oid}\n`) }
}

function done(status: number, commit: Oid): GoldenRequest {
  return { principal, commits: [commit], outcome: { status, commit } }
}

function keyed(key: string, request: GoldenRequest): GoldenRequest {
  return { key, digest: sha256(`request ${key}`), ...request }
}
