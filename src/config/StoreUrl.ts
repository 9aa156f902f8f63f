/** Where tasks are kept, as one text: `memory:`, `sqlite:PATH`, `postgres://…` or `redis://…`. */
import { Effect, Schema, SchemaGetter, SchemaIssue } from "effect"
import * as Redaction from "../domain/Redaction.ts"

/** A store by its URL. */
export type StoreUrl =
  | { readonly _tag: "Memory" }
  | { readonly _tag: "Sqlite"; readonly path: string }
  | { readonly _tag: "PostgreSQL"; readonly url: string }
  | { readonly _tag: "Redis"; readonly url: string }

/** Reads the text, or answers `undefined` when it names no store. */
export const parse = (text: string): StoreUrl | undefined => {
  if (/^memory:?$/i.test(text)) return { _tag: "Memory" }
  if (/^postgres(ql)?:\/\//i.test(text)) return URL.canParse(text) ? { _tag: "PostgreSQL", url: text } : undefined
  if (/^rediss?:\/\//i.test(text)) return URL.canParse(text) ? { _tag: "Redis", url: text } : undefined
  // sqlite://data/file would name a host; sqlite:data/file and sqlite:///data/file are clear
  const sqlite = /^sqlite:(?!\/\/[^/])(.+)$/i.exec(text)
  return sqlite === null ? undefined : { _tag: "Sqlite", path: sqlite[1]!.replace(/^\/\/\//, "/") }
}

/** The store as the log shows it: what may be secret in a URL, who asks and with which parameters, is left out. */
export const format = (store: StoreUrl): string =>
  store._tag === "Sqlite" ? textOf(store) : Redaction.url(textOf(store))

const textOf = (store: StoreUrl): string => {
  switch (store._tag) {
    case "Memory":
      return "memory:"
    case "Sqlite":
      return `sqlite:${store.path}`
    default:
      return store.url
  }
}

/** The schema of the text. */
export const StoreUrl = Schema.String.pipe(
  Schema.decodeTo(Schema.declare((value): value is StoreUrl => typeof value === "object"), {
    decode: SchemaGetter.transformEffect((text: string) => {
      const store = parse(text)
      return store === undefined
        ? Effect.fail(new SchemaIssue.InvalidValue({ message: `Not a store: ${Redaction.url(text)}` }))
        : Effect.succeed(store)
    }),
    encode: SchemaGetter.transform(textOf)
  })
)
