// Makes the bucket that the first argument names, unless it is there: configuration-service itself makes none.
import { Client } from 'minio'

const [bucket] = process.argv.slice(2)
const url = new URL(process.env.STORE_URL)
const endpoint = new URL(url.searchParams.get('endpoint'))
const client = new Client({
  endPoint: endpoint.hostname,
  port: Number(endpoint.port),
  useSSL: endpoint.protocol === 'https:',
  accessKey: process.env.AWS_ACCESS_KEY_ID,
  secretKey: process.env.AWS_SECRET_ACCESS_KEY,
  region: url.searchParams.get('region'),
})

for (let attempt = 1; ; attempt++) {
  try {
    if (!(await client.bucketExists(bucket))) await client.makeBucket(bucket)
    break
  } catch (error) {
    if (attempt === 30) throw error
    await new Promise((resolve) => setTimeout(resolve, 1000))
  }
}
console.log(`bucket ${bucket} is there`)
