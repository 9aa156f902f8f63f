/**
 * A task type whose handlers are in other programs: said as data over HTTP, kept as a record of the store, and made into a definition
 * like any other, so that payloads are checked when tasks are enqueued, and failures are judged by the type's own policy.
 */
import { Duration, Effect, JsonSchema, Option, Schedule, Schema, SchemaRepresentation } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import { InvalidOption } from "../domain/Errors.ts"
import type { PlainSchema } from "../domain/PlainFields.ts"
import type { RetryPolicy } from "../domain/RetryPolicy.ts"
import * as TaskDefinition from "../domain/TaskDefinition.ts"

/** The kind of these records; the id of one is the name of its type. */
export const kind = "remote-type"

/** Types that a store keeps at most. */
export const maxTypes = 1000

/** Bytes of UTF-8 in the JSON of a type at most. */
const maxBytes: number = 64 * 1024

/** Arrays and objects inside each other in a schema at most. */
const maxDepth = 32

const JsonSchemaObject = Schema.Record(Schema.String, Schema.Json)

/** What is said of a type. Durations are in milliseconds. */
export const RemoteType = Schema.Struct({
  description: Schema.optionalKey(Schema.String),
  /** JSON Schemas, of the payload and of the result. Any JSON where they are left out. */
  payload: Schema.optionalKey(JsonSchemaObject),
  result: Schema.optionalKey(JsonSchemaObject),
  queue: Schema.optionalKey(Schema.String),
  priority: Schema.optionalKey(Schema.Int),
  timeoutMs: Schema.optionalKey(Schema.Finite),
  retry: Schema.optionalKey(Schema.Struct({
    times: Schema.optionalKey(Schema.Int),
    /** The first wait; each one is twice as long as the one before. */
    delayMs: Schema.optionalKey(Schema.Finite),
    maxDelayMs: Schema.optionalKey(Schema.Finite)
  }))
})

export type RemoteType = typeof RemoteType.Type

const Document = Schema.fromJsonString(RemoteType)
const encodeDocument = Schema.encodeSync(Document)
const decodeDocument = Schema.decodeOption(Document)

/** The document of a type. */
export const encode = (type: RemoteType): string => encodeDocument(type)

/** The definition of a stored type; nothing where it was written by a version that says more. */
export const decode = (name: string, document: string): TaskDefinition.AnyTaskDefinition | undefined => {
  const type = Option.getOrUndefined(decodeDocument(document))
  if (type === undefined) return undefined
  try {
    return definitionOf(name, type)
  } catch {
    return undefined
  }
}

/** The definition of a type that someone says. */
export const make = (
  name: string,
  type: RemoteType
): Effect.Effect<TaskDefinition.AnyTaskDefinition, InvalidOption> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(definitionOf(name, type))
    } catch (cause) {
      return cause instanceof InvalidOption ? Effect.fail(cause) : Effect.die(cause)
    }
  })

/** The definition of a type. Throws `InvalidOption` where something of it cannot be used. */
const definitionOf = (name: string, type: RemoteType): TaskDefinition.AnyTaskDefinition => {
  if (Buffer.byteLength(encodeDocument(type)) > maxBytes) {
    throw invalid("payload", "a larger one", `a type of at most ${maxBytes} bytes of JSON`)
  }
  return TaskDefinition.make(name, {
    description: type.description,
    payload: schemaOf("payload", type.payload),
    success: schemaOf("result", type.result),
    error: Schema.Json,
    queue: type.queue,
    priority: type.priority,
    timeout: type.timeoutMs,
    retry: type.retry && retryOf(type.retry)
  })
}

const retryOf = ({ delayMs, maxDelayMs, times }: NonNullable<RemoteType["retry"]>): RetryPolicy<unknown> => {
  const bad = Bounds.refuse("retry.delay", Bounds.delay, delayMs)
  if (bad !== undefined) throw bad
  return {
    ...times !== undefined && { times },
    ...maxDelayMs !== undefined && { maxDelay: Duration.millis(maxDelayMs) },
    ...delayMs !== undefined && { schedule: Schedule.jittered(Schedule.exponential(delayMs)) }
  }
}

/**
 * What a JSON Schema says, as a schema. What it says and cannot be checked here is refused, so that no one relies on it: patterns among
 * it, which a server for others must not run.
 */
const schemaOf = (option: "payload" | "result", json: RemoteType["payload"]): PlainSchema => {
  if (json === undefined) return Schema.Json
  if (!isShallow(json, maxDepth)) throw invalid(option, "a deeper one", `a JSON Schema of ${maxDepth} levels at most`)
  try {
    const document = JsonSchema.fromSchemaDraft2020_12(json as JsonSchema.JsonSchema)
    const schema = SchemaRepresentation.fromJsonSchemaDocument(document) as unknown as PlainSchema
    // What cannot be encoded or decoded shows itself now, not when a task comes
    Schema.toCodecJson(schema)
    return schema
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : "it cannot be read"
    throw invalid(option, why, "a JSON Schema (draft 2020-12) that can be checked here")
  }
}

const invalid = (option: string, found: string, expected: string): InvalidOption =>
  new InvalidOption({ option, found: found.slice(0, 300), expected, index: 0 })

const isShallow = (value: unknown, levels: number): boolean =>
  typeof value !== "object" || value === null ||
  levels > 0 && Object.values(value).every((inner) => isShallow(inner, levels - 1))
