/** An image for the lab's store: the folders that the Dockerfile's last stage copies, out of what was built here. */
import { cpSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { environmentOf, execForm, parseDockerfile } from '../package/dockerfile.ts'
import { run } from '../support/run.ts'

/**
 * Makes an image of a checkout that `npm run build` was run in.
 * @param options.ref `repository:tag`
 * @param options.checkout its folder
 * @param options.images the lab's store
 * @returns the folder that the program is in
 */
export async function makeImage(options: {
  ref: string
  checkout: string
  images: string
}): Promise<string> {
  const { ref, images } = options
  // npm tells of packages by their real paths.
  const checkout = realpathSync(options.checkout)
  const name = ref.replace(/[^\w.-]/g, '-')
  const rootfs = join(images, name)
  const stage = parseDockerfile(readFileSync(join(checkout, 'Dockerfile'), 'utf8')).at(-1)
  if (stage === undefined) throw new Error(`${checkout}/Dockerfile has no stage`)
  const last = (instruction: string) =>
    stage.steps.filter((step) => step.instruction === instruction).at(-1)?.text ?? ''
  const workingDir = last('WORKDIR')
  for (const { instruction, text } of stage.steps) {
    if (instruction !== 'COPY') continue
    const [from = '', to = ''] = text.split(/\s+/)
    // What the base image brings is the machine's own in the lab.
    if (from.startsWith('/usr/')) continue
    const source = from.replace(/^\/app\//, '')
    const target = to.startsWith('/') ? join(rootfs, to) : join(rootfs, workingDir, to)
    mkdirSync(dirname(target), { recursive: true })
    if (source === 'node_modules') await copyPackages(checkout, target)
    else if (source === 'empty') mkdirSync(target)
    else cpSync(join(checkout, source), target, { recursive: true })
  }
  const image = {
    ref,
    rootfs: name,
    workingDir,
    cmd: execForm(last('CMD')),
    env: environmentOf(stage),
    uid: Number(last('USER').split(':')[0]),
  }
  writeFileSync(join(images, `${name}.json`), JSON.stringify(image))
  return join(rootfs, workingDir)
}

/** What `npm prune --omit=dev` would leave. */
async function copyPackages(checkout: string, target: string): Promise<void> {
  const words = ['npm', 'ls', '--all', '--omit=dev', '--parseable', '--silent']
  const listed = (await run(words, { cwd: checkout })).split('\n')
  const modules = join(checkout, 'node_modules')
  for (const path of listed) {
    const name = path.startsWith(`${modules}/`) ? path.slice(modules.length + 1) : ''
    // A package within a package comes with it.
    if (name === '' || name.includes('/node_modules/')) continue
    cpSync(path, join(target, name), { recursive: true, dereference: true })
  }
}
