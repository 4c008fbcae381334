/** How often what was met. */
export type Counts = Map<string, number>

/** Counts one more, or so many. */
export function addTo(counts: Counts, name: string, by = 1): void {
  counts.set(name, (counts.get(name) ?? 0) + by)
}

/** Adds counts to others. */
export function addAll(counts: Counts, more: ReadonlyMap<string, number>): void {
  for (const [name, by] of more) addTo(counts, name, by)
}
