/** etcd through the JSON gateway of its v3 API, in which keys and values are base64. */

/** The body of `POST /v3/kv/put`. */
export function putOf(key: string, value: Buffer): string {
  return `{"key":"${base64(key)}","value":"${value.toString('base64')}"}`
}

/** The body of `POST /v3/kv/range` for one key; linearizable, as every range that does not ask for less. */
export function rangeOf(key: string): string {
  return `{"key":"${base64(key)}"}`
}

/** Puts a key, and reads it back. @throws where what comes back is something else */
export async function putAndCheck(url: string, key: string, value: Buffer): Promise<void> {
  await post(`${url}/v3/kv/put`, putOf(key, value))
  const { kvs = [] } = await post(`${url}/v3/kv/range`, rangeOf(key))
  if (kvs[0]?.value !== value.toString('base64')) throw new Error(`etcd does not give back ${key}`)
}

/** The revision that the member is at: each put makes one. */
export async function revisionOf(url: string): Promise<number> {
  const { header } = await post(`${url}/v3/kv/range`, rangeOf('none'))
  return Number(header.revision)
}

interface Answer {
  header: { revision: string }
  kvs?: { value: string }[]
}

async function post(url: string, body: string): Promise<Answer> {
  const answer = await fetch(url, { method: 'POST', body })
  if (!answer.ok) throw new Error(`POST ${url}: ${answer.status} ${await answer.text()}`)
  return (await answer.json()) as Answer
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
