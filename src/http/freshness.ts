/** What an answer says of its age. @see docs/design.md section 5, RFC 9111 */
import type { Proof } from '../repository/repository.ts'

/**
 * Adds the headers that tell how sure a read is.
 * @param bounded whether its client allowed an age, and so wants to know it
 */
export function addFreshness(
  headers: Record<string, string | number>,
  proof: Proof,
  bounded: boolean,
): void {
  headers['Cache-Control'] = proof.immutable ? 'private, max-age=31536000, immutable' : 'no-cache'
  if (proof.stale) {
    headers.Warning = '110 - "Response is Stale"'
    headers['X-Configuration-Stale'] = 'true'
  }
  if (proof.stale || (bounded && !proof.immutable)) headers.Age = proof.ageSeconds
}
