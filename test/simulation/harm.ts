/** What happens to a world beside its weather: processes die and stand still, clocks jump, caches and checkpoints are damaged, a bucket loses a tail and gets it back. */
import { damage, type VirtualCaches } from './cache.ts'
import type { Clients } from './clients.ts'
import type { Replica, Replicas } from './replicas.ts'
import { fairWeather, type VirtualStore, type Weather } from './store.ts'
import type { Chance, World } from './world.ts'

export interface Scenery {
  world: World
  store: VirtualStore
  weather: Weather
  replicas: Replicas
  caches: VirtualCaches
  clients: Clients
  projects: string[]
  /** Troubles come within so long. */
  lastsMs: number
  count(name: string): void
  /** Only where nothing but clients writes. */
  losesTails: boolean
}

/** Replicas die, are started again, are held, and their wall clocks jump; files are damaged. @returns what ends it */
export function disturb(scenery: Scenery): () => Promise<void> {
  const { world, store, replicas, caches, lastsMs, count } = scenery
  const chance = world.chance.fork()
  let over = false
  let losing = Promise.resolve()

  /** So many times, each at a time of its own. */
  const plan = (what: string, times: number, work: (chance: Chance) => void) => {
    for (let at = 1; at <= times; at++) {
      const fact = `${what} ${at}`
      const drawn = world.chanceOf(fact)
      world.after(drawn.fraction() * lastsMs, () => {
        if (!over && world.lets(fact)) work(drawn)
      })
    }
  }
  const one = (drawn: Chance, work: (replica: Replica) => void) => {
    const { processes } = replicas
    if (processes.length > 0) work(drawn.pick(processes))
  }

  plan('kill', chance.pick([0, 0, 1, 2]), (drawn) =>
    one(drawn, (replica) => {
      replicas.kill(replica)
      if (drawn.happens(0.5)) {
        caches.empty(replica.name)
        count('restarted without its cache')
      } else count('restarted with its cache')
      world.after(drawn.pick([1, 50, 2_000]), () => {
        if (!over) replicas.ensure(replica.name)
      })
    }),
  )
  plan('hold', chance.pick([0, 0, 1, 2]), (drawn) =>
    one(drawn, (replica) => {
      replicas.hold(replica, drawn.pick([20, 500, 8_000]), drawn.happens(0.5))
    }),
  )
  plan('clock jump', chance.pick([0, 0, 0, 0, 1]), (drawn) =>
    one(drawn, ({ actor }) => {
      const byMs = drawn.pick([3_000, 3_600_000, -3_600_000])
      actor.wallErrorMs += byMs
      world.tell(`the clock of ${actor.name} jumps by ${byMs} ms`)
      count('clock jumped')
    }),
  )
  plan('cache damage', chance.pick([0, 0, 1, 5]), (drawn) =>
    one(drawn, ({ name }) => {
      const what = caches.damage(name, drawn)
      if (what === null) return
      world.tell(`in the cache folder of ${name}: ${what}`)
      count(`cache file ${what.split(' ').at(-1)}`)
    }),
  )
  plan('checkpoint damage', chance.pick([0, 0, 1, 5]), (drawn) => {
    const files = [...store.objects].filter(([key]) => key.includes('/checkpoints/'))
    if (files.length === 0) return
    const [key, { body }] = drawn.pick(files)
    const [how, damaged] = damage(
      body,
      files.map(([, held]) => held.body),
      drawn,
    )
    store.tamper(key, damaged)
    count(`checkpoint object ${how}`)
  })
  const losses = chance.pick([0, 0, 0, 0, 0, 0, 0, 1])
  plan('lost tail', scenery.losesTails ? losses : 0, (drawn) => {
    losing = loseTail(scenery, drawn)
  })
  return () => {
    over = true
    return losing
  }
}

const witnessMs = 11_000
const looksAgainMs = 65_000

/**
 * The bucket loses the newest entries of a project, and an operator puts them back. Between the loss and the next witness nothing
 * is promised of writes (`docs/design.md`, section 5), so that nobody writes meanwhile; whoever applied what is lost has to stop, and to
 * go on once it is back.
 */
async function loseTail(scenery: Scenery, chance: Chance): Promise<void> {
  const { world, store, replicas, clients, weather, count } = scenery
  const project = chance.pick(scenery.projects)
  const goOn = await clients.pause()
  try {
    store.setWeather(fairWeather(world))
    // Nothing that was sent before may fill a slot that is lost.
    do await world.sleep(10_000)
    while (!store.isQuiet())
    const keys = [...store.objects.keys()].filter((key) => key.includes(`/${project}/log/`)).sort()
    const read = (replica: Replica) =>
      clients.read({ project, file: 'f', replica, timeoutMs: 30_000 })
    const following = replicas.running.filter(({ actor }) => actor.heldUntilMs <= world.nowMs())
    for (const replica of following) await read(replica)
    const lost = keys.slice(-Math.min(chance.between(1, 3), keys.length - 1))
    if (lost.length === 0 || keys.length < 2) return
    const kept = lost.map((key) => [key, store.objects.get(key)?.body as Buffer] as const)
    clients.journal.mayStop = true
    for (const key of lost) store.tamper(key, null)
    count('tail lost')
    // The first read of each may come before its witness; the second comes after.
    for (const replica of following) await read(replica)
    await world.sleep(witnessMs)
    for (const replica of following) await read(replica)
    await world.sleep(1_000)
    for (const replica of following)
      if (replica.actor.alive && !stops(replica, project))
        clients.journal.violations.push(
          `${replica.actor.name} did not see that ${project} lost its tail`,
        )
    for (const [key, body] of kept) store.tamper(key, body)
    await world.sleep(looksAgainMs)
    clients.journal.mayStop = false
    for (const replica of following)
      if (replica.actor.alive && !(await read(replica)))
        clients.journal.violations.push(
          `${replica.actor.name} does not go on with ${project}, which is whole again`,
        )
  } finally {
    store.setWeather(weather)
    goOn()
  }
}

function stops({ repositories }: Replica, project: string): boolean {
  return repositories.stopped().some((one) => one.project === project)
}
