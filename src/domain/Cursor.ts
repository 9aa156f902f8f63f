/** Opaque page tokens of lists. */
import { Result } from "effect"
import { Base64Url } from "effect/encoding"
import * as Bounds from "./Bounds.ts"

/** The token for the page after the task with this sequence number. */
export const encode = (seq: number): string => seq.toString(36)

/** The sequence number in a token, or `undefined` when it is none of ours. */
export const decode = (cursor: string): number | undefined => {
  if (!/^[0-9a-z]{1,11}$/.test(cursor)) return undefined
  const seq = Number.parseInt(cursor, 36)
  return Number.isSafeInteger(seq) && encode(seq) === cursor ? seq : undefined
}

/** What lists of names are of; a token of one is none of the other. */
export type Named = "queue" | "type"

/** The token for the page after the queue or the type with this name. */
export const encodeName = (of: Named, name: string): string => `${of}.${Base64Url.encode(name)}`

/** The name in a token, or `undefined` when it is none of ours. */
export const decodeName = (of: Named, cursor: string): string | undefined => {
  if (!cursor.startsWith(`${of}.`)) return undefined
  const name = Result.getOrUndefined(Base64Url.decodeString(cursor.slice(of.length + 1)))
  return name !== undefined && Bounds.name.accepts(name) && encodeName(of, name) === cursor ? name : undefined
}

const expected = "the field next of an earlier page"

/** What is accepted of a cursor. */
export const bound: Bounds.Bound<string> = {
  expected,
  accepts: (cursor) => typeof cursor === "string" && decode(cursor) !== undefined
}

/** What is accepted of a cursor between names. */
export const boundOfNames = (of: Named): Bounds.Bound<string> => ({
  expected,
  accepts: (cursor) => typeof cursor === "string" && decodeName(of, cursor) !== undefined
})
