/**
 * A real Kubernetes in the network namespace that this process is in: etcd, API server, controllers, scheduler, kube-proxy, and a
 * real kubelet whose pods are processes of this machine. What it lacks stands in lab/README.md.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  makeFolder,
  type RunningProcess,
  removeFolder,
  startProcess,
  waitFor,
} from '../support/processes.ts'
import { needProgram, repositoryRoot } from '../support/programs.ts'
import { run, tryRun } from '../support/run.ts'
import { type Cluster, clusterOf } from './cluster.ts'

/** Where `lab/build.sh` builds to. */
export const labPrograms = join(repositoryRoot, '.servers', 'kubernetes')

/** Where pods reach what runs beside them in the namespace. */
export const hostAddress = '10.244.0.1'

const podPrefix = '10.244.0'
const services = '10.96.0.0/16'
const apiServer = 'https://127.0.0.1:6443'

export interface Lab extends Cluster {
  /** The image store: a file in it is an image. */
  readonly images: string
  /** kill -9 of what runs in a pod, as a kernel that is out of memory does it. */
  kill(pod: string): void
  stop(): Promise<void>
}

/** Starts it; ready after some 5 s. */
export async function startLab(): Promise<Lab> {
  const folder = makeFolder('kubernetes')
  const images = join(folder, 'images')
  const bin = join(folder, 'bin')
  const kubectl = join(bin, 'kubectl')
  for (const path of [images, bin]) mkdirSync(path)
  symlinkSync(join(labPrograms, 'kubelab'), kubectl)
  symlinkSync(needProgram('helm'), join(bin, 'helm'))
  const token = randomBytes(16).toString('hex')
  const kubeconfig = writeAccess(folder, token)
  await makeBridge()

  const running: { name: string; process: RunningProcess }[] = []
  const start = (name: string, words: string[]) => {
    const [program = '', ...args] = ['nice', '-n', '10', ...words]
    running.push({ name, process: startProcess(program, args, { cwd: folder }) })
  }
  const kubelab = (name: string, args: string[]) =>
    start(name, [join(labPrograms, 'kubelab'), name, ...args])
  const alive = () => {
    const dead = running.find(({ process }) => process.exited() !== undefined)
    if (dead) throw new Error(`${dead.name} ended: ${dead.process.output().slice(-4_000)}`)
  }
  const until = (what: string, condition: () => Promise<boolean>) =>
    waitFor(
      async () => {
        alive()
        if (await condition()) return true
        await sleep(200)
        return false
      },
      { what, timeoutMs: 120_000 },
    )

  const env = {
    KUBECONFIG: kubeconfig,
    PATH: `${bin}:${process.env.PATH}`,
    HOME: folder,
  }
  const lab: Lab = {
    ...clusterOf(env),
    images,
    kill(pod) {
      for (const pid of processesOf(pod)) process.kill(pid, 'SIGKILL')
    },
    async stop() {
      for (const { process: part } of running.reverse()) {
        part.signal('SIGTERM')
        await Promise.race([part.ended(), sleep(5_000)])
        await part.kill()
      }
      removeFolder(folder)
    },
  }

  try {
    kubelab('etcd', etcdFlags(folder))
    kubelab('kube-apiserver', apiServerFlags(folder))
    await until('the API server', () => answers(`${apiServer}/readyz`))
    const common = [`--kubeconfig=${kubeconfig}`, '--profiling=false', '--v=1']
    const local = ['--leader-elect=false', '--bind-address=127.0.0.1']
    kubelab('kube-controller-manager', [
      ...common,
      ...local,
      '--service-account-private-key-file=sa.key',
      '--root-ca-file=apiserver/apiserver.crt',
      '--use-service-account-credentials=false',
    ])
    kubelab('kube-scheduler', [...common, ...local])
    kubelab('kube-proxy', proxyFlags(kubeconfig))
    start('knode', [
      ...['unshare', '--mount', '--propagation', 'private', join(labPrograms, 'knode')],
      ...[`--kubeconfig=${kubeconfig}`, `--root=${join(folder, 'node')}`, `--images=${images}`],
      ...['--bridge=br0', `--pod-prefix=${podPrefix}`],
    ])
    await until('the node', async () =>
      /\bReady\b/.test((await tryRun([kubectl, 'get', 'nodes'], { env })).output),
    )
    const account = [kubectl, 'get', 'serviceaccount', 'default']
    await until('the namespace', async () => (await tryRun(account, { env })).exit === 0)
    return lab
  } catch (error) {
    await lab.stop()
    throw error
  }
}

/** Keys, tokens and the kubeconfig. @returns the path of the last */
function writeAccess(folder: string, token: string): string {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  writeFileSync(join(folder, 'sa.key'), privateKey, { mode: 0o600 })
  writeFileSync(join(folder, 'sa.pub'), publicKey)
  writeFileSync(join(folder, 'tokens.csv'), `${token},admin,admin,"system:masters"\n`, {
    mode: 0o600,
  })
  const authority = join(folder, 'apiserver', 'apiserver.crt')
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'lab', cluster: { server: apiServer, 'certificate-authority': authority } }],
    users: [{ name: 'admin', user: { token } }],
    contexts: [{ name: 'lab', context: { cluster: 'lab', user: 'admin' } }],
    'current-context': 'lab',
  }
  const path = join(folder, 'kubeconfig')
  // JSON is YAML.
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 })
  return path
}

async function makeBridge(): Promise<void> {
  await run(['ip', 'link', 'set', 'lo', 'up'])
  await run(['ip', 'link', 'add', 'br0', 'type', 'bridge'])
  await run(['ip', 'addr', 'add', `${hostAddress}/24`, 'dev', 'br0'])
  await run(['ip', 'link', 'set', 'br0', 'up'])
  // There must be a route before kube-proxy's rules see a packet to a Service.
  await run(['ip', 'route', 'add', services, 'dev', 'br0'])
  // Of this namespace alone.
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1')
}

function etcdFlags(folder: string): string[] {
  const url = 'http://127.0.0.1:2379'
  const peer = 'http://127.0.0.1:2380'
  return [
    `--data-dir=${join(folder, 'etcd')}`,
    ...[`--listen-client-urls=${url}`, `--advertise-client-urls=${url}`],
    ...[`--listen-peer-urls=${peer}`, `--initial-advertise-peer-urls=${peer}`],
    `--initial-cluster=default=${peer}`,
    ...['--unsafe-no-fsync', '--log-level=warn'],
  ]
}

function apiServerFlags(folder: string): string[] {
  return [
    '--etcd-servers=http://127.0.0.1:2379',
    ...['--bind-address=127.0.0.1', `--advertise-address=${hostAddress}`, '--secure-port=6443'],
    `--cert-dir=${join(folder, 'apiserver')}`,
    ...[`--service-cluster-ip-range=${services}`, '--endpoint-reconciler-type=none'],
    ...['--authorization-mode=Node,RBAC', '--token-auth-file=tokens.csv'],
    ...['--service-account-key-file=sa.pub', '--service-account-signing-key-file=sa.key'],
    '--service-account-issuer=https://kubernetes.default.svc',
    '--kubelet-preferred-address-types=InternalIP',
    ...['--allow-privileged=true', '--profiling=false', '--v=1'],
  ]
}

function proxyFlags(kubeconfig: string): string[] {
  return [
    ...[`--kubeconfig=${kubeconfig}`, '--hostname-override=local', '--v=1'],
    ...['--proxy-mode=nftables', '--cluster-cidr=10.244.0.0/24', '--masquerade-all'],
    // Limits of the whole machine stay as they are.
    ...['--conntrack-max-per-core=0', '--conntrack-tcp-timeout-established=0s'],
    '--conntrack-tcp-timeout-close-wait=0s',
    ...['--metrics-bind-address=127.0.0.1:10249', '--healthz-bind-address=127.0.0.1:10256'],
  ]
}

/** The containers of a pod, each by its first process. */
function processesOf(pod: string): number[] {
  const read = (pid: string, name: string) => {
    try {
      return readFileSync(`/proc/${pid}/${name}`, 'utf8')
    } catch {
      return ''
    }
  }
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => read(pid, 'environ').split('\0').includes(`HOSTNAME=${pod}`))
    .filter((pid) => /^NSpid:.*\t1$/m.test(read(pid, 'status')))
    .map(Number)
}

/** Whether an address with a certificate of its own making says 200. */
function answers(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request(url, { rejectUnauthorized: false, timeout: 2_000 }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    asked.once('error', () => resolve(false))
    asked.once('timeout', () => asked.destroy())
    asked.end()
  })
}
