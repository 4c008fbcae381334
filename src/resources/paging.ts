/** Pages of lists that are counted: the key is a decimal offset, `'0'` says that nothing follows. */
import { ServiceError } from '../errors.ts'
import type { PageRequest } from './resources.ts'

export const defaultPageSize = 20
export const lastPageKey = '0'

/** @throws invalid_request for what is no count */
export function parsePageSize({ pageSize = defaultPageSize }: PageRequest): number {
  if (!Number.isSafeInteger(pageSize) || pageSize < 0) throw invalidPage('pageSize')
  return pageSize
}

/**
 * Cuts a page out of a whole list. Beyond the end it is empty, and so is one of no size, which only counts.
 * @throws invalid_request for a key that is no offset
 */
export function cutPage<Item>(
  all: readonly Item[],
  page: PageRequest,
): { items: Item[]; nextPageKey: string; totalCount: number } {
  const sizeItems = parsePageSize(page)
  const from = parseOffset(page.pageKey ?? lastPageKey)
  const to = Math.min(all.length, from + sizeItems)
  const more = sizeItems > 0 && to < all.length
  return {
    items: all.slice(from, to),
    nextPageKey: more ? String(to) : lastPageKey,
    totalCount: all.length,
  }
}

/** The refusal of a page's parameter. */
export function invalidPage(name: 'pageSize' | 'nextPageKey'): ServiceError {
  return new ServiceError('invalid_request', `invalid ${name}`)
}

function parseOffset(key: string): number {
  const offset = Number(key)
  if (!/^\d+$/.test(key) || !Number.isSafeInteger(offset)) throw invalidPage('nextPageKey')
  return offset
}
