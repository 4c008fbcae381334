/**
 * Random operations on one project, as Keptn's clients send them: mostly ones that should work, some that must be refused, some
 * that change nothing. What is there is remembered only so far as to make most of them sensible.
 */
import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import { pack } from 'tar-stream'
import type { Chance } from '../support/chance.ts'
import type { Answered, Sent } from '../support/send.ts'

/** One request, and the statuses that it may have. */
export interface Operation extends Sent {
  name: string
  expected: number[]
  /** Sent a second time, it has to get the same answer. */
  keyed?: true
  /** What is remembered of it, once it worked. */
  worked(): void
}

/** Files of a scope, by path, with their contents' blob ids. */
type Files = Map<string, string>

interface Remembered {
  exists: boolean
  /** `` for the project, `/stage/a`, `/stage/a/service/b`. */
  scopes: Map<string, Files>
}

export interface RandomProject {
  /** The next operation. */
  next(): Promise<Operation>
  /** Many files in a folder of a service, in list writes of 1,000. */
  manyFiles(count: number): Operation[]
  /** Deletes the project, to be made again by what `next` gives then. */
  drop(): Operation
  /** Makes the project, or keeps it. */
  create(): Operation
}

const json = { 'content-type': 'application/json' }
const stageNames = ['dev', 'hardening', 'production', 'qa/europe', 'qa-us', 'Bühne']
const serviceNames = ['carts', 'carts-db', 'front end'.replace(' ', '.'), 'käse']
const names = ['slo.yaml', 'sli.yaml', 'job/config.yaml', 'a+b.yaml', 'tests/load.jmx', 'x y.txt']
const folders = ['', 'dynatrace/', 'helm-values/eu/', 'deep/er/and/deeper/', 'üml/']
const largeBytes = 3 * 1024 * 1024

export function randomProject(project: string, chance: Chance): RandomProject {
  const base = `/v1/project/${project}`
  const is: Remembered = { exists: false, scopes: new Map() }
  let number = 0

  const post = (
    path: string,
    body: object,
  ): Pick<Sent, 'method' | 'path' | 'headers' | 'body'> => ({
    method: 'POST',
    path,
    headers: json,
    body: JSON.stringify(body),
  })
  const stages = () => [...is.scopes.keys()].filter((scope) => /^\/stage\/[^/]+$/.test(scope))
  const services = () => [...is.scopes.keys()].filter((scope) => scope.includes('/service/'))
  const forget = (scope: string) => {
    for (const name of is.scopes.keys()) {
      if (name === scope || name.startsWith(`${scope}/`)) is.scopes.delete(name)
    }
  }
  const filesOf = (scope: string) => is.scopes.get(scope) ?? new Map<string, string>()
  const resourceOf = (scope: string, path: string) =>
    `${base}${scope}/resource/${encodeURIComponent(path)}`
  const inPath = encodeURIComponent

  const create = (): Operation => ({
    name: 'create project',
    ...post('/v1/project', { projectName: project }),
    expected: is.exists ? [409] : [204],
    worked() {
      is.exists = true
      is.scopes.set('', new Map())
    },
  })

  const drop = (): Operation => ({
    name: 'delete project',
    method: 'DELETE',
    path: base,
    expected: [204],
    worked() {
      is.exists = false
      is.scopes.clear()
    },
  })

  const createStage = (): Operation => {
    const name = chance.pick(stageNames.filter((stage) => !stage.includes('/')))
    const scope = `/stage/${inPath(name)}`
    return {
      name: 'create stage',
      ...post(`${base}/stage`, { stageName: name }),
      expected: is.scopes.has(scope) ? [409] : [204],
      worked: () => void is.scopes.set(scope, new Map(filesOf(''))),
    }
  }

  const deleteStage = (): Operation => {
    const scope = chance.pick(['/stage/nowhere', ...stages()])
    return {
      name: 'delete stage',
      method: 'DELETE',
      path: base + scope,
      expected: is.scopes.has(scope) ? [204] : [404],
      worked: () => forget(scope),
    }
  }

  const createService = (): Operation => {
    const stage = chance.pick(['/stage/nowhere', ...stages(), ...stages()])
    const name = chance.pick(serviceNames)
    const scope = `${stage}/service/${inPath(name)}`
    const right = !is.scopes.has(stage) ? 404 : is.scopes.has(scope) ? 409 : 204
    return {
      name: 'create service',
      ...post(`${base}${stage}/service`, { serviceName: name }),
      expected: [right],
      worked: () => void is.scopes.set(scope, new Map()),
    }
  }

  const deleteService = (): Operation => {
    const scope = chance.pick([`/stage/nowhere/service/x`, ...services()])
    return {
      name: 'delete service',
      method: 'DELETE',
      path: base + scope,
      expected: is.scopes.has(scope) ? [204] : [404],
      worked: () => forget(scope),
    }
  }

  const content = () => {
    const kind = chance.fraction()
    if (kind < 0.03) return chance.bytes(largeBytes)
    if (kind < 0.08) return Buffer.alloc(0)
    if (kind < 0.2) return chance.bytes(chance.between(1, 20_000))
    return Buffer.from(`# ${++number}\nvalue: ${'x'.repeat(chance.between(0, 3_000))}\n`)
  }

  const put = (scope: string, path: string, bytes: Buffer): Operation => {
    const raw = chance.happens(0.3)
    const resourceContent = bytes.toString('base64')
    return {
      name: bytes.length >= largeBytes ? 'write 3 MiB' : 'write file',
      method: 'PUT',
      path: resourceOf(scope, path),
      headers: raw ? { 'content-type': 'application/octet-stream' } : json,
      body: raw ? bytes : JSON.stringify({ resourceContent }),
      expected: [200],
      worked: () => void filesOf(scope).set(path, blobOid(bytes)),
    }
  }

  const anyScope = () => chance.pick([...is.scopes.keys()])
  const anyPath = () => `${chance.pick(folders)}${chance.pick(names)}`

  const writeOne = (): Operation => {
    const operation = put(anyScope(), anyPath(), content())
    if (!chance.happens(0.2)) return operation
    const headers = { ...operation.headers, 'idempotency-key': `key ${++number}` }
    return { ...operation, name: `${operation.name} with a key`, headers, keyed: true }
  }

  const writeSame = (): Operation => {
    const bytes = Buffer.from('the same every time\n')
    return { ...put(anyScope(), 'same.txt', bytes), name: 'write the same', expected: [200, 409] }
  }

  const writeMatching = (): Operation => {
    const scope = anyScope()
    const [path, oid] = chance.pick([...filesOf(scope), ['slo.yaml', 'absent']] as const)
    const operation = put(scope, path, content())
    const matches = filesOf(scope).get(path) === oid
    return {
      ...operation,
      name: matches ? 'write if it matches' : 'write if it matches what never was',
      headers: { ...operation.headers, 'if-match': `"${oid}"` },
      expected: [matches ? 200 : 412],
    }
  }

  const writeList = (): Operation => {
    const scope = anyScope()
    const files = new Map<string, Buffer>()
    for (let left = chance.between(1, 6); left > 0; left--) files.set(anyPath(), content())
    return list(scope, files, 'write list')
  }

  const list = (scope: string, files: Map<string, Buffer>, name: string): Operation => {
    const resources = [...files].map(([resourceURI, bytes]) => ({
      resourceURI,
      resourceContent: bytes.toString('base64'),
    }))
    return {
      name,
      ...post(`${base}${scope}/resource`, { resources, message: `list ${++number}` }),
      // Six files of 3 MiB are more than a body may be.
      expected: sizeOf(files) > 7 * 2 ** 20 ? [413] : [201],
      worked() {
        for (const [path, bytes] of files) filesOf(scope).set(path, blobOid(bytes))
      },
    }
  }

  const writeNowhere = (): Operation => ({
    ...put('/stage/nowhere', 'slo.yaml', Buffer.from('a')),
    name: 'write into no stage',
    expected: [404],
    worked() {},
  })

  const writeBeneathFile = (): Operation => {
    const operation = put(anyScope(), 'same.txt/beneath.txt', Buffer.from('a'))
    return { ...operation, name: 'write beneath a file', expected: [200, 409], worked() {} }
  }

  const deleteFile = (): Operation => {
    const scope = anyScope()
    const path = chance.pick(['never-there', ...filesOf(scope).keys()])
    return {
      name: 'delete file',
      method: 'DELETE',
      path: resourceOf(scope, path),
      expected: [filesOf(scope).has(path) ? 200 : 404],
      worked: () => void filesOf(scope).delete(path),
    }
  }

  const writeChart = async (): Promise<Operation> => {
    const bytes = await chartOf(chance, ++number)
    const operation = put(anyScope(), `helm/${chance.pick(['carts', 'carts-db'])}.tgz`, bytes)
    return { ...operation, name: 'write chart', worked() {} }
  }

  const deleteChart = (): Operation => ({
    name: 'delete chart',
    method: 'DELETE',
    path: resourceOf(anyScope(), 'helm/carts.tgz'),
    expected: [200, 404],
    worked() {},
  })

  const weighted: readonly [number, () => Operation | Promise<Operation>][] = [
    [30, writeOne],
    [12, writeList],
    [8, deleteFile],
    [6, createStage],
    [3, deleteStage],
    [8, createService],
    [2, deleteService],
    [5, writeMatching],
    [4, writeChart],
    [2, deleteChart],
    [3, writeSame],
    [1, writeNowhere],
    [2, writeBeneathFile],
    [1, create],
  ]
  const drawn = weighted.flatMap(([weight, make]) => Array<typeof make>(weight).fill(make))

  return {
    next: async () => (is.exists ? chance.pick(drawn)() : create()),
    create,
    drop,
    manyFiles(count) {
      const scope = services()[0] ?? stages()[0] ?? ''
      const operations: Operation[] = []
      for (let from = 0; from < count; from += 1_000) {
        const files = new Map<string, Buffer>()
        for (let index = from; index < Math.min(count, from + 1_000); index++) {
          files.set(`many/${index}.txt`, Buffer.from(`file ${index}, ${chance.between(0, 1e9)}\n`))
        }
        operations.push(list(scope, files, 'write 1,000 files'))
      }
      return operations
    },
  }
}

/** What is answered to a key, to compare with what its retry is answered. */
export function outcomeOf({ status, body }: Answered): string {
  return `${status} ${body}`
}

function blobOid(bytes: Buffer): string {
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')
}

function sizeOf(files: Map<string, Buffer>): number {
  return [...files.values()].reduce((sum, { length }) => sum + length, 0)
}

async function chartOf(chance: Chance, number: number): Promise<Buffer> {
  const tar = pack()
  tar.entry({ name: 'any/Chart.yaml' }, `name: carts\nversion: 0.0.${number}\n`)
  for (let index = chance.between(1, 5); index > 0; index--) {
    tar.entry({ name: `any/templates/${index}.yaml` }, `kind: Deployment # ${number}\n`)
  }
  tar.entry({ name: 'any/bin/run.sh', mode: 0o755 }, '#!/bin/sh\n')
  tar.finalize()
  return gzipSync(await buffer(tar))
}
