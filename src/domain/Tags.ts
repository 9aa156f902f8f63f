/**
 * The tags of a task: words that people and programs find tasks by, such as `invoice` and `eu`. They are kept with the task as one
 * text, and decide nothing about when or how it runs.
 *
 * A tag is kept in Unicode's composed form, so that one that is spelt in two ways is one. Upper and lower case are two tags, as they are
 * two queues.
 */
import type { Bound } from "./Bounds.ts"

/** Tags of a task. */
export const maxTags = 10

/** Bytes of UTF-8 in a tag. */
const maxTagBytes = 64

/** What ends lines, cannot be seen or turns the direction of text. Joiners are part of words and of signs. */
const unseen = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\u200B\u2060\uFEFF\u00AD]/u

const spaceAtEnd = /^\p{White_Space}|\p{White_Space}$/u

const encoder = new TextEncoder()

const bytesOf = (text: string): number => encoder.encode(text).length

const isTag = (tag: unknown): boolean => {
  // No character has less than a byte, so a long text is refused unread
  if (typeof tag !== "string" || tag.length === 0 || tag.length > maxTagBytes * 4 || !tag.isWellFormed()) return false
  return !tag.includes(",") && !unseen.test(tag) && !spaceAtEnd.test(tag) && bytesOf(tag.normalize()) <= maxTagBytes
}

const aTag = `1 to ${maxTagBytes} bytes of UTF-8 without commas, invisible characters and spaces at its ends`

/** A tag. Commas separate tags in lists, so none has one. */
export const tag: Bound<string> = { expected: aTag, accepts: isTag }

/** The tags of a task. */
export const tags: Bound<ReadonlyArray<string>> = {
  expected: `at most ${maxTags} tags, each ${aTag}`,
  accepts: (tags) => Array.isArray(tags) && tags.length <= maxTags && tags.every(isTag)
}

/** Tags that tasks are looked for by. */
export const someTags: Bound<ReadonlyArray<string>> = {
  expected: `1 to ${maxTags} tags, each ${aTag}`,
  accepts: (some) => tags.accepts(some) && some.length > 0
}

/** Those that a definition says and those that an enqueue says, each once. What is no list is left to {@link tags} to refuse. */
export const joined = (
  ofDefinition: ReadonlyArray<string>,
  ofEnqueue: ReadonlyArray<string> | undefined
): ReadonlyArray<string> | undefined => {
  if (!Array.isArray(ofDefinition)) return ofDefinition
  if (ofEnqueue === undefined) return ofDefinition
  return Array.isArray(ofEnqueue) ? each([...ofDefinition, ...ofEnqueue]) : ofEnqueue
}

const each = (tags: ReadonlyArray<string>): ReadonlyArray<string> => [
  ...new Set(tags.map((tag) => typeof tag === "string" ? tag.normalize() : tag))
]

/** Tags that have been checked, as the text that is kept; `undefined` where there are none. */
export const textOf = (tags: ReadonlyArray<string> | undefined): string | undefined =>
  tags === undefined || tags.length === 0 ? undefined : JSON.stringify(each(tags))

/** The tags of a stored text. One that another version has written, and that is none, has none. */
export const fromText = (text: string | null): ReadonlyArray<string> => {
  if (text === null) return none
  try {
    const tags: unknown = JSON.parse(text)
    return Array.isArray(tags) ? tags.filter((tag) => typeof tag === "string") : none
  } catch {
    return none
  }
}

const none: ReadonlyArray<string> = []

/** Says of stored texts whether they have all of some tags. */
export const having = (wanted: ReadonlyArray<string>): (text: string | null) => boolean => {
  const all = each(wanted)
  return (text) => {
    if (text === null) return false
    const tags = fromText(text)
    return all.every((tag) => tags.includes(tag))
  }
}
