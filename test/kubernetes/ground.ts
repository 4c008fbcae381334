/** Where the gate stands: a Kubernetes, images for it, and an address at which its pods reach what runs beside the gate. */

import { serversFolder } from '../support/programs.ts'
import { makeImages } from './builds.ts'
import { type Cluster, clusterOf } from './cluster.ts'
import { hostAddress, startLab } from './lab.ts'

export interface Ground {
  cluster: Cluster
  /** Of the images; the builds' names are its tags. */
  repository: string
  hostAddress: string
  /** kill -9 of what runs in a pod; absent where the nodes are out of reach. */
  killProcesses?: (pod: string) => void
  leave(): Promise<void>
}

const labRepository = 'registry.test/configuration-service'

/** What a cluster that is not the lab needs besides KUBECONFIG. */
export const groundSettings = {
  GATE_IMAGES: 'a repository that the cluster pulls from, with the tags before, now, next and last',
  GATE_HOST: 'the address at which pods reach this machine, where MinIO and Redis are started',
} as const

/** The lab, with images of all builds. */
export async function startLabGround(): Promise<Ground> {
  const lab = await startLab()
  await makeImages(labRepository, lab.images)
  return {
    cluster: lab,
    repository: labRepository,
    hostAddress,
    killProcesses: (pod) => lab.kill(pod),
    leave: () => lab.stop(),
  }
}

/** The cluster that KUBECONFIG names. @throws where a setting is absent */
export function namedGround(environment: NodeJS.ProcessEnv): Ground {
  const need = (name: keyof typeof groundSettings) => {
    const value = environment[name]
    if (!value) throw new Error(`KUBECONFIG is set, so ${name} has to be: ${groundSettings[name]}`)
    return value
  }
  const { KUBECONFIG = '', PATH = '', HOME = '' } = environment
  const env = { KUBECONFIG, PATH: `${serversFolder}:${PATH}`, HOME }
  return {
    cluster: clusterOf(env),
    repository: need('GATE_IMAGES'),
    hostAddress: need('GATE_HOST'),
    async leave() {},
  }
}

/** The words before a command that has it play on a ground. */
export function wordsFor({ cluster, repository, hostAddress: host }: Ground): string[] {
  const settings = { ...cluster.env, GATE_IMAGES: repository, GATE_HOST: host }
  return ['env', ...Object.entries(settings).map(([name, value]) => `${name}=${value}`)]
}
