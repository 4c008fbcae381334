/** The replicas as Kubernetes sees them. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Ending } from '../gate/fleet.ts'
import { waitFor } from '../support/processes.ts'
import type { Cluster } from './cluster.ts'

const selector =
  '--selector=app.kubernetes.io/name=configuration-service,app.kubernetes.io/component=server'

export interface Pod {
  metadata: {
    name: string
    namespace: string
    uid: string
    creationTimestamp: string
    deletionTimestamp?: string
    deletionGracePeriodSeconds?: number
  }
  spec: { containers: { image: string; resources: { limits?: { memory?: string } } }[] }
  status: {
    podIP?: string
    conditions?: { type: string; status: string; lastTransitionTime: string }[]
    containerStatuses?: {
      restartCount: number
      state: { terminated?: { exitCode: number; finishedAt: string } }
    }[]
  }
}

/** What was done to pods on purpose, so that it is no fault of theirs. */
export interface Meddling {
  /** Pods that were killed, by uid. */
  killed: ReadonlySet<string>
  /** Tags of images whose pods need not become ready, and may then end as they like. */
  unfit: ReadonlySet<string>
}

/** All there are, by uid, those that are going too. */
export async function podsOf(cluster: Cluster): Promise<Map<string, Pod>> {
  const { items } = await cluster.get<{ items: Pod[] }>('pods', selector)
  return new Map(items.map((pod) => [pod.metadata.uid, pod]))
}

export function isReady(pod: Pod): boolean {
  return readySince(pod) !== undefined
}

/** What a pod may take before its node ends it, MiB; the lab does not. */
export function memoryLimitMiB({ spec }: Pod): number {
  const { memory = '' } = spec.containers[0]?.resources.limits ?? {}
  const [, mebibytes] = /^(\d+)Mi$/.exec(memory) ?? []
  return Number(mebibytes)
}

/** Whether the very same pods are there. */
export function areSame(one: ReadonlyMap<string, unknown>, other: ReadonlyMap<string, unknown>) {
  return one.size === other.size && [...one.keys()].every((uid) => other.has(uid))
}

/** Waits until no pod is going any more, and those that are there are ready. */
export async function settled(cluster: Cluster): Promise<void> {
  const isSettled = async () => {
    await sleep(500)
    const pods = [...(await podsOf(cluster)).values()]
    return pods.every((pod) => pod.metadata.deletionTimestamp === undefined && isReady(pod))
  }
  await waitFor(isSettled, { what: 'pods to be ready or gone', timeoutMs: 120_000 })
}

/** Follows every replica until it is gone. */
export function followPods(cluster: Cluster) {
  const watching = cluster.watch('get', 'pods', '--watch', selector, '--output=jsonpath={@}{"\\n"}')
  const states = () =>
    watching
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line) as Pod)
  const lives = () => {
    const found = new Map<string, Pod[]>()
    for (const pod of states()) {
      const { uid } = pod.metadata
      found.set(uid, [...(found.get(uid) ?? []), pod])
    }
    return found
  }
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
    /** How long each pod that became ready took for it, from its creation, in whole seconds as Kubernetes notes them. */
    secondsUntilReady(): number[] {
      return [...lives().values()].flatMap((life) => {
        const since = life.map(readySince).find((at) => at !== undefined)
        const [first] = life
        if (since === undefined || first === undefined || isReady(first)) return []
        return [(Date.parse(since) - Date.parse(first.metadata.creationTimestamp)) / 1_000]
      })
    },
    /** How the pods ended that are gone, and what none of them may have done. @param present those that are still there */
    judge(present: ReadonlyMap<string, Pod>, { killed, unfit }: Meddling) {
      const endings: Omit<Ending, 'servedDraining'>[] = []
      const faults: string[] = []
      for (const [uid, life] of lives()) {
        const { metadata, spec, status } = life.at(-1) as Pod
        const build = tagOf(spec.containers[0]?.image)
        if (killed.has(uid) || (unfit.has(build) && !life.some(isReady))) continue
        const [container] = status.containerStatuses ?? []
        const restarts = container?.restartCount ?? 0
        if (restarts > 0) faults.push(`pod: ${metadata.name} was restarted ${restarts} times`)
        if (present.has(uid)) continue
        const { terminated } = container?.state ?? {}
        const going = life.find((pod) => pod.metadata.deletionTimestamp !== undefined)
        if (terminated === undefined || going === undefined)
          faults.push(`pod: nobody saw how ${metadata.name} ended`)
        else endings.push({ build, ...endOf(going, terminated) })
      }
      return { endings, faults }
    },
    stop: () => watching.kill(),
  }
}

function readySince({ status }: Pod): string | undefined {
  return status.conditions?.find(({ type, status: is }) => type === 'Ready' && is === 'True')
    ?.lastTransitionTime
}

function tagOf(image = ''): string {
  return image.slice(image.lastIndexOf(':') + 1)
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
