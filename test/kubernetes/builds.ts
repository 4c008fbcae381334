/** The builds that releases are made of, each an image and a chart. */
import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { previousBuild } from '../support/previous-build.ts'
import { repositoryRoot } from '../support/programs.ts'
import { makeImage } from './image.ts'

/**
 * N-1 and N; N+1 and N+2, which are N with formats that fence writers and that nobody comes back from. Their names are the images'
 * tags.
 */
export const builds = ['before', 'now', 'next', 'last'] as const
export type Build = (typeof builds)[number]

/** A tag that no image has. */
export const absent = 'absent'

const chart = join('charts', 'configuration-service')
const programs = join('dist', 'test', 'fixtures', 'builds')

/** Where the chart of a build is: each release is installed with its own. */
export async function chartOf(build: string): Promise<string> {
  return join(build === 'before' ? (await previousBuild()).folder : repositoryRoot, chart)
}

/** Makes all of them in the lab's store. */
export async function makeImages(repository: string, images: string): Promise<void> {
  const { folder } = await previousBuild()
  await makeImage({ ref: `${repository}:before`, checkout: folder, images })
  for (const build of ['now', 'next', 'last']) {
    const root = await makeImage({
      ref: `${repository}:${build}`,
      checkout: repositoryRoot,
      images,
    })
    if (build === 'now') continue
    cpSync(join(repositoryRoot, programs), join(root, programs), { recursive: true })
    const main = `import '../test/fixtures/builds/${build}.js'\n`
    writeFileSync(join(root, 'dist', 'src', 'main.js'), main)
  }
}
