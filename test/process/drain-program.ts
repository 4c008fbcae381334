/**
 * A server with nothing but our lifecycle around it, for `drain.test.ts`: answers after as long as it is asked to.
 * `/answer?afterMs=…` answers then; `&head=now` sends the head of the answer at once.
 */
import { createDrainableServer, drainTimes, leaving, onFirstSignal } from '../../src/lifecycle.ts'
import { createObserver } from '../../src/observer.ts'

const windowSeconds = Number(process.env.WINDOW_SECONDS)
const requestSeconds = Number(process.env.REQUEST_SECONDS)
const observer = createObserver({ level: 'info' })
const server = createDrainableServer({
  times: drainTimes({ windowSeconds, requestSeconds }),
  requestSeconds,
  isProbe: (url) => url === '/livez',
  observer,
  listener(request, response) {
    const url = new URL(request.url ?? '', 'http://service')
    response.setHeader('X-Request-Id', url.searchParams.get('id') ?? 'none')
    response.setHeader('Content-Length', '4')
    if (url.searchParams.has('head')) response.flushHeaders()
    request.resume()
    setTimeout(() => response.end('done'), Number(url.searchParams.get('afterMs')))
  },
})

onFirstSignal(async () => {
  const { aborted } = await server.drain()
  observer.log('info', 'stopped')
  await observer.finish(leaving.logMs)
  process.exit(aborted.length === 0 ? 0 : 1)
})

const { port } = await server.listen({ host: '127.0.0.1', port: 0 })
observer.log('info', 'listening', { port })
