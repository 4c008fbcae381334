/** The table of values in the chart's README, made from `values.schema.json`. */

export interface Schema {
  type?: string | string[]
  description?: string
  default?: unknown
  properties?: Record<string, Schema>
  additionalProperties?: boolean | Schema
}

export interface Leaf {
  /** As Helm's `--set` has it. */
  path: string
  schema: Schema
}

/** The values that have a meaning of their own, in the order of the schema; `global` is Helm's. */
export function leavesOf(schema: Schema, path = ''): Leaf[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, inner]) => {
    if (path === '' && key === 'global') return []
    const here = path === '' ? key : `${path}.${key}`
    return inner.description === undefined ? leavesOf(inner, here) : [{ path: here, schema: inner }]
  })
}

/** The table in Markdown. */
export function valuesTable(schema: Schema): string {
  const rows = leavesOf(schema).map(({ path, schema: leaf }) => {
    const standard =
      leaf.default === '' ? '' : `\`${JSON.stringify(leaf.default).replace(/^"|"$/g, '')}\``
    return `| \`${path}\` | ${standard} | ${leaf.description} |`
  })
  return ['| Value | Default | Meaning |', '| --- | --- | --- |', ...rows].join('\n')
}
