import { createServer, type Socket } from 'node:net'

/**
 * A Redis that says yes to everything: it grants every lock to everybody. Listens on a free port.
 * @param hangsUp closes the connection instead of an answer, by the command's name and how often it came before
 * @returns its URL, how often a command came, and what ends it
 */
export async function startLyingRedis(
  hangsUp: (name: string, before: number) => boolean = () => false,
): Promise<{ url: string; count(name: string): number; hangUp(): void; stop(): Promise<void> }> {
  const sockets = new Set<Socket>()
  const seen = new Map<string, number>()
  const server = createServer((socket) => {
    sockets.add(socket)
    let rest = ''
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (data) => {
      rest += data.toString('latin1')
      for (let command = takeCommand(rest); command !== null; command = takeCommand(rest)) {
        rest = command.rest
        const name = command.words[0]?.toLowerCase() ?? ''
        const before = seen.get(name) ?? 0
        seen.set(name, before + 1)
        if (hangsUp(name, before)) return socket.destroy()
        socket.write(answerTo(command.words))
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  return {
    url: `redis://127.0.0.1:${port}`,
    count: (name) => seen.get(name) ?? 0,
    hangUp: () => {
      for (const socket of sockets) socket.destroy()
    },
    stop: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  }
}

function answerTo([name = '']: string[]): string {
  if (/^eval/i.test(name)) return ':1\r\n'
  if (/^info$/i.test(name)) return '$0\r\n\r\n'
  if (/^publish$/i.test(name)) return ':0\r\n'
  if (/^psubscribe$/i.test(name)) return '*3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:1\r\n'
  return '+OK\r\n'
}

/** Takes one command, an array of strings with their lengths, off the front. */
function takeCommand(text: string): { words: string[]; rest: string } | null {
  const head = text.match(/^\*(\d+)\r\n/)
  if (head === null) return null
  let position = head[0].length
  const words: string[] = []
  for (let index = 0; index < Number(head[1]); index++) {
    const length = text.slice(position).match(/^\$(\d+)\r\n/)
    if (length === null) return null
    const start = position + length[0].length
    position = start + Number(length[1]) + 2
    if (position > text.length) return null
    words.push(text.slice(start, position - 2))
  }
  return { words, rest: text.slice(position) }
}
