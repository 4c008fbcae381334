/**
 * Asks again until the answer is true, or anything else that is not nothing.
 * @throws Error after 10 seconds
 */
export async function until<T>(ask: () => Promise<T> | T): Promise<NonNullable<T>> {
  const giveUpMs = performance.now() + 10_000
  while (performance.now() < giveUpMs) {
    const answer = await ask()
    if (answer) return answer as NonNullable<T>
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error('what was waited for did not come within 10 seconds')
}
