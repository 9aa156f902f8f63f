import { Schema } from "effect"

/** Arrays and objects inside each other at most: code that walks through a payload uses its stack. */
export const maxDepth = 128

/** Any JSON that is not nested too deeply. It comes from a parser, so nothing else of it needs to be checked. */
export const JsonValue = Schema.Unknown.pipe(
  Schema.refine((value): value is Schema.Json => isShallow(value, maxDepth), {
    expected: `JSON that is nested ${maxDepth} levels deep at most`
  })
)

/** Whether no more than so many arrays and objects are inside each other. */
export const isShallow = (value: unknown, levels: number): boolean => {
  if (typeof value !== "object" || value === null) return true
  if (levels === 0) return false
  if (Array.isArray(value)) return value.every((item) => isShallow(item, levels - 1))
  for (const key in value) if (!isShallow((value as Record<string, unknown>)[key], levels - 1)) return false
  return true
}
