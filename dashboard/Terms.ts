/**
 * What the list of tasks is filtered by: terms such as `type:email error:"mx# answered"` in the search bar, the same in the address of the
 * view, and as the API takes it.
 */
import { serverNow } from "./Session.ts"
import { type State, states } from "./Wire.ts"

/** What an address says of the list: a text by the name of each parameter. */
export type Query = Readonly<Record<string, string | undefined>>

interface Term {
  /** In the bar. */
  readonly name: string
  /** In addresses and in the API. */
  readonly parameter: string
  /** What it is, for people. */
  readonly hint: string
  /** Whether it takes several values, separated by commas. */
  readonly isList?: true
}

/** Every term. Fields of payloads come besides: `payload.user.id:42`. */
const terms: ReadonlyArray<Term> = [
  { name: "state", parameter: "status", hint: "pending, failed …", isList: true },
  { name: "type", parameter: "type", hint: "the type of the task", isList: true },
  { name: "queue", parameter: "queue", hint: "the queue it is in", isList: true },
  { name: "key", parameter: "key", hint: "its idempotency key" },
  { name: "id", parameter: "id", hint: "opens the task" },
  { name: "error", parameter: "text", hint: "a part of the message, # for a number" },
  { name: "tag", parameter: "tag", hint: "tags that it has, all of them", isList: true },
  { name: "error_tag", parameter: "error_tag", hint: "the tag of the error", isList: true },
  { name: "kind", parameter: "kind", hint: "how it failed", isList: true },
  { name: "instance", parameter: "instance", hint: "which instance ran it" },
  { name: "trace", parameter: "trace", hint: "the trace it was enqueued in" },
  { name: "created", parameter: "created", hint: "<1h is the last hour, >1d is before" },
  { name: "ended", parameter: "ended", hint: "<1h is the last hour, >1d is before" },
  { name: "payload.", parameter: "payload.", hint: "a field of the payload: payload.user.id:42" }
]

const kinds = ["error", "defect", "timeout", "invalid", "quarantined", "dependency"]
const ages = ["<15m", "<1h", "<1d", "<7d", ">1h", ">1d", ">7d"]

const isField = (name: string): boolean => name.startsWith("payload.") && name.length > "payload.".length

const termOf = (name: string): Term | undefined => terms.find((term) => term.name === name && term.name !== "payload.")

/** What the query says that is a filter: not the page of the list. */
export const filterOf = (query: Query): Query =>
  Object.fromEntries(
    Object.entries(query).filter(([name, value]) =>
      value !== undefined && (isField(name) || terms.some(({ parameter }) => parameter === name))
    )
  )

/** Whether anything is asked for. */
export const isFiltered = (query: Query): boolean => Object.keys(filterOf(query)).length > 0

const quoted = (value: string): string => /[\s"]/.test(value) ? `"${value.replaceAll(`"`, `""`)}"` : value

/** The query as the bar shows it. Lists are quoted in addresses as they are in the bar. */
export const textOf = (query: Query): string =>
  Object.entries(filterOf(query)).map(([name, value = ""]) => {
    const term = terms.find(({ parameter }) => parameter === name)
    return `${term?.name ?? name}:${term?.isList === true && value.startsWith(`"`) ? value : quoted(value)}`
  }).join(" ")

/** A term, or a word alone. */
const token = /([^\s:"]+):((?:"(?:[^"]|"")*"|[^\s"])*)|(\S+)/g

const unquoted = (value: string): string =>
  /^"(?:[^"]|"")*"$/.test(value) ? value.slice(1, -1).replaceAll(`""`, `"`) : value

/** What a text in the bar says. A word alone is an id. */
export const parse = (text: string): { readonly query: Query; readonly problem?: string } => {
  const query: Record<string, string> = {}
  for (const [, name, value = "", word] of text.matchAll(token)) {
    if (name === undefined) {
      query["id"] = word!
      continue
    }
    const term = termOf(name)
    if (term === undefined && !isField(name)) return { query, problem: `There is no filter "${name}"` }
    if (value === "") continue
    const parameter = term?.parameter ?? name
    if ((parameter === "created" || parameter === "ended") && timesOf(value) === undefined) {
      return { query, problem: `"${name}" takes <1h, >2d, or two times with .. between` }
    }
    query[parameter] = term?.isList === true ? value : unquoted(value)
  }
  return { query }
}

const unitMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

/** The times that a text means, by the server's clock now. */
const timesOf = (text: string): { readonly since?: string; readonly before?: string } | undefined => {
  const [, side, amount, unit] = /^([<>])(\d{1,6})([smhdw])$/.exec(text) ?? []
  if (side !== undefined) {
    const at = new Date(serverNow() - Number(amount) * unitMs[unit!]!).toISOString()
    return side === "<" ? { since: at } : { before: at }
  }
  const [since = "", before = "", more] = text.split("..")
  const times = [since, before].map((time) => time === "" ? undefined : new Date(time))
  if (more !== undefined || !text.includes("..") || times.some((time) => Number.isNaN(time?.getTime()))) {
    return undefined
  }
  return {
    ...times[0] && { since: times[0].toISOString() },
    ...times[1] && { before: times[1].toISOString() }
  }
}

/** A value in quotes, or what is between two commas. */
const part = /\s*"((?:[^"]|"")*)"\s*(?:,|$)|([^,]*)(?:,|$)/gy

/** The values of a list. */
export const valuesOf = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(part)].map(([, inQuotes, plain = ""]) => inQuotes?.replaceAll(`""`, `"`) ?? plain.trim())
    .filter((value) => value !== "")

/** The filter as operations take it. */
export const bodyOf = (query: Query): Readonly<Record<string, unknown>> => {
  const body: Record<string, unknown> = {}
  const payload: Record<string, string> = {}
  for (const [name, value = ""] of Object.entries(filterOf(query))) {
    const term = terms.find(({ parameter }) => parameter === name)
    if (isField(name)) payload[name.slice("payload.".length)] = value
    else if (name === "created" || name === "ended") {
      const { before, since } = timesOf(value) ?? {}
      if (since !== undefined) body[`${name}_since`] = since
      if (before !== undefined) body[`${name}_before`] = before
    } else body[name] = term?.isList === true ? valuesOf(value) : name === "id" ? [value] : value
  }
  return Object.keys(payload).length === 0 ? body : { ...body, payload }
}

/** The filter as the list of tasks takes it. */
export const searchOf = (query: Query): URLSearchParams => {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(bodyOf(query))) {
    if (name === "payload") {
      for (const [path, text] of Object.entries(value as object)) search.append("payload", `${path}=${text}`)
    } else if (Array.isArray(value)) search.set(name, query[name]!)
    else search.set(name, String(value))
  }
  return search
}

/** The query that shows what an operation was told. */
export const queryOf = (filter: Readonly<Record<string, unknown>>): Query => {
  const query: Record<string, string> = {}
  for (const [name, value] of Object.entries(filter)) {
    const [, which, side] = /^(created|ended)_(since|before)$/.exec(name) ?? []
    if (which !== undefined) {
      const [since = "", before = ""] = (query[which] ?? "..").split("..")
      query[which] = side === "since" ? `${value}..${before}` : `${since}..${value}`
    } else if (name === "payload") {
      for (const [path, text] of Object.entries(value as object)) query[`payload.${path}`] = String(text)
    } else if (Array.isArray(value)) {
      query[name] = value.map((one: string) => /[,"\s]/.test(one) ? `"${one.replaceAll(`"`, `""`)}"` : one).join(",")
    } else query[name] = String(value)
  }
  return query
}

/** What may come next in the bar. */
export interface Suggestion {
  /** What takes the place of the word that is being written. */
  readonly text: string
  readonly hint?: string
}

/** Suggestions that are shown at most. */
const maxSuggestions = 8

/** The word at the end of a text: what is being written. */
export const lastWord = (text: string): string => /(?:[^\s"]|"(?:[^"]|"")*"?)*$/.exec(text)![0]

/** What may take the place of the last word. */
export const suggest = (
  text: string,
  known: { readonly types: ReadonlyArray<string>; readonly queues: ReadonlyArray<string> }
): ReadonlyArray<Suggestion> => {
  const word = lastWord(text)
  const at = word.indexOf(":")
  if (at < 0) {
    return terms.filter(({ name }) => name.startsWith(word)).map(({ hint, name }) => ({
      text: name === "payload." ? name : `${name}:`,
      hint
    }))
  }
  const name = word.slice(0, at)
  const values = word.slice(at + 1)
  const term = termOf(name)
  // Of a list, the last value is being written
  const start = term?.isList === true ? values.lastIndexOf(",") + 1 : 0
  const given = values.slice(0, start)
  const begun = values.slice(start).toLowerCase()
  const found = valuesFor(name, known).filter((value) =>
    value.toLowerCase().includes(begun) && !given.split(",").includes(value)
  )
  return found.slice(0, maxSuggestions).map((value) => ({
    text: `${name}:${given}${/[,"\s]/.test(value) ? `"${value.replaceAll(`"`, `""`)}"` : value} `
  }))
}

const valuesFor = (
  name: string,
  { queues, types }: { readonly types: ReadonlyArray<string>; readonly queues: ReadonlyArray<string> }
): ReadonlyArray<string> => {
  switch (name) {
    case "state":
      return states
    case "type":
      return types
    case "queue":
      return queues
    case "kind":
      return kinds
    case "created":
    case "ended":
      return ages
  }
  return []
}

/** The states of a query, all when it says none. */
export const statesOf = (query: Query): ReadonlyArray<State> =>
  query["status"] === undefined
    ? states
    : valuesOf(query["status"]).filter((one): one is State => states.includes(one as State))
