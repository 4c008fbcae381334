import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isServiceError } from '../../src/errors.ts'
import {
  decodeName,
  decodeResourceUri,
  parseQuery,
  splitTarget,
} from '../../src/http/request-target.ts'

const test = suite('request target')

/** Segment, what it means, what the answer repeats; made with Go 1.26's net/url, but for the last group. */
const decodings: [segment: string, text: string, asAsked: string][] = [
  ['slo.yaml', 'slo.yaml', 'slo.yaml'],
  ['webhook%2Fwebhook.yaml', 'webhook/webhook.yaml', 'webhook%2Fwebhook.yaml'],
  ['webhook%252Fwebhook.yaml', 'webhook/webhook.yaml', 'webhook%2Fwebhook.yaml'],
  ['webhook%2fwebhook.yaml', 'webhook/webhook.yaml', 'webhook%2fwebhook.yaml'],
  ['%252Ffiles%252Fx', '/files/x', '%2Ffiles%2Fx'],
  ['a+b', 'a b', 'a+b'],
  ['a%2Bb', 'a+b', 'a%2Bb'],
  ['a%252Bb', 'a+b', 'a%2Bb'],
  ['a%20b', 'a b', 'a b'],
  ['a%2520b', 'a b', 'a%20b'],
  ['100%2525', '100%', '100%25'],
  ['%C3%A9', 'é', 'é'],
  ['%c3%a9', 'é', '%c3%a9'],
  ['%25C3%25A9', 'é', '%C3%A9'],
  ['%3F', '?', '?'],
  ['%3f', '?', '%3f'],
  ['a%7Eb', 'a~b', 'a%7Eb'],
  ['a%28b%29', 'a(b)', 'a(b)'],
  ['a:b;c,d=e&f@g$', 'a:b;c,d=e&f@g$', 'a:b;c,d=e&f@g$'],
  ['%2e%2e%2Fx', '../x', '%2e%2e%2Fx'],
  ['%252e%252e%252Fx', '../x', '%2e%2e%2Fx'],
  ['%2500', '\0', '%00'],
  // A character that Go would escape, beside escapes that it writes: only escapes decide here, so that what a browser leaves
  // plain does not turn a slash that was escaped twice into a part of a name.
  ['a(b)%252Fc', 'a(b)/c', 'a(b)%2Fc'],
]

for (const [segment, text, asAsked] of decodings) {
  test(`the segment ${segment} means ${JSON.stringify(text)}`, () => {
    const path = `/v1/project/p/resource/${segment}`
    assert.equal(decodeResourceUri(segment, path), { text, asAsked })
  })
}

test('an escape elsewhere in the path decides, as in Go', () => {
  const path = '/v1/project/p/stage/s/service/a%2Fb/resource/x%2520y'
  assert.equal(decodeResourceUri('x%2520y', path), { text: 'x%20y', asAsked: 'x%2520y' })
})

for (const segment of ['a%zz', 'a%', '%', '%2', '100%25', 'a%25zz', '%ff', '%25ff', '%E2%82']) {
  test(`the segment ${segment} is refused`, () => {
    const path = `/v1/project/p/resource/${segment}`
    assert.throws(() => decodeResourceUri(segment, path), isInvalid)
  })
}

test('a name is decoded once, and its plus stays', () => {
  assert.is(decodeName('a%2Fb'), 'a/b')
  assert.is(decodeName('a%252Fb'), 'a%2Fb')
  assert.is(decodeName('a+b'), 'a+b')
  assert.throws(() => decodeName('%zz'), isInvalid)
})

test('a query is form-decoded, the first of two values counts, unknown names are ignored', () => {
  const query = parseQuery('resourceURI=a%2Fb+c%2Bd&resourceURI=x&pageSize=&raw&__proto__=1&q=%41')
  assert.equal(
    [...query],
    [
      ['resourceURI', 'a/b c+d'],
      ['pageSize', ''],
      ['raw', ''],
    ],
  )
  assert.equal([...parseQuery('')], [])
  assert.throws(() => parseQuery('pageSize=%'), isInvalid)
  assert.throws(() => parseQuery('x=%ff'), isInvalid)
})

test('a target is split at its first question mark', () => {
  assert.equal(splitTarget('/a?b?c'), { path: '/a', query: 'b?c' })
  assert.equal(splitTarget('/a?'), { path: '/a', query: '' })
  assert.equal(splitTarget('http://host:80/a?b'), { path: '/a', query: 'b' })
  assert.equal(splitTarget('http://host'), { path: '/', query: '' })
  assert.equal(splitTarget('*'), { path: '/*', query: '' })
})

test('bytes beyond ASCII are UTF-8, or refused', () => {
  const raw = (text: string) => Buffer.from(text).toString('latin1')
  assert.equal(splitTarget(raw('/é')), { path: '/é', query: '' })
  assert.throws(() => splitTarget('/\xff'), isInvalid)
})

function isInvalid(error: unknown): boolean {
  return isServiceError(error, 'invalid_request')
}

test.run()
