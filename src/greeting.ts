import type { Config } from './config.ts'
import type { StoreLocation } from './config-values.ts'
import type { Settled } from './settled.ts'
import { version } from './version.ts'

/** Logs what starts, and what about its settings deserves a warning. */
export function tellStart({ config, observer, warnings }: Settled): void {
  observer.log('info', 'starting', {
    version: version(),
    node: process.version,
    pid: process.pid,
    store: locationOf(config.store),
    lock: config.redisUrls === undefined ? 'local' : 'redis',
  })
  for (const message of warnings) observer.log('warn', 'config_warning', { message })
  if (config.tokensFile === undefined) {
    observer.log('warn', 'config_warning', {
      message: 'TOKENS_FILE is unset: everybody who reaches this address may do everything',
    })
  }
  if (config.directoryStageStructure !== undefined) {
    observer.log('warn', 'config_warning', {
      message: 'DIRECTORY_STAGE_STRUCTURE has no effect: the format of each project decides',
    })
  }
}

function locationOf(store: StoreLocation): string {
  if (store.kind === 'file') return `file:${store.directory}`
  return `s3://${store.bucket}/${store.prefix} at ${store.endpoint ?? `AWS ${store.region}`}`
}

/** For whoever started it by hand; on stderr, so that stdout holds nothing but log lines. */
export function tellHowToTry(config: Config, port: number): void {
  const host = ['0.0.0.0', '::'].includes(config.host) ? '127.0.0.1' : config.host
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${port}`
  const token = config.tokensFile === undefined ? '' : ` -H 'x-token: …'`
  process.stderr.write(`configuration-service ${version()} listens on ${url}. Try:
  curl${token} -X POST ${url}/v1/project -d '{"projectName":"sockshop"}'
  curl${token} ${url}/v1/project/sockshop/resource
`)
}
