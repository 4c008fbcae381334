// A process of its own that tries to create each slot of a folder: `node file-creator.js <folder> <slots> <body bytes>`.
// It begins when a line comes on its standard input and prints the slots that it won as JSON.
import { once } from 'node:events'
import { openFileStore } from '../../src/store/file.ts'

const [folder = '', slots = '', bodyBytes = ''] = process.argv.slice(2)
const store = await openFileStore(folder)
process.stdout.write('ready\n')
await once(process.stdin, 'data')
process.stdin.destroy()

const won: number[] = []
for (let slot = 0; slot < Number(slots); slot++) {
  const body = Buffer.alloc(Number(bodyBytes), `${process.pid} `)
  const { result } = await store.create(`slots/${slot}`, body, { timeoutMs: 60_000 })
  if (result === 'created') won.push(slot)
}
process.stdout.write(`${JSON.stringify(won)}\n`)
await store.close()
