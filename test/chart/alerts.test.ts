/** The alerts speak of metrics that there are, and each has its entry in the runbook. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parse } from 'yaml'
import { counters, gauges, histograms, type MetricSpec, metricPrefix } from '../../src/observe.ts'
import { repositoryRoot, requireServers } from '../support/programs.ts'
import { chartFolder, only, render } from './helm.ts'

const test = suite('alerts')

interface Alert {
  alert: string
  expr: string
  for?: string
  labels: { severity: string }
  annotations: Record<string, string>
}

const alerts: Alert[] = parse(readFileSync(join(chartFolder, 'alerts.yaml'), 'utf8'))
const operations = readFileSync(join(repositoryRoot, 'docs', 'operations.md'), 'utf8')

/** Every name that Prometheus sees, with the labels that it may be asked for by. */
const known = new Map<string, MetricSpec>([
  ...Object.entries(counters),
  ...Object.entries(gauges),
  ...Object.entries(histograms).flatMap(([name, spec]): [string, MetricSpec][] =>
    ['_bucket', '_sum', '_count'].map((suffix) => [`${name}${suffix}`, spec]),
  ),
])

test('each asks for metrics, labels and label values that the program has', () => {
  for (const { alert, expr } of alerts) {
    const asked = [...expr.matchAll(new RegExp(`\\b${metricPrefix}(\\w+)(?:\\{([^}]*)\\})?`, 'g'))]
    assert.ok(asked.length > 0, alert)
    for (const [, name = '', matchers = ''] of asked) {
      const spec = known.get(name)
      assert.ok(spec, `${alert}: ${name}`)
      for (const [, label = '', operator, value = ''] of matchers.matchAll(
        /(\w+)(=~?)"([^"]*)"/g,
      )) {
        const allowed = spec.labels?.[label]
        assert.ok(allowed, `${alert}: ${name} has no label ${label}`)
        if (allowed === 'open') continue
        for (const one of operator === '=~' ? value.split('|') : [value])
          assert.ok(allowed.includes(one), `${alert}: ${label} is never ${one}`)
      }
    }
  }
})

test('each has a summary, a severity, and its entry in docs/operations.md', () => {
  const names = alerts.map(({ alert }) => alert)
  assert.equal([...new Set(names)], names)
  for (const { alert, labels, annotations } of alerts) {
    assert.ok(['critical', 'warning'].includes(labels.severity), alert)
    assert.match(annotations.summary ?? '', /\.$/, alert)
  }
  const entries = [...operations.matchAll(/^### (ConfigurationService\w+)$/gm)].map(
    ([, name]) => name,
  )
  assert.equal(entries.sort(), names.sort(), 'neither is without the other')
})

test('Prometheus gets them as they are, each with the place of its entry', () => {
  const shown: Alert[] = only(
    render({ prometheusRule: { enabled: true, runbooks: 'https://runbooks.example/operations' } }),
    'PrometheusRule',
  ).spec.groups[0].rules
  assert.equal(
    shown,
    alerts.map((alert) => ({
      ...alert,
      annotations: {
        ...alert.annotations,
        runbook_url: `https://runbooks.example/operations#${alert.alert.toLowerCase()}`,
      },
    })),
  )
})

if (requireServers('alerts', 'helm')) test.run()
