/** The chart as Helm renders it, parsed. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { needProgram, repositoryRoot } from '../support/programs.ts'

export const chartFolder = join(repositoryRoot, 'charts', 'configuration-service')

/** A Kubernetes in which `preStop` may be `sleep`. */
export const newKubernetes = '1.34.0'

export interface Meta {
  name?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
}

export interface Container {
  name: string
  image: string
  command?: string[]
  args?: string[]
  env?: { name: string; value?: string; valueFrom?: unknown }[]
  ports?: { name: string; containerPort: number }[]
  securityContext: Record<string, unknown>
  resources: { requests: Record<string, string>; limits: Record<string, string> }
  volumeMounts?: { name: string; mountPath: string }[]
  lifecycle?: { preStop: { sleep?: { seconds: number }; exec?: { command: string[] } } }
  [probe: `${string}Probe`]: Record<string, unknown>
}

export interface PodTemplate {
  metadata: Meta
  spec: {
    serviceAccountName?: string
    automountServiceAccountToken: boolean
    terminationGracePeriodSeconds?: number
    restartPolicy?: string
    securityContext: Record<string, unknown>
    initContainers?: Container[]
    containers: [Container]
    volumes: ({ name: string } & Record<string, Record<string, unknown>>)[]
    topologySpreadConstraints?: Record<string, unknown>[]
  }
}

export interface KubernetesObject {
  apiVersion: string
  kind: string
  metadata: Meta & { name: string }
  automountServiceAccountToken?: boolean
  stringData?: Record<string, string>
  // biome-ignore lint/suspicious/noExplicitAny: each kind has its own
  spec: any
}

export interface RenderOptions {
  /** Version of Kubernetes that it is rendered for. */
  kubernetes?: string
  release?: string
  /** Another chart than this tree's, as a folder. */
  chart?: string
  /** More flags of `helm template`. */
  flags?: string[]
}

/** Runs Helm on the chart with values, as a user does. */
export function helm(verb: 'lint' | 'template', values: object, options: RenderOptions = {}) {
  const { kubernetes = newKubernetes, release = 'keptn', flags = [], chart = chartFolder } = options
  const words = verb === 'lint' ? ['lint', '--strict'] : ['template', release]
  const args = [...words, chart, '--kube-version', kubernetes, '--values', '-', ...flags]
  return spawnSync(needProgram('helm'), args, { input: JSON.stringify(values), encoding: 'utf8' })
}

/** Renders the chart. @throws what Helm says */
export function render(values: object = {}, options: RenderOptions = {}): KubernetesObject[] {
  const { status, stdout, stderr } = helm('template', values, options)
  if (status !== 0) throw new Error(stderr)
  return parseAllDocuments(stdout)
    .map((document) => {
      if (document.errors.length > 0) throw document.errors[0]
      return document.toJS()
    })
    .filter((object) => object !== null)
}

/** What Helm says to values that it must refuse. @throws where it renders them */
export function refusal(values: object): string {
  const { status, stderr } = helm('template', values)
  if (status === 0) throw new Error(`it rendered ${JSON.stringify(values)}`)
  return stderr
}

/** The one object of a kind and name. @throws where there is none, or more than one */
export function only(
  objects: readonly KubernetesObject[],
  kind: string,
  name = 'configuration-service',
): KubernetesObject {
  const found = objects.filter((object) => object.kind === kind && object.metadata.name === name)
  if (found.length !== 1) throw new Error(`${found.length} objects are ${kind} ${name}`)
  return found[0] as KubernetesObject
}

/** The pods that an object makes, if it makes any. */
export function podOf({ kind, spec }: KubernetesObject): PodTemplate | undefined {
  return kind === 'Deployment' || kind === 'Job' ? spec.template : undefined
}

/** The pods of a Deployment. @throws where it is not there */
export function podsOf(objects: readonly KubernetesObject[], name?: string): PodTemplate {
  return only(objects, 'Deployment', name).spec.template
}

export function containersOf({ spec }: PodTemplate): Container[] {
  return [...(spec.initContainers ?? []), ...spec.containers]
}

/** What a container's environment says in plain text. */
export function environmentOf({ env = [] }: Container): Record<string, string> {
  return Object.fromEntries(env.map(({ name, value = '' }) => [name, value]))
}

/** Sets of values that between them use all of the chart. */
export const valueSets: Record<string, { values: object; kubernetes?: string }> = {
  defaults: { values: {} },
  everything: {
    values: {
      fullnameOverride: 'resource-service',
      image: { repository: 'registry.example/keptn/configuration-service', tag: '1.2.3' },
      store: {
        url: 's3://bucket/some/prefix?endpoint=http://minio:9000&region=eu-west-1',
        existingSecret: 'bucket-keys',
        sessionToken: true,
      },
      redis: { existingSecret: 'redis' },
      tokens: { existingSecret: 'tokens' },
      settings: { LOG_LEVEL: 'debug', STALE_READS_MAX_SECONDS: 86_400, STALE_READS: 'refuse' },
      drain: { preStopSeconds: 20, acceptWindowSeconds: 6, requestSeconds: 40, graceSeconds: 90 },
      migrations: { to: 2, acceptIrreversible: true },
      memoryMiB: 512,
      service: { aliases: ['configuration-service'] },
      autoscaling: { enabled: true, minReplicas: 3 },
      networkPolicy: { enabled: true, from: [{ namespaceSelector: { matchLabels: { a: 'b' } } }] },
      serviceMonitor: { enabled: true, labels: { release: 'prometheus' } },
      prometheusRule: { enabled: true },
      podAnnotations: { 'example.org/team': 'delivery' },
      nodeSelector: { disk: 'fast' },
      tolerations: [{ key: 'delivery', operator: 'Exists' }],
      priorityClassName: 'important',
    },
  },
  'one replica on a claim': {
    values: {
      replicaCount: 1,
      store: { url: 'file:/data/store', existingSecret: '', existingClaim: 'data' },
    },
  },
  'for trying it': {
    values: { trial: { bucket: { enabled: true }, redis: { enabled: true } } },
  },
  'an old Kubernetes': { values: {}, kubernetes: '1.27.0' },
}
