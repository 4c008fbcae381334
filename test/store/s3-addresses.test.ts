import { execFileSync } from 'node:child_process'
import dns from 'node:dns'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer } from 'node:tls'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openS3Store, type S3Location } from '../../src/store/s3.ts'
import type { Store } from '../../src/store/store.ts'
import { requireServers, type S3Server, startMinio } from '../support/servers.ts'

const timeoutMs = 10_000
const domain = 's3.example.test'

if (requireServers('s3 store: addresses', 'minio', 'openssl')) {
  const test = suite('s3 store: addresses')
  let server: S3Server
  let bucket: string
  const lookup = dns.lookup

  test.before(async () => {
    server = await startMinio({ env: { MINIO_DOMAIN: domain } })
    bucket = await server.createBucket()
  })

  test.after(async () => {
    dns.lookup = lookup
    await server.stop()
  })

  test('a virtual-hosted bucket is a part of the host name', async () => {
    const asked = resolveDomainHere()
    const store = await open({ endpoint: `http://${domain}:${server.port}`, style: 'virtual' })
    await roundTrip(store)
    assert.ok(asked.has(`${bucket}.${domain}`))
    const same = await open({ endpoint: server.endpoint, style: 'path' })
    const page = await same.list({ prefix: '', timeoutMs })
    assert.is(page.objects.length, 1)
    await store.close()
    await same.close()
  })

  test('over TLS a certificate that nobody vouches for is refused before a byte is sent', async () => {
    const tls = await startTls(server.port)
    const store = await open({ endpoint: tls.endpoint })
    const error = await store.create('tls', Buffer.from('x'), { timeoutMs }).catch((e) => e)
    assert.equal([error.reason, error.definite], ['DEPTH_ZERO_SELF_SIGNED_CERT', true])
    await store.close()
    tls.stop()
  })

  test('over TLS everything is as without, bodies above 1 MiB too, which are not hashed', async () => {
    const tls = await startTls(server.port)
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
    const store = await open({ endpoint: tls.endpoint, prefix: 'over-tls' })
    await roundTrip(store)
    const large = Buffer.alloc(3_000_000, 'large ')
    await store.put('large', large, { timeoutMs })
    const found = await store.get('large', { timeoutMs })
    assert.ok(found !== null && found !== 'not-modified' && found.body.equals(large))
    await store.close()
    delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
    tls.stop()
  })

  test.run()

  function open(changes: Partial<S3Location>): Promise<Store> {
    const location: S3Location = {
      bucket,
      prefix: '',
      region: server.region,
      style: 'path',
      ...changes,
    }
    return openS3Store({ ...location, credentials: () => server })
  }
}

async function roundTrip(store: Store): Promise<void> {
  const key = 'odd key+%/é'
  assert.is(await store.get(key, { timeoutMs }), null)
  assert.is((await store.create(key, Buffer.from('x'), { timeoutMs })).result, 'created')
  assert.is((await store.create(key, Buffer.from('y'), { timeoutMs })).result, 'exists')
  const found = await store.get(key, { timeoutMs })
  assert.ok(found !== null && found !== 'not-modified' && String(found.body) === 'x')
  const page = await store.list({ prefix: 'odd', timeoutMs })
  assert.is(page.objects[0]?.key, key)
}

/** Makes every name below the domain this machine. @returns the names that were asked for */
function resolveDomainHere(): Set<string> {
  const asked = new Set<string>()
  const { lookup } = dns
  const own = (name: string, ...rest: unknown[]) => {
    asked.add(name)
    const isBelow = name.endsWith(domain)
    return Reflect.apply(lookup, dns, [isBelow ? '127.0.0.1' : name, ...rest])
  }
  dns.lookup = own as typeof dns.lookup
  return asked
}

/** A server that speaks TLS with a certificate of its own and passes the bytes on. */
async function startTls(port: number): Promise<{ endpoint: string; stop(): void }> {
  const sockets = new Set<Socket>()
  const server = createServer(makeCertificate(), (client) => {
    const upstream = connect(port, '127.0.0.1')
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
    }
    client.pipe(upstream).pipe(client)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const stop = () => {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
  return { endpoint: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, stop }
}

function makeCertificate(): { key: Buffer; cert: Buffer } {
  const folder = mkdtempSync(join(tmpdir(), 'tls-'))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const newKey = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const made = ['-keyout', key, '-out', cert, '-days', '1', '-subj', '/CN=127.0.0.1']
  execFileSync('openssl', ['req', ...newKey, ...made], { stdio: 'ignore' })
  const pair = { key: readFileSync(key), cert: readFileSync(cert) }
  rmSync(folder, { recursive: true })
  return pair
}
