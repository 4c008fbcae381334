/** What the rules of docs/design.md (those marked †, and those beside them) are told with, each on a scene of its own. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type ErrorCode, isServiceError } from '../../src/errors.ts'
import { parseCommit, parseEntry } from '../simulation/bundles.ts'
import type { BareChange } from '../simulation/changes.ts'
import { make } from '../simulation/make.ts'
import { playScene, type Scene, slot } from '../simulation/scene.ts'
import { createChance } from '../simulation/world.ts'

export interface Rules {
  /** One rule, and the scene that shows it. @param options of `playScene` */
  rule(
    name: string,
    script: (scene: Scene) => Promise<void>,
    options?: Parameters<typeof playScene>[2],
  ): void
  run(): void
}

export function rulesOf(title: string): Rules {
  const test = suite(title)
  return {
    rule: (name, script, options) => test(name, () => playScene(make, script, options)),
    run: () => test.run(),
  }
}

export const create: BareChange = { kind: 'create' }
export const drop: BareChange = { kind: 'delete' }
export const put = (file: string, value: string): BareChange => ({ kind: 'put', file, value })
export const remove = (file: string): BareChange => ({ kind: 'remove', file })

/** A project with one file that every replica has read: slots 1 and 2 are taken. */
export async function begin(scene: Scene): Promise<void> {
  await scene.write('a', 'create', create)
  await scene.write('a', 'first', put('f', '1'))
  for (const { name } of scene.replicas.running) await scene.read(name, 'f')
}

export async function fails(work: Promise<unknown>, code: ErrorCode): Promise<void> {
  const end = await work.then(
    (value) => `it ended well: ${JSON.stringify(value)}`,
    (error) => (isServiceError(error) ? error.code : String(error?.stack ?? error)),
  )
  assert.is(end, code)
}

/** How often a write's commit stands in the log. */
export function effects(scene: Scene, id: string): number {
  const { entries, objects } = scene.log()
  return entries
    .flatMap(({ transaction }) => transaction.requests.flatMap(({ commits }) => commits))
    .filter((oid) => parseCommit(objects.get(oid)?.content ?? Buffer.from('')).message === id)
    .length
}

export const creates = (scene: Scene, seq: number, replica?: string) =>
  scene.store.attempts.filter(
    (one) =>
      one.key === slot(seq) && (replica === undefined || one.replica.startsWith(`${replica}#`)),
  )

export const gets = (scene: Scene, seq: number, replica: string) =>
  scene.calls({ replica, operation: 'get', key: slot(seq) }).length

/** Text that does not deflate. */
export function noise(sizeBytes: number, seed = 7): string {
  const chance = createChance(seed)
  return Array.from({ length: sizeBytes / 2 }, () =>
    String.fromCharCode(chance.between(0x21, 0x7e), chance.between(0x21, 0x7e)),
  ).join('')
}

export function transactionIdOf({ body }: { body: Buffer }): string {
  return parseEntry(body).transaction.transactionId
}
