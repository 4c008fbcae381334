/** Runs kinds of faults one after the other, each under clients and projects of its own, and judges what they were told. */
import { setTimeout as sleep } from 'node:timers/promises'
import { createClients, makeProjects } from '../long/chaos-clients.ts'
import { checkFiles, checkLog, newJournal } from '../long/journal.ts'
import { type Chance, chanceOf } from '../support/chance.ts'
import { absenceOf } from './equipment.ts'
import type { FaultKind, Heal } from './kinds.ts'
import type { Plan } from './plan.ts'
import { measureRecovery } from './recovery.ts'
import type { Campaign } from './report.ts'
import { type BucketStand, type Stand, startBucketStand, startFileStand } from './stand.ts'
import { judge, type Row } from './verdict.ts'

const clients = 50
/** They leave the machine room for what is tried. */
const pauseMs = 400
/** Most of them retry with a key. */
const keyedShare = 0.8
/** Clients who wait no longer than that, so that what became silent is asked again. */
const timeoutMs = 8_000
/** So long after the last fault an open keyed write still counts as one that will be answered. */
const giveUpMs = 40_000
/** Between two faults clients are served for so long, milliseconds, from and to. */
const betweenMs = [200, 800] as const

export interface CampaignOptions {
  seed: number
  say(line: string): void
}

/** @returns what was seen of each kind; those that this machine cannot run are named */
export async function runCampaign(
  plan: Plan,
  { seed, say }: CampaignOptions,
): Promise<Pick<Campaign, 'rows' | 'notRun' | 'endedEarly'>> {
  const rows: Row[] = []
  const notRun: { kind: string; reason: string }[] = []
  let stand: BucketStand | undefined
  try {
    for (const kind of plan.kinds) {
      const reason = absenceOf(kind.equipment)
      if (reason !== null) {
        say(`NOT RUN ${kind.name}: ${reason}`)
        notRun.push({ kind: kind.name, reason })
        continue
      }
      const run = { plan, seed, chance: chanceOf(seed) }
      if (kind.on === 'bucket') stand ??= await startBucketStand(plan.program)
      const row =
        kind.on === 'folder' ? await onFolder(kind, run) : await onBucket(kind, stand, run)
      rows.push(row)
      say(describeRow(row))
      for (const failure of row.failures) say(`RED ${kind.name}: ${failure}`)
    }
  } catch (error) {
    // What was seen until then is worth a report all the same.
    const endedEarly = `the campaign ended early: ${String(error)}`
    say(`RED ${endedEarly}`)
    return { rows, notRun, endedEarly }
  } finally {
    await stand?.stop()
  }
  return { rows, notRun }
}

interface Run {
  plan: Plan
  seed: number
  chance: Chance
}

async function onBucket(
  kind: FaultKind & { on: 'bucket' },
  stand: BucketStand | undefined,
  run: Run,
): Promise<Row> {
  if (stand === undefined) throw new Error('there is no stand')
  await stand.equip(kind.equipment)
  return await play(kind, stand, run, () => kind.strike(stand, run.chance))
}

async function onFolder(kind: FaultKind & { on: 'folder' }, run: Run): Promise<Row> {
  const stand = await startFileStand(run.plan.program)
  try {
    return await play(kind, stand, run, () => kind.strike(stand, run.chance))
  } finally {
    await stand.stop()
  }
}

/** One kind, as often as it is asked for. */
async function play(
  kind: FaultKind,
  stand: Stand,
  { plan, seed, chance }: Run,
  strike: () => Promise<Heal> | Heal,
): Promise<Row> {
  const projects = ['a', 'b'].map((name) => `${kind.name}-${name}`)
  const [first] = stand.replicas
  await makeProjects(first?.service.url ?? '', projects)
  const journal = newJournal()
  const { url, pathOf } = stand
  const load = { url, pathOf, journal, seed, projects, timeoutMs, pauseMs, keyedShare }
  const crowd = createClients(load)
  const running = Array.from({ length: clients }, (_, client) => crowd.run(client))
  const recoveries = []
  try {
    for (let round = 0; round < plan.roundsOf(kind); round++) {
      await sleep(chance.between(...betweenMs))
      const heal = await strike()
      await sleep(chance.between(...(kind.lastsMs ?? plan.lastsMs)))
      await heal()
      const urls = stand.replicas.map(({ service }) => service.url)
      recoveries.push(await measureRecovery(crowd.sendOne, urls))
    }
    crowd.stop(giveUpMs)
    await Promise.all([...running, ...recoveries.map(({ settled }) => settled)])
    for (const { service } of stand.replicas) await crowd.readAll(service.url)
    const findings = checkFiles(journal)
    for (const project of projects) {
      findings.push(...checkLog(journal, project, await stand.readLog(project)))
    }
    return judge({
      kind: kind.name,
      title: kind.title,
      faults: recoveries.length,
      journal,
      findings,
      outages: crowd.outages,
      recoveries,
    })
  } finally {
    crowd.stop(0)
    crowd.close()
  }
}

function describeRow(row: Row): string {
  const { kind, faults, requests, acknowledged, lost, doubled, stale } = row
  const { read, write, 'keyed write': keyed } = row.recoveryMs
  return `${kind}: ${faults} faults, ${requests} requests, ${acknowledged} acknowledged, ${lost} lost, ${doubled} doubled, ${stale} stale; outage of one ${row.outageMs} ms, of all ${row.outageOfAllMs} ms; first good read ${read} ms, write ${write} ms, keyed write ${keyed} ms, at every replica ${row.everywhereMs} ms`
}
