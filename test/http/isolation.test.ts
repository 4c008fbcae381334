/** Whatever a URL is made of, it reaches the objects of the one project that it names, or of none. */
import { connect } from 'node:net'
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { escapeProject } from '../../src/repository/keys.ts'
import { createRepositories } from '../../src/repository/repositories.ts'
import { createResources } from '../../src/resources/git-resources.ts'
import type { Store } from '../../src/store/store.ts'
import { systemClock } from '../../src/system-clock.ts'
import { drawSeed } from '../support/chance.ts'
import { openBench, replicaOptions } from '../support/repositories.ts'
import { startApp } from './app-harness.ts'

const test = suite('projects apart from one another')
const cases = Number(process.env.CASES ?? 400)

/** What has led astray elsewhere, escaped once, twice, or not at all. */
const nasty = [
  ...[
    '.',
    '..',
    '/',
    '\\',
    '%2e%2e',
    '%2E%2E%2F',
    '%252e%252e%252f',
    '%c0%ae',
    '%00',
    '%0a',
    '%ff',
  ],
  ...[
    'victim',
    'victim%2Flog',
    'victim/log/',
    '%76ictim',
    'VICTIM',
    'ｖictim',
    '%',
    '%2',
    '+',
    ' ',
    ';',
    '#',
  ],
  ...[
    'projects',
    'cluster',
    'store.json',
    'refs%2Fheads%2Fmain',
    '.git',
    '%2egit',
    '~',
    '@',
    '*',
    '?x=',
    'ä',
    '%F0%9F%98%80',
  ],
]
const piece = fc.oneof(fc.constantFrom(...nasty), fc.string({ maxLength: 4, unit: 'binary-ascii' }))
const hostile = fc.array(piece, { minLength: 1, maxLength: 4 }).map((pieces) => pieces.join(''))
/** A plain one beside a hostile one lets that get further. */
const segment = fc.oneof(
  { weight: 3, arbitrary: hostile },
  { weight: 1, arbitrary: fc.constant('victim') },
)

/** @returns the status; null where the connection was closed without one */
function sendRaw(port: number, head: string): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1')
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0) || null))
    socket.write(Buffer.from(head, 'utf8'))
  })
}

test('no name and no path leads to another project, to the cluster, or to a failure of ours', async () => {
  const bench = await openBench()
  const touched: string[] = []
  let reached = 0
  const spied = new Proxy(bench.store, {
    get(store, name: keyof Store) {
      if (name === 'close') return store.close
      return (first: string | { prefix: string }, ...rest: unknown[]) => {
        touched.push(typeof first === 'string' ? first : first.prefix)
        return (store[name] as (...given: unknown[]) => unknown).call(store, first, ...rest)
      }
    },
  })
  const repositories = createRepositories(replicaOptions(spied))
  const app = await startApp(
    createResources({ repositories, clock: systemClock, defaultBranch: 'main' }),
  )
  try {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('GET', 'PUT', 'DELETE', 'POST'),
        segment,
        segment,
        async (method, project, path) => {
          const target = `/v1/project/${project}/resource/${path}`.replace(/[\r\n ]/g, '%20')
          const body = '{"resourceContent":"YQ=="}'
          touched.splice(0)
          const status = await sendRaw(
            app.port,
            `${method} ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
          )
          assert.ok(status !== null && status < 500, `${method} ${target}: ${status}`)
          const named = target.split('?', 1)[0]?.split('/')[3] ?? ''
          if (touched.length > 0) reached++
          const own =
            touched.length === 0 ? '' : `projects/${escapeProject(decodeURIComponent(named))}/`
          const astray = touched.filter((key) => !key.startsWith(own))
          assert.equal(astray, [], `${method} ${target}`)
          assert.ok(!touched.some((key) => /(^|\/)\.\.?(\/|$)/.test(key)), `${touched}`)
        },
      ),
      { numRuns: cases, seed: drawSeed('isolation') | 0 },
    )
    assert.ok(reached > cases / 20, `only ${reached} cases got as far as the bucket`)
  } finally {
    await app.close()
    await repositories.close()
    await bench.close()
  }
})

test.run()
