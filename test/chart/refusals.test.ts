/** Values that cannot work are refused, with a sentence that names them. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { requireServers } from '../support/programs.ts'
import { refusal, render } from './helm.ts'

const test = suite('what the chart refuses')

const cases: [what: string, values: object, sentence: RegExp][] = [
  ['a value that it does not have', { replicas: 3 }, /additional properties 'replicas'/],
  ['no replica', { replicaCount: 0 }, /\/replicaCount': minimum: got 0, want 1/],
  ['too little memory', { memoryMiB: 64 }, /\/memoryMiB': minimum: got 64, want 256/],
  [
    'a preStop shorter than balancers need',
    { drain: { preStopSeconds: 0 } },
    /\/drain\/preStopSeconds': minimum: got 0, want 10/,
  ],
  [
    'a setting that the chart makes itself',
    { settings: { PORT: 80 } },
    /settings': additional properties 'PORT'/,
  ],
  [
    'a store of an unknown kind',
    { store: { url: 'gs://x' } },
    /store\.url is "gs:\/\/x": it must be/,
  ],
  [
    'keys in the URL of the store',
    { store: { url: 's3://key:secret@bucket' } },
    /store\.url is .*it must be/,
  ],
  [
    'a folder for two replicas',
    { store: { url: 'file:/data/store', existingClaim: 'data' } },
    /a folder that one pod has to itself: set replicaCount to 1/,
  ],
  [
    'a folder for an autoscaler',
    {
      replicaCount: 1,
      autoscaling: { enabled: true },
      store: { url: 'file:/data/store', existingClaim: 'data' },
    },
    /autoscaling\.enabled to false/,
  ],
  [
    'a folder that goes with its pod',
    { replicaCount: 1, store: { url: 'file:/data/store' } },
    /without store\.existingClaim everything in it would go with its pod/,
  ],
  [
    'a folder outside its claim',
    { replicaCount: 1, store: { url: 'file:/tmp/store', existingClaim: 'data' } },
    /set store\.url to file:\/data\/store/,
  ],
  [
    'a bucket without keys',
    { store: { existingSecret: '' } },
    /store\.existingSecret is empty: name the Secret/,
  ],
  [
    'two kinds of Redis',
    { redis: { existingSecret: 'redis' }, trial: { redis: { enabled: true } } },
    /are both set: unset one/,
  ],
  [
    'the claim of a store that is not used',
    { store: { existingClaim: 'data' }, trial: { bucket: { enabled: true } } },
    /trial\.bucket\.existingClaim/,
  ],
  [
    'a grace that is shorter than what it is for',
    { drain: { graceSeconds: 59 } },
    /drain\.graceSeconds is 59, but .* are 60: a request would be cut/,
  ],
  [
    'a longer request with the old grace',
    { drain: { graceSeconds: 60, requestSeconds: 30 } },
    /are 65/,
  ],
  [
    'a margin that the drain of the program exceeds',
    { drain: { acceptWindowSeconds: 11 } },
    /drain\.marginSeconds is 10, but .*: set it to 11 or more/,
  ],
  [
    'fewer replicas at the most than at the least',
    { autoscaling: { enabled: true, minReplicas: 9 } },
    /autoscaling\.minReplicas is 9, more than/,
  ],
  [
    'an alias that is the name',
    { service: { aliases: ['configuration-service'] } },
    /the Service's own name: take it out/,
  ],
  [
    'a format that is no number',
    { migrations: { to: 'newest' } },
    /the number of a format, or empty/,
  ],
  ['format 0', { migrations: { to: 0.5 } }, /migrations/],
]

for (const [what, values, sentence] of cases) {
  test(what, () => assert.match(refusal(values), sentence))
}

test('what is just enough is taken', () => {
  render({ drain: { graceSeconds: 60 } })
  render({ drain: { acceptWindowSeconds: 20, marginSeconds: 15 } })
  render({ replicaCount: 1, store: { url: 'file:/data/store', existingClaim: 'data' } })
})

test('a Kubernetes that is too old', () => {
  assert.throws(() => render({}, { kubernetes: '1.26.0' }), /requires kubeVersion/)
})

if (requireServers('what the chart refuses', 'helm')) test.run()
