/** The document of the API, and the viewer that comes in the package `swagger-ui-dist`: a list of files, and nothing beside it. */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { stringify } from 'yaml'
import { type Answer, empty } from './answer.ts'
import type { Call, Route } from './call.ts'
import { noSuchRoute } from './errors.ts'
import { createDocument } from './openapi.ts'
import { open } from './operations.ts'

/** The viewer's own files, and what they are; a name that is not here is no file. */
const viewerFiles = new Map([
  ['index.css', 'text/css; charset=utf-8'],
  ['swagger-ui.css', 'text/css; charset=utf-8'],
  ['swagger-ui-bundle.js', 'text/javascript; charset=utf-8'],
  ['swagger-ui-standalone-preset.js', 'text/javascript; charset=utf-8'],
  ['oauth2-redirect.html', 'text/html; charset=utf-8'],
  ['oauth2-redirect.js', 'text/javascript; charset=utf-8'],
  ['favicon-16x16.png', 'image/png'],
  ['favicon-32x32.png', 'image/png'],
])

/** In place of the viewer's, which shows a pet shop. The document's address is relative, so that a gateway's prefix stays. */
const initializer = `window.onload = () => {
  window.ui = SwaggerUIBundle({
    url: '../openapi.json',
    dom_id: '#swagger-ui',
    deepLinking: true,
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
    layout: 'StandaloneLayout',
  })
}
`

/**
 * Builds the routes of the document and its viewer.
 * @param routes all others
 */
export function createDocumentation(
  routes: readonly Route[],
  options: { publicPathPrefix: string },
): Route[] {
  const own: Route[] = [
    open('/openapi.json', 'openapi', async () => file('application/json', document().json)),
    open('/swagger-ui', 'swaggerUiRedirect', async () => empty(301, { Location: 'swagger-ui/' })),
    open('/swagger-ui/', 'swaggerUi', async () => viewer('index.html', 'text/html; charset=utf-8')),
    open('/swagger-ui/{file}', 'swaggerUiFile', (call) => viewerFile(call, document)),
  ]
  let made: { json: string; yaml: string } | undefined
  const document = () => {
    if (made === undefined) {
      const value = createDocument([...routes, ...own], options)
      made = {
        json: JSON.stringify(value),
        yaml: stringify(value, { aliasDuplicateObjects: false }),
      }
    }
    return made
  }
  return own
}

async function viewerFile({ match }: Call, document: () => { yaml: string }): Promise<Answer> {
  const name = match.parameters[0] ?? ''
  if (name === 'swagger.yaml') return file('application/yaml', document().yaml)
  if (name === 'swagger-initializer.js') return file('text/javascript; charset=utf-8', initializer)
  const type = viewerFiles.get(name)
  if (type === undefined) throw noSuchRoute()
  return viewer(name, type)
}

async function viewer(name: string, type: string): Promise<Answer> {
  const folder = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'))
  return file(type, await readFile(join(folder, name)))
}

function file(type: string, body: string | Buffer): Answer {
  const headers = { 'Content-Type': type, 'X-Content-Type-Options': 'nosniff' }
  return { status: 200, headers, body }
}
