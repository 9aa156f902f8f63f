/**
 * JSON texts, proven to be what every store can keep and every reader can read back. Whatever a program hands over (a
 * value that refers to itself, a function, a getter that throws) is found out here, before it reaches a store.
 */
import { Exit, Schema, SchemaIssue } from "effect"
import * as Thrown from "./Thrown.ts"

/** Arrays and objects inside one another at most: whatever walks through a value does so on its stack. */
const maxDepth = 128

/** Bytes of a text that is nested too deeply at least: a shorter one needs no look. */
const minDeepLength = 2 * maxDepth

/** Bytes of one character at most, in UTF-8. */
const maxBytesPerCharacter = 3

/** The JSON text of a value, or why it has none. `undefined` is the nothing of `Schema.Void` and becomes `null`. */
export const encode = (value: unknown, maxBytes: number): Exit.Exit<string, Schema.SchemaError> => {
  if (value === undefined) return Exit.succeed("null")
  let text: unknown
  try {
    text = JSON.stringify(value)
  } catch (cause) {
    return unfit(`Expected a value that has a JSON text: ${reasonOf(cause)}`)
  }
  if (typeof text !== "string") return unfit(`Expected a value that has a JSON text, got a ${typeof value}`)
  return prove(text, maxBytes)
}

/** Holds a JSON text to the bounds. A short one, as nearly all are, costs two comparisons. */
const prove = (text: string, maxBytes: number): Exit.Exit<string, Schema.SchemaError> => {
  if (text.length > minDeepLength && depthOf(text) > maxDepth) {
    return unfit(`Expected JSON that is nested ${maxDepth} levels deep at most`)
  }
  if (text.length * maxBytesPerCharacter > maxBytes) {
    const bytes = bytesOf(text)
    if (bytes > maxBytes) {
      const advice = "No setting changes that: keep large data elsewhere, and say where it is"
      return unfit(`Expected a JSON text of at most ${maxBytes} bytes, got ${bytes}. ${advice}`)
    }
  }
  return Exit.succeed(text)
}

/** The bytes of a text in UTF-8, also where there is no `Buffer`, as in a browser. */
export const bytesOf = (text: string): number => new TextEncoder().encode(text).byteLength

/** An exit of code that belongs to others, such as an encoder: what it throws is a failure like any other. */
export const guarded = <A>(encoding: () => Exit.Exit<A, Schema.SchemaError>): Exit.Exit<A, Schema.SchemaError> => {
  try {
    const exit = encoding()
    if (Exit.isSuccess(exit)) return exit
    const reason = exit.cause.reasons[0]
    return reason?._tag === "Die" ? unfit(`Expected a value that can be encoded: ${reasonOf(reason.defect)}`) : exit
  } catch (cause) {
    return unfit(`Expected a value that can be encoded: ${reasonOf(cause)}`)
  }
}

/** The failure of a value that is no JSON, as a schema would say it. */
export const unfit = (message: string): Exit.Exit<never, Schema.SchemaError> =>
  Exit.fail(new Schema.SchemaError(new SchemaIssue.InvalidValue({ message })))

const reasonOf = (cause: unknown): string => Thrown.show(cause).message

const code = { quote: 0x22, backslash: 0x5c, openArray: 0x5b, closeArray: 0x5d, openObject: 0x7b, closeObject: 0x7d }

/** How many arrays and objects are inside one another. */
const depthOf = (text: string): number => {
  let depth = 0
  let deepest = 0
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case code.quote:
        at = endOfString(text, at) - 1
        break
      case code.openArray:
      case code.openObject:
        if (++depth > deepest) deepest = depth
        break
      case code.closeArray:
      case code.closeObject:
        depth--
    }
  }
  return deepest
}

/** The place after the string that begins at `start`: after a quote with an even number of backslashes before it. */
export const endOfString = (json: string, start: number): number => {
  for (let quote = json.indexOf("\"", start + 1); quote >= 0; quote = json.indexOf("\"", quote + 1)) {
    let backslashes = 0
    while (json.charCodeAt(quote - 1 - backslashes) === code.backslash) backslashes++
    if (backslashes % 2 === 0) return quote + 1
  }
  return json.length
}
