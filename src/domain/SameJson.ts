/** Whether two JSON texts say the same. */

/**
 * Fields of objects may stand in any order and numbers may be written in any way; items of arrays keep their places.
 *
 * `Equal.equals` would ask objects for methods under names that JSON can hold too.
 */
export const sameJson = (left: string, right: string): boolean => {
  if (left === right) return true
  let values: Array<unknown>
  try {
    values = [JSON.parse(left), JSON.parse(right)]
  } catch {
    return false
  }
  // Pairs that are still to be compared: a stack of its own, as a payload may be nested deeper than calls may be
  while (values.length > 0) {
    const b = values.pop()
    const a = values.pop()
    if (a === b) continue
    if (!isNested(a) || !isNested(b) || Array.isArray(a) !== Array.isArray(b)) return false
    const keys = Object.keys(a)
    if (keys.length !== Object.keys(b).length) return false
    for (const key of keys) {
      if (!Object.hasOwn(b, key)) return false
      values.push(a[key], b[key])
    }
  }
  return true
}

const isNested = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null
