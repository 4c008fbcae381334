/** What came of each kind of object and each kind of damage, as a table for people. */
import type { Outcome } from './cases.ts'
import { type Damage, type Group, groups, type Kind, kinds } from './damages.ts'

export interface Table {
  add(damage: Damage, outcome: Outcome): void
  /** In Markdown. */
  toString(): string
}

const columns = ['fresh', 'warm', 'running', 'verify'] as const
type Row = { cases: number; objects: Set<string> } & Record<(typeof columns)[number], Set<string>>

export function createTable(): Table {
  const rows = new Map<string, Row>()
  const rowOf = (kind: Kind, group: Group) => `${kind} | ${group}`

  return {
    add({ kind, group, keys }, { seen, verified }) {
      const name = rowOf(kind, group)
      const row = rows.get(name) ?? {
        cases: 0,
        objects: new Set(),
        fresh: new Set(),
        warm: new Set(),
        running: new Set(),
        verify: new Set(),
      }
      row.cases++
      row.objects.add(keys[0])
      row.verify.add(verified)
      for (const reader of ['fresh', 'warm', 'running'] as const) row[reader].add(seen[reader])
      rows.set(name, row)
    },
    toString() {
      const lines = kinds.flatMap((kind) =>
        groups.flatMap((group) => {
          const name = rowOf(kind, group)
          const row = rows.get(name)
          if (row === undefined) return []
          const said = columns.map((column) => [...row[column]].sort().join(' / '))
          return [`| ${name} | ${row.objects.size} | ${row.cases} | ${said.join(' | ')} |`]
        }),
      )
      const names = ['Object', 'Damage', 'Objects', 'Cases', ...columns]
      const head = [`| ${names.join(' | ')} |`, `|${' --- |'.repeat(names.length)}`]
      return [...head, ...lines].join('\n')
    },
  }
}
