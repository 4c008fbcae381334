/** `HISTORY_SEED=n node dist/test/cluster/histories.test.js` tells one history; `HISTORIES` plays more of them. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { playHistory } from './histories.ts'
import type { Family } from './history-files.ts'

/** What many histories have to meet, or they prove less than they say. */
const essential = [
  'replica killed',
  'replica ready',
  'replica out-of-range',
  'project_converted',
  'to done',
  'to refused',
  'to more',
  'to failed',
  'expand done',
  'expand refused',
  'read',
  'write done',
  'write gone',
]

/** Plays histories one after the other; the first that fails ends it, with its story. */
export function playHistories(family: Family, wanted: number): void {
  const test = suite(family.title)

  test('what was acknowledged is read by every build that may; no build that may not is ready or writes', async () => {
    const seed = process.env.HISTORY_SEED
    const first = Number(seed ?? 1)
    const histories = seed === undefined ? Number(process.env.HISTORIES ?? wanted) : 1
    const met = new Map<string, number>()
    for (let at = first; at < first + histories; at++) {
      const { failures, story, counts } = await playHistory(family, at)
      for (const [name, number] of counts) met.set(name, (met.get(name) ?? 0) + number)
      if (seed !== undefined || failures.length > 0)
        console.log(story.slice(seed === undefined ? -400 : 0).join('\n'))
      assert.equal(failures, [], `HISTORY_SEED=${at}`)
    }
    console.log([...met].map(([name, number]) => `${name}: ${number}`).join(', '))
    if (histories >= 30)
      assert.equal(
        [...essential, ...(family.readsPinned ? ['read pinned'] : [])].filter(
          (name) => !met.has(name),
        ),
        [],
      )
  })

  test.run()
}
