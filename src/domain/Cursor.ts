/** Opaque page tokens of lists. */
import type { Bound } from "./Bounds.ts"

/** The token for the page after the task with this sequence number. */
export const encode = (seq: number): string => seq.toString(36)

/** The sequence number in a token, or `undefined` when it is none of ours. */
export const decode = (cursor: string): number | undefined => {
  if (!/^[0-9a-z]{1,11}$/.test(cursor)) return undefined
  const seq = Number.parseInt(cursor, 36)
  return Number.isSafeInteger(seq) && encode(seq) === cursor ? seq : undefined
}

/** What is accepted of a cursor. */
export const bound: Bound<string> = {
  expected: "the field next of an earlier page",
  accepts: (cursor) => typeof cursor === "string" && decode(cursor) !== undefined
}
