/** What tests read out of the documents. */

/** A table without the spaces with which the formatter pads its columns. */
export function narrowTable(table: string): string {
  return table.replace(/ +\|/g, ' |').replace(/-{3,}/g, '---')
}

/** The block of code after a mark, as `<!-- test: curl -->`. @throws where there is none */
export function blockAfter(document: string, mark: string): string {
  const [, after] = document.split(mark)
  const [, block] = after?.split(/^```\w*\n?/m) ?? []
  if (block === undefined) throw new Error(`there is no block of code after ${mark}`)
  return block
}
