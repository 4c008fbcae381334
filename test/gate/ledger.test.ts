import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { makeFolder, removeFolder } from '../support/processes.ts'
import { blobOf, type LedgerLine, readBack, readLedger } from './ledger.ts'

const test = suite('the ledger of a load')

const folder = makeFolder('ledger')
test.after(() => removeFolder(folder))

function ledgerOf(...writes: (Pick<LedgerLine, 'failure'> & { content: string | null })[]) {
  const path = join(folder, 'ledger')
  const frame = { kind: 'put', project: 'p', file: 'a', sentMs: 0, tookMs: 1 } as const
  const lines = writes.map(({ content, ...rest }, at) => {
    const blob = content === null ? null : blobOf(content)
    return JSON.stringify({ id: `load ${at}`, ...frame, blob, ...rest })
  })
  writeFileSync(path, lines.join('\n'))
  return readLedger(path)
}

/** Whether a ledger is content with what a service holds. */
async function holds(ledger: ReturnType<typeof readLedger>, content: string | null) {
  const server = createServer((_, response) => {
    response.writeHead(content === null ? 404 : 200).end(content ?? '')
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  const wrong = await readBack(ledger, `http://127.0.0.1:${port}`, '')
  await new Promise((resolve) => server.close(resolve))
  return wrong.length === 0
}

test('a file holds what was acknowledged last', async () => {
  const ledger = ledgerOf({ content: 'one' }, { content: 'two' })
  assert.equal(
    [await holds(ledger, 'two'), await holds(ledger, 'one'), await holds(ledger, null)],
    [true, false, false],
  )
})

test('or what was sent since then and failed, of which nobody knows; what was before is gone', async () => {
  const failure = '503'
  const ledger = ledgerOf(
    { content: 'never', failure },
    { content: 'one' },
    { content: 'two', failure },
    { content: null, failure },
  )
  const seen = ['one', 'two', null, 'never'].map((content) => holds(ledger, content))
  assert.equal(await Promise.all(seen), [true, true, true, false])
})

test('a file that was never acknowledged may be absent', async () => {
  const ledger = ledgerOf({ content: 'one', failure: '503' })
  assert.equal([await holds(ledger, 'one'), await holds(ledger, null)], [true, true])
})

test.run()
