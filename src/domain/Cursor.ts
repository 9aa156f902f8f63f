/**
 * Opaque page tokens of lists. Each ends with a checksum of what it was made for, so that one that was made up, mistyped or
 * taken to another list is refused: the page would be one of another list, and nothing would tell.
 */
import { Hash, Result } from "effect"
import { Base64Url } from "effect/encoding"
import * as Bounds from "./Bounds.ts"

/** Which tasks a list is of. */
export interface Filter {
  readonly states?: ReadonlyArray<string> | undefined
  readonly types?: ReadonlyArray<string> | undefined
  readonly queues?: ReadonlyArray<string> | undefined
}

/** The token for the page after the task with this sequence number, in the list of a filter. */
export const encode = (seq: number, filter: Filter): string => withChecksum(seq.toString(36), nameOf(filter))

/** The sequence number in a token of a filter's list, or `undefined` when it is none. */
export const decode = (cursor: string, filter: Filter): number | undefined => {
  if (!isTaskCursor(cursor)) return undefined
  const seq = Number.parseInt(cursor, 36)
  return Number.isSafeInteger(seq) && encode(seq, filter) === cursor ? seq : undefined
}

/** Whether a text looks like a token of a list of tasks. */
export const isTaskCursor = (text: string): boolean => /^[0-9a-z]{1,11}\.[0-9a-z]{1,7}$/.test(text)

/** The same for the same tasks, in whatever order a filter names what it looks for. */
const nameOf = ({ queues, states, types }: Filter): string =>
  JSON.stringify([states, types, queues].map((names) => names && [...new Set(names)].sort()))

const withChecksum = (text: string, list: string): string =>
  `${text}.${(Hash.string(`${list} ${text}`) >>> 0).toString(36)}`

/** What lists of names are of; a token of one is none of the other. */
export type Named =
  | "queue"
  | "type"
  | "limit"
  | "breaker"
  | "schedule"
  | "batch"
  | "dependency"
  | "dependent"
  | "operation"

/** A limit of a key has the name of the limit and the key in its name. */
const maxLength = {
  queue: Bounds.maxNameLength,
  type: Bounds.maxNameLength,
  limit: 2 * Bounds.maxNameLength,
  breaker: Bounds.maxNameLength,
  schedule: Bounds.maxNameLength,
  batch: Bounds.maxIdLength,
  dependency: Bounds.maxNameLength,
  dependent: Bounds.maxNameLength,
  operation: Bounds.maxIdLength
}

/** The token for the page after the queue or the type with this name. */
export const encodeName = (of: Named, name: string): string => withChecksum(`${of}.${Base64Url.encode(name)}`, of)

/** The name in a token, or `undefined` when it is none of ours. */
export const decodeName = (of: Named, cursor: string): string | undefined => {
  const [prefix, encoded = ""] = cursor.split(".")
  if (prefix !== of) return undefined
  const name = Result.getOrUndefined(Base64Url.decodeString(encoded))
  return name !== undefined && name.length <= maxLength[of] && Bounds.isStorable(name) &&
      encodeName(of, name) === cursor
    ? name
    : undefined
}

const expected = "the field next of an earlier page, with the same filter"

/** What is accepted of a cursor of a filter's list. */
export const boundOf = (filter: Filter): Bounds.Bound<string> => ({
  expected,
  accepts: (cursor) => typeof cursor === "string" && decode(cursor, filter) !== undefined
})

/** What is accepted of a cursor between names. */
export const boundOfNames = (of: Named): Bounds.Bound<string> => ({
  expected: "the field next of an earlier page",
  accepts: (cursor) => typeof cursor === "string" && decodeName(of, cursor) !== undefined
})
