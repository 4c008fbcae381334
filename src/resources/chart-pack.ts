/** Makes a chart's archive from its folder. */
import type { Oid } from '../git/objects.ts'
import type { View } from '../repository/repository.ts'
import { packFiles } from './archive.ts'
import type { ChartPath } from './chart.ts'
import { maxUnpackedBytes } from './chart-unpack.ts'
import { walkFiles } from './walk.ts'

/**
 * Packs a chart's folder, its files in bytewise order; links and submodules are left out.
 * @returns null for a folder without files
 * @throws invalid_request for a folder that is too large to be an archive
 */
export async function packChart(view: View, tree: Oid, chart: ChartPath): Promise<Buffer | null> {
  const files = await walkFiles(view, tree)
  if (files.length === 0) return null
  return packFiles(view, files, { top: chart.name, what: chart.folder, maxBytes: maxUnpackedBytes })
}
