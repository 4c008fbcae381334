import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { settings } from '../../src/config.ts'
import { narrowTable } from '../support/markdown.ts'
import { repositoryRoot } from '../support/programs.ts'

const test = suite('README')
const readme = readFileSync(join(repositoryRoot, 'README.md'), 'utf8')

interface Row {
  variable: string
  formerly?: string
  default?: string
  unit: string
  help: string
  secret?: string
}

test('its table of settings is the one of config.ts, line by line', () => {
  const shown = /<!-- settings: begin .*-->\n([\s\S]*?)\n<!-- settings: end -->/.exec(readme)?.[1]
  const rows = Object.values<Row>(settings).map((setting) => {
    const before = setting.formerly === undefined ? '' : ` (formerly \`${setting.formerly}\`)`
    const name = `\`${setting.variable}\`${setting.secret ? ' \\*' : ''}${before}`
    const standard = setting.default ? `\`${setting.default}\`` : 'unset'
    return `| ${name} | ${standard} | ${setting.unit} | ${setting.help} |`
  })
  const expected = [
    '| Variable | Default | Unit | Meaning |',
    '| --- | --- | --- | --- |',
    ...rows,
  ].join('\n')
  assert.is(narrowTable(shown ?? ''), expected)
})

test('every npm script that it names exists', () => {
  const { scripts } = JSON.parse(readFileSync(join(repositoryRoot, 'package.json'), 'utf8'))
  const named = [...readme.matchAll(/npm (?:run ([\w:]+)|(test|start))/g)].map(
    ([, script, short]) => script ?? short,
  )
  assert.ok(named.length > 4)
  assert.equal(
    named.filter((name) => scripts[String(name)] === undefined),
    [],
  )
})

test('every file and folder that it links to is there', () => {
  const links = [...readme.matchAll(/\]\(((?!https?:)[^)#]+)/g)].map(([, path]) => path as string)
  assert.ok(links.length > 3)
  for (const path of links) readFileSync(join(repositoryRoot, path))
})

test.run()
