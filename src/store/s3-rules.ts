/**
 * Names the rules of a lifecycle configuration in XML that remove or move objects of a store. Rules that only tidy up uploads or
 * old versions, or want a tag, which our objects never have, do no harm.
 * @param prefix what every key of the store begins with
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLifecycleConfiguration.html
 */
export function lifecycleRules(prefix: string, xml: string): string[] {
  return enabledRules(xml)
    .filter((rule) => /<Expiration>(?!<ExpiredObjectDeleteMarker>)|<Transition>/.test(rule))
    .filter((rule) => !rule.includes('<Tag>') && overlaps(textOf(rule, 'Prefix'), prefix))
    .map((rule) => `the bucket has a lifecycle rule that removes or moves objects${idOf(rule)}`)
}

/**
 * Names the rules of a replication configuration in XML that replicate objects of a store: some stores then answer reads of an
 * absent key from the other site.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketReplication.html
 */
export function replicationRules(prefix: string, xml: string): string[] {
  return enabledRules(xml)
    .filter((rule) => !rule.includes('<Tag>') && overlaps(textOf(rule, 'Prefix'), prefix))
    .map((rule) => `the bucket is replicated${idOf(rule)}`)
}

function enabledRules(xml: string): string[] {
  const rules = xml.replace(/>\s+</g, '><').match(/<Rule>.*?<\/Rule>/gs) ?? []
  return rules.filter((rule) => rule.includes('<Status>Enabled</Status>'))
}

function overlaps(rulePrefix: string, prefix: string): boolean {
  return prefix.startsWith(rulePrefix) || rulePrefix.startsWith(prefix)
}

function idOf(rule: string): string {
  const id = textOf(rule, 'ID')
  return id === '' ? '' : ` (rule ${JSON.stringify(id)})`
}

function textOf(rule: string, name: string): string {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(rule)?.[1] ?? ''
}
