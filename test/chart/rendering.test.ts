/** What must hold of the rendered chart, whatever the values are. @see docs/zero-downtime.md, sections 3 and 6 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { requireServers } from '../support/programs.ts'
import {
  chartFolder,
  containersOf,
  helm,
  type KubernetesObject,
  only,
  podOf,
  podsOf,
  render,
  valueSets,
} from './helm.ts'

const test = suite('the rendered chart')

const sets = Object.entries(valueSets)
const nameOf = (values: object) =>
  (values as { fullnameOverride?: string }).fullnameOverride ?? 'configuration-service'

/** A claim about the objects of every set of values. */
function holds(what: string, check: (objects: KubernetesObject[], name: string) => void): void {
  for (const [set, { values, kubernetes }] of sets) {
    test(`${what} (${set})`, () =>
      check(render(values, kubernetes === undefined ? {} : { kubernetes }), nameOf(values)))
  }
}

const pods = (objects: KubernetesObject[]) => objects.flatMap((object) => podOf(object) ?? [])

for (const [set, { values }] of sets) {
  test(`helm lint --strict has nothing to say (${set})`, () => {
    const { status, stdout, stderr } = helm('lint', values)
    assert.is(status, 0, `${stdout}${stderr}`)
  })
}

holds('each object is there once', (objects) => {
  const names = objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
  assert.equal([...new Set(names)], names)
})

holds('a roll takes away no replica before another is there', (objects, name) => {
  const { spec } = only(objects, 'Deployment', name)
  assert.equal(spec.strategy, {
    type: 'RollingUpdate',
    rollingUpdate: { maxUnavailable: 0, maxSurge: 1 },
  })
  assert.is(spec.minReadySeconds, 10)
  assert.is(spec.progressDeadlineSeconds, 600)
  assert.is(only(objects, 'PodDisruptionBudget', name).spec.maxUnavailable, 1)
})

holds('the three probes ask what they should', (objects, name) => {
  const [server] = only(objects, 'Deployment', name).spec.template.spec.containers
  const get = (path: string) => ({ path, port: 'http' })
  assert.equal(server.startupProbe, {
    httpGet: get('/startupz'),
    periodSeconds: 1,
    failureThreshold: 60,
  })
  assert.equal(server.readinessProbe, {
    httpGet: get('/readyz'),
    periodSeconds: 2,
    timeoutSeconds: 2,
    failureThreshold: 3,
  })
  assert.equal(server.livenessProbe, {
    httpGet: get('/livez'),
    periodSeconds: 10,
    timeoutSeconds: 5,
    failureThreshold: 6,
  })
})

holds('replicas are spread over nodes, those of one revision apart', (objects, name) => {
  const { selector, template } = only(objects, 'Deployment', name).spec
  assert.equal(template.spec.topologySpreadConstraints, [
    {
      maxSkew: 1,
      topologyKey: 'kubernetes.io/hostname',
      whenUnsatisfiable: 'ScheduleAnyway',
      labelSelector: selector,
      matchLabelKeys: ['pod-template-hash'],
    },
  ])
})

holds('every pod keeps to the restricted profile, and none has a token', (objects) => {
  for (const { spec } of pods(objects)) {
    assert.is(spec.automountServiceAccountToken, false)
    assert.is(spec.securityContext.runAsNonRoot, true)
    assert.equal(spec.securityContext.seccompProfile, { type: 'RuntimeDefault' })
    for (const { kind, automountServiceAccountToken } of objects) {
      if (kind === 'ServiceAccount') assert.is(automountServiceAccountToken, false)
    }
  }
  for (const { securityContext } of pods(objects).flatMap(containersOf)) {
    assert.equal(securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
  }
})

holds('volumes hold no state of a pod: a cache, Secrets, or a claim', (objects) => {
  for (const { spec } of pods(objects)) {
    for (const { name, ...source } of spec.volumes ?? []) {
      const [kind] = Object.keys(source)
      const allowed = ['cache', 'bucket'].includes(name) ? ['emptyDir'] : ['secret']
      assert.ok([...allowed, 'persistentVolumeClaim'].includes(kind ?? ''), `${name}: ${kind}`)
    }
  }
})

holds('Services have an address of their own, and reach the replicas alone', (objects, name) => {
  const { spec: deployment } = only(objects, 'Deployment', name)
  const services = objects.filter(
    ({ kind, metadata }) => kind === 'Service' && !metadata.name.match(/-(bucket|redis)$/),
  )
  assert.ok(services.some(({ metadata }) => metadata.name === name))
  for (const { spec } of services) {
    assert.is(spec.type, 'ClusterIP')
    assert.is(spec.clusterIP, undefined)
    assert.is(spec.publishNotReadyAddresses, false)
    assert.equal(spec.selector, deployment.selector.matchLabels)
    assert.equal(spec.ports, [{ name: 'http', port: 8080, targetPort: 'http' }])
  }
  const { containers } = deployment.template.spec
  assert.equal(containers[0].ports, [{ name: 'http', containerPort: 8080 }])
})

holds('what selects pods selects those of the Deployment, and no other', (objects, name) => {
  const selected = only(objects, 'Deployment', name).spec.selector.matchLabels
  const matches = (labels: Record<string, string> = {}) =>
    Object.entries(selected).every(([key, value]) => labels[key] === value)
  const chosen = objects.filter((object) => matches(podOf(object)?.metadata.labels))
  assert.equal(
    chosen.map(({ kind, metadata }) => `${kind} ${metadata.name}`),
    [`Deployment ${name}`],
  )
  assert.equal(only(objects, 'PodDisruptionBudget', name).spec.selector.matchLabels, selected)
})

holds('every ServiceAccount and claim of the chart that a pod names is there', (objects) => {
  for (const { spec } of pods(objects)) {
    if (spec.serviceAccountName !== undefined)
      only(objects, 'ServiceAccount', spec.serviceAccountName)
  }
})

holds(
  'a hook before all else prepares the data, with all that it needs inline',
  (objects, name) => {
    const { metadata, spec } = only(objects, 'Job', `${name}-expand`)
    const account = only(objects, 'ServiceAccount', `${name}-migrate`).metadata
    const weights = [account, metadata].map(
      ({ annotations }) => annotations?.['helm.sh/hook-weight'],
    )
    assert.equal(weights, ['-10', '-5'])
    for (const { annotations } of [account, metadata])
      assert.is(annotations?.['helm.sh/hook-delete-policy'], 'before-hook-creation')
    assert.is(spec.backoffLimit, 3)
    const { template } = spec
    assert.is(template.spec.restartPolicy, 'Never')
    assert.is(template.spec.serviceAccountName, account.name)
    const [migrate] = template.spec.containers
    assert.equal(migrate.command, ['node', 'dist/src/main.js', 'migrate', 'expand'])
    // A ConfigMap of the release would be the one before.
    assert.not.match(JSON.stringify(template), /configMap/)
    const [server] = only(objects, 'Deployment', name).spec.template.spec.containers
    assert.is(migrate.image, server.image)
    for (const setting of migrate.env) {
      assert.ok(
        server.env.some(
          (other: { name: string; value: string }) =>
            other.name === setting.name && other.value === setting.value,
        ),
        `${setting.name} is the same for the job and for the replicas`,
      )
    }
  },
)

test('the hook runs before an install, an upgrade and a rollback', () => {
  const hooksOf = (values: object) =>
    only(render(values), 'Job', 'configuration-service-expand').metadata.annotations?.[
      'helm.sh/hook'
    ]
  assert.is(hooksOf({}), 'pre-install,pre-upgrade,pre-rollback')
  // Before the first install there is no such bucket yet; the replicas expand when they start.
  assert.is(hooksOf({ trial: { bucket: { enabled: true } } }), 'pre-upgrade,pre-rollback')
})

test('nothing runs after an upgrade, unless a format is named', () => {
  const later = (values: object) =>
    render(values).filter(({ metadata }) => metadata.annotations?.['helm.sh/hook']?.match(/post/))
  assert.equal(later({}), [])
  for (const to of [2, '2']) {
    const [job, ...others] = later({ migrations: { to } })
    assert.equal(others, [])
    assert.is(job?.metadata.annotations?.['helm.sh/hook'], 'post-upgrade')
    const [migrate] = job?.spec.template.spec.containers ?? []
    // Twice the grace: replicas of the build before are there for so long at the most.
    assert.equal(migrate.command.slice(2), ['migrate', 'to', '2', '--wait', '120'])
  }
  const [job] = later({ migrations: { to: 3, acceptIrreversible: true } })
  assert.is(job?.spec.template.spec.containers[0].command.at(-1), '--accept-irreversible')
})

test('preStop sleeps as the Kubernetes at hand can', () => {
  const preStop = (kubernetes: string) =>
    only(render({}, { kubernetes }), 'Deployment').spec.template.spec.containers[0].lifecycle
      .preStop
  const exec = { exec: { command: ['node', '-e', 'setTimeout(() => {}, 15000)'] } }
  assert.equal(preStop('1.27.0'), exec)
  assert.equal(preStop('1.29.15'), exec)
  assert.equal(preStop('1.30.0'), { sleep: { seconds: 15 } })
  // A provider's suffix counts as a pre-release to semver.
  assert.equal(preStop('1.30.0-gke.100'), { sleep: { seconds: 15 } })
  assert.equal(preStop('v1.130.1'), { sleep: { seconds: 15 } })
})

test('an equal upgrade changes nothing, a new chart version no pod', () => {
  const install = render({}, { flags: ['--no-hooks'] })
  assert.equal(render({}, { flags: ['--no-hooks', '--is-upgrade'] }), install)
  const { labels = {} } = podsOf(install).metadata
  assert.equal(Object.keys(labels).sort(), [
    'app.kubernetes.io/component',
    'app.kubernetes.io/instance',
    'app.kubernetes.io/name',
  ])
  const folder = join(chartFolder, 'templates')
  for (const file of readdirSync(folder)) {
    // Chance, time and what the cluster happens to hold.
    const found =
      /\b(rand\w+|uuidv4|now|date|gen\w+|lookup|\.Release\.(Revision|IsUpgrade))\b/.exec(
        readFileSync(join(folder, file), 'utf8').replace(/\{\{\/\*[\s\S]*?\*\/\}\}|#.*/g, ''),
      )
    assert.is(found, null, `${file}: ${found?.[0]}`)
  }
})

test('a changed value that a replica reads restarts it', () => {
  const podsWith = (values: object) => JSON.stringify(podsOf(render(values)))
  const before = podsWith({})
  const changes = [
    { settings: { LOG_LEVEL: 'warn' } },
    { store: { url: 's3://other' } },
    { drain: { acceptWindowSeconds: 8 } },
    { redis: { existingSecret: 'redis' } },
    { tokens: { existingSecret: 'tokens' } },
    { memoryMiB: 300 },
  ]
  for (const change of changes) assert.not.equal(podsWith(change), before, JSON.stringify(change))
  // Nobody is thrown out because one more is there.
  assert.equal(podsWith({ replicaCount: 5, service: { aliases: ['resource-service'] } }), before)
})

test('new keys restart the bucket for trying it, which reads its keys once', () => {
  const annotationsWith = (secretAccessKey: string) =>
    podsOf(
      render({ trial: { bucket: { enabled: true, secretAccessKey } } }),
      'configuration-service-bucket',
    ).metadata.annotations
  assert.not.equal(annotationsWith('one'), annotationsWith('two'))
})

test('an autoscaler alone says how many replicas there are', () => {
  const objects = render({ autoscaling: { enabled: true } })
  assert.is(only(objects, 'Deployment').spec.replicas, undefined)
  const { scaleTargetRef } = only(objects, 'HorizontalPodAutoscaler').spec
  assert.is(scaleTargetRef.name, 'configuration-service')
  assert.is(only(render(), 'Deployment').spec.replicas, 2)
})

test('the alias has the pods and the port of the Service, and is not scraped', () => {
  const objects = render({
    service: { aliases: ['resource-service'] },
    serviceMonitor: { enabled: true },
  })
  const alias = only(objects, 'Service', 'resource-service')
  assert.equal(alias.spec, only(objects, 'Service').spec)
  const scraped = only(objects, 'ServiceMonitor').spec.selector.matchLabels
  const hit = (labels: Record<string, string> = {}) =>
    Object.entries(scraped).every(([key, value]) => labels[key] === value)
  assert.ok(hit(only(objects, 'Service').metadata.labels))
  assert.not.ok(hit(alias.metadata.labels))
})

if (requireServers('the rendered chart', 'helm')) test.run()
