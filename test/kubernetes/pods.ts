/** The replicas as Kubernetes sees them. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Ending } from '../gate/fleet.ts'
import { waitFor } from '../support/processes.ts'
import type { Lab } from './lab.ts'

const selector =
  '--selector=app.kubernetes.io/name=configuration-service,app.kubernetes.io/component=server'

export interface Pod {
  metadata: {
    name: string
    uid: string
    deletionTimestamp?: string
    deletionGracePeriodSeconds?: number
  }
  spec: { containers: { image: string }[] }
  status: {
    podIP?: string
    conditions?: { type: string; status: string }[]
    containerStatuses?: {
      restartCount: number
      state: { terminated?: { exitCode: number; finishedAt: string } }
    }[]
  }
}

/** All there are, by uid, those that are going too. */
export async function podsOf(lab: Lab): Promise<Map<string, Pod>> {
  const { items } = await lab.get<{ items: Pod[] }>('pods', selector)
  return new Map(items.map((pod) => [pod.metadata.uid, pod]))
}

export function isReady({ status }: Pod): boolean {
  return (
    status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true
  )
}

/** Waits until no pod is going any more. */
export async function settled(lab: Lab): Promise<void> {
  const isSettled = async () => {
    await sleep(500)
    const pods = await podsOf(lab)
    return [...pods.values()].every(({ metadata }) => metadata.deletionTimestamp === undefined)
  }
  await waitFor(isSettled, { what: 'pods that go to be gone', timeoutMs: 90_000 })
}

/** Follows every replica until it is gone. */
export function followPods(lab: Lab) {
  const watching = lab.watch('get', 'pods', '--watch', selector, '--output=jsonpath={@}{"\\n"}')
  const states = () =>
    watching
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line) as Pod)
  return {
    /** The fewest replicas that were ready and not about to go at any moment since as many as `wanted` were. */
    fewestReady(wanted: number): number {
      const ready = new Set<string>()
      let fewest: number | undefined
      for (const pod of states()) {
        const { uid, deletionTimestamp } = pod.metadata
        if (isReady(pod) && deletionTimestamp === undefined) ready.add(uid)
        else ready.delete(uid)
        if (fewest !== undefined || ready.size >= wanted)
          fewest = Math.min(fewest ?? wanted, ready.size)
      }
      return fewest ?? 0
    },
    /** How the pods ended that are gone, and what none of them may have done. */
    judge() {
      const endings: Omit<Ending, 'servedDraining'>[] = []
      const faults: string[] = []
      const lives = new Map<string, Pod[]>()
      for (const pod of states()) {
        const { uid } = pod.metadata
        lives.set(uid, [...(lives.get(uid) ?? []), pod])
      }
      for (const life of lives.values()) {
        const { metadata, spec, status } = life.at(-1) as Pod
        const [container] = status.containerStatuses ?? []
        const restarts = container?.restartCount ?? 0
        if (restarts > 0) faults.push(`pod: ${metadata.name} was restarted ${restarts} times`)
        const { terminated } = container?.state ?? {}
        const going = life.find((pod) => pod.metadata.deletionTimestamp !== undefined)
        if (terminated === undefined || going === undefined)
          faults.push(`pod: nobody saw how ${metadata.name} ended`)
        else endings.push({ build: spec.containers[0]?.image ?? '', ...endOf(going, terminated) })
      }
      return { endings, faults }
    },
    stop: () => watching.kill(),
  }
}

/** @param going the pod when it was first seen to go: its time stamp then tells when its grace is over */
function endOf(
  { metadata }: Pod,
  { exitCode, finishedAt }: { exitCode: number; finishedAt: string },
): Pick<Ending, 'exit' | 'drainMs' | 'killed'> {
  const { deletionTimestamp = '', deletionGracePeriodSeconds = 0 } = metadata
  const toldMs = Date.parse(deletionTimestamp) - deletionGracePeriodSeconds * 1_000
  return { exit: exitCode, drainMs: Date.parse(finishedAt) - toldMs, killed: exitCode === 137 }
}
