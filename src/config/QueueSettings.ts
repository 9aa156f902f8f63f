/** Settings that say something of single queues, such as `mail reserved=2 weight=3, reports max=4`. */
import { Effect, Result, Schema, SchemaGetter, SchemaIssue } from "effect"
import { integer, rate } from "./SettingSchemas.ts"

type Fields = Readonly<Record<string, Schema.ConstraintCodec<unknown, string>>>

/** What a text says of queues, by their names. */
type PerQueue<Given extends Fields> = Readonly<
  Record<string, { readonly [Name in keyof Given]?: Given[Name]["Type"] }>
>

/**
 * Queues with commas between them, each a name and what is said of it, with spaces between. A queue is named once. Whether `*` says
 * something of all others is up to the setting.
 */
const perQueue = <const Given extends Fields>(fields: Given, hasOthers: boolean) => {
  const read = (text: string): PerQueue<Given> | undefined => {
    const queues: Record<string, Record<string, unknown>> = Object.create(null)
    for (const entry of text.split(",")) {
      const [queue = "", ...words] = entry.trim().split(/\s+/)
      if (queue === "*" && !hasOthers) return undefined
      if (queue === "" || queue.includes("=") || words.length === 0 || Object.hasOwn(queues, queue)) return undefined
      const said: Record<string, unknown> = {}
      for (const word of words) {
        const at = word.indexOf("=")
        const name = word.slice(0, at)
        const field = Object.hasOwn(fields, name) && !Object.hasOwn(said, name) ? fields[name] : undefined
        const value = field && Schema.decodeResult(field)(word.slice(at + 1))
        if (value === undefined || Result.isFailure(value)) return undefined
        said[name] = value.success
      }
      queues[queue] = said
    }
    return { ...queues } as PerQueue<Given>
  }
  const write = (queues: PerQueue<Given>): string =>
    Object.entries(queues).map(([queue, said]) =>
      [queue, ...Object.entries(said).map(([name, value]) => `${name}=${Schema.encodeSync(fields[name]!)(value)}`)]
        .join(" ")
    ).join(", ")
  return Schema.String.pipe(Schema.decodeTo(
    Schema.declare((value): value is PerQueue<Given> => typeof value === "object" && value !== null),
    {
      decode: SchemaGetter.transformEffect((text: string) => {
        const queues = read(text)
        return queues === undefined
          ? Effect.fail(new SchemaIssue.InvalidValue({ message: `Not about queues: ${text}` }))
          : Effect.succeed(queues)
      }),
      encode: SchemaGetter.transform(write)
    }
  ))
}

/** How slots are shared among queues. */
export const shares = perQueue({
  reserved: integer(0, 10_000),
  max: integer(1, 10_000),
  weight: integer(1, 1000)
}, true).pipe(Schema.annotate({
  expected: "queues with reserved, max or weight, such as mail reserved=2 weight=3, reports max=4, * weight=2"
}))

/** How many tasks of a queue run at the same time, and start in a time. */
export const limits = perQueue({ max: integer(1, 1_000_000), rate }, false).pipe(Schema.annotate({
  expected: "queues with max or rate, each by its name, such as mail max=5 rate=100/1m, reports max=1"
}))
