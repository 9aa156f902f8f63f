/**
 * What is shown of what a handler failed with. Anything can be thrown: nothing at all, a symbol, an object whose fields
 * throw when they are read. Looking at it never throws, and what is kept of it has a bound.
 */

/** The texts that are kept of something thrown. */
export interface Shown {
  /** Its `_tag`, its name, or what kind of value it is. */
  readonly tag: string
  readonly message: string
  /** Where an error came from, with the stacks of its causes. */
  readonly stack?: string
}

/** Characters of a tag at most. */
export const maxTagLength = 255

/** Characters of a message at most. */
export const maxMessageLength = 2000

/** Characters of a stack at most. */
export const maxStackLength = 8000

/** Causes that are looked through at most: an error may be its own cause. */
const maxCauses = 5

/** What is shown of something thrown. */
export const show = (thrown: unknown): Shown => {
  const stack = stackOf(thrown)
  return {
    tag: cut(tagOf(thrown), maxTagLength),
    message: cut(messageOf(thrown), maxMessageLength),
    ...(stack === "" ? {} : { stack: cut(stack, maxStackLength) })
  }
}

/** A text that is kept readable, not endless, and is well-formed wherever it was cut. */
export const cut = (text: string, maxLength: number): string =>
  (text.length > maxLength ? text.slice(0, maxLength) : text).toWellFormed()

/** The value of a reading that may throw. */
const attempted = <A>(read: () => A): A | undefined => {
  try {
    return read()
  } catch {
    return undefined
  }
}

const isObject = (value: unknown): value is object =>
  (typeof value === "object" && value !== null) || typeof value === "function"

/** A field, also one that is inherited; nothing where reading it throws. */
const field = (value: unknown, name: "_tag" | "name" | "message" | "stack" | "cause"): unknown =>
  isObject(value) ? attempted(() => (value as Record<string, unknown>)[name]) : undefined

const textField = (value: unknown, name: Parameters<typeof field>[1]): string | undefined => {
  const text = field(value, name)
  return typeof text === "string" && text !== "" ? text : undefined
}

const isError = (value: unknown): boolean => attempted(() => value instanceof Error) === true

const tagOf = (thrown: unknown): string =>
  textField(thrown, "_tag") ?? (isError(thrown) ? textField(thrown, "name") ?? "Error" : kindOf(thrown))

const kindOf = (value: unknown): string => value === null ? "null" : typeof value

const messageOf = (thrown: unknown, depth = 0): string => {
  const own = field(thrown, "message")
  const message = own === undefined ? textOf(thrown) : typeof own === "string" ? own : textOf(own)
  return depth < maxCauses && isUninformative(thrown)
    ? `${message}: ${messageOf(field(thrown, "cause"), depth + 1)}`
    : message
}

/** What Effect wraps around what a promise was rejected with; its own message says nothing. */
const isUninformative = (thrown: unknown): boolean => isError(thrown) && textField(thrown, "_tag") === "UnknownError"

/** Any value as text: an object by its own method, or as JSON where that says nothing. */
const textOf = (value: unknown): string => {
  const text = attempted(() => String(value))
  if (text !== undefined && text !== "[object Object]") return text
  return attempted(() => JSON.stringify(value) as string | undefined) ?? text ??
    `A value that cannot be shown as text (${kindOf(value)})`
}

const stackOf = (thrown: unknown): string => {
  const stacks: Array<string> = []
  let error = thrown
  for (let depth = 0; depth < maxCauses && isError(error); depth++) {
    const stack = textField(error, "stack")
    if (stack !== undefined) stacks.push(depth === 0 ? stack : `[cause]: ${stack}`)
    error = field(error, "cause")
  }
  return stacks.join("\n")
}
