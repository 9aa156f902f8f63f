/**
 * Payloads of earlier versions of a task type: how each was written, and how it becomes one of the version after it. A task keeps the
 * payload that it was stored with, and its version. The code at hand reads it on the way to the handler.
 *
 * @example
 * ```ts
 * const Resize = Task.make("resize", {
 *   payload: { image: Schema.String, size: Schema.Struct({ width: Schema.Int, height: Schema.Int }) },
 *   // Version 1 had a width; this is version 2
 *   earlier: Versions.first(
 *     { image: Schema.String, width: Schema.Int },
 *     ({ image, width }) => ({ image, size: { width, height: width } })
 *   )
 * })
 * ```
 */
import { Exit, Schema, SchemaAST } from "effect"
import * as Bounds from "./Bounds.ts"
import * as JsonText from "./JsonText.ts"
import { type PlainFields, type PlainSchema, type ToSchema, toSchema } from "./PlainFields.ts"
import { maxVersion } from "./StoredType.ts"
import * as Thrown from "./Thrown.ts"
import * as UnknownFields from "./UnknownFields.ts"

/** Nothing where a version gives what the schema of the next one reads; else what is to be given. */
export type Fitting<Given, Expected> = [Given] extends [Expected] ? unknown
  : { readonly "a payload of the version before": Given }

/** The earlier versions of a payload, the oldest first. The last of them gives payloads of the version at hand. */
export interface Versions<out Payload> {
  /** The oldest version that can be read. */
  readonly from: number
  /** The version at hand: one more than the last of the earlier ones. */
  readonly version: number
  /**
   * Adds the version after those that there are: its schema, and how its payload becomes one of the version after it.
   *
   * @example
   * ```ts
   * Versions.first({ name: Schema.String }, ({ name }) => ({ names: [name] }))
   *   .next({ names: Schema.Array(Schema.String) }, ({ names }) => ({ names, locale: "en" }))
   * ```
   */
  readonly next: <S extends PlainSchema | PlainFields, Next>(
    schema: S & Fitting<Payload, ToSchema<S>["Type"]>,
    up: (payload: ToSchema<S>["Type"]) => Next
  ) => Versions<Next>
  /** Reads a payload of an earlier version. Unknown fields are ignored. */
  readonly decode: (version: number, json: unknown) => Exit.Exit<Payload, Schema.SchemaError>
  /** The same for one on its way in, which may have no field that its version does not know. */
  readonly check: (version: number, json: unknown) => Exit.Exit<Payload, Schema.SchemaError>
}

/** The first version: its schema, or the fields of a struct, and how its payload becomes one of version 2. */
export const first = <S extends PlainSchema | PlainFields, Next>(
  schema: S,
  up: (payload: ToSchema<S>["Type"]) => Next
): Versions<Next> => from(1, schema, up)

/**
 * The oldest version that is still read, where those before it are read no more: no task has one. Throws `InvalidOption` where it is
 * no integer from 1 to 99.
 *
 * @example
 * ```ts
 * Versions.from(2, { names: Schema.Array(Schema.String) }, ({ names }) => ({ names, locale: "en" }))
 * ```
 */
export const from = <S extends PlainSchema | PlainFields, Next>(
  version: number,
  schema: S,
  up: (payload: ToSchema<S>["Type"]) => Next
): Versions<Next> => make(version, [stepOf(schema, up)])

/** A version that is read: what it is decoded by, and what becomes of it. */
interface Step {
  readonly decode: (json: unknown) => Exit.Exit<unknown, Schema.SchemaError>
  readonly check: (json: unknown) => Exit.Exit<unknown, Schema.SchemaError>
  readonly up: (payload: any) => unknown
}

const stepOf = (given: PlainSchema | PlainFields, up: Step["up"]): Step => {
  const schema = Schema.toCodecJson(toSchema(given) as PlainSchema)
  const decode = Schema.decodeUnknownExit(schema)
  return { decode, check: UnknownFields.closed(decode, SchemaAST.toEncoded(schema.ast)), up }
}

const make = (from: number, steps: ReadonlyArray<Step>): Versions<any> => {
  const version = from + steps.length
  Bounds.demand("earlier", Bounds.whole(1, maxVersion - 1), from)
  Bounds.demand("earlier", Bounds.whole(1, maxVersion - 1), version - 1)
  const read = (kind: "decode" | "check") => (at: number, json: unknown) => {
    const known = steps[at - from]
    if (known === undefined) return JsonText.unfit(`Expected version ${from} to ${version}, got version ${at}`)
    const decoded = JsonText.guarded(() => known[kind](json))
    return Exit.isFailure(decoded) ? decoded : raised(steps, from, at, decoded.value)
  }
  return {
    from,
    version,
    next: (schema, up) => make(from, [...steps, stepOf(schema, up)]),
    decode: read("decode"),
    check: read("check")
  }
}

/** A decoded payload of a version as one of the version at hand. What a function throws says that it cannot be. */
const raised = (
  steps: ReadonlyArray<Step>,
  from: number,
  at: number,
  payload: unknown
): Exit.Exit<unknown, Schema.SchemaError> => {
  let current = payload
  for (let index = at - from; index < steps.length; index++) {
    const version = from + index
    try {
      current = steps[index]!.up(current)
    } catch (cause) {
      const { message, tag } = Thrown.show(cause)
      return JsonText.unfit(
        `Version ${version} does not become version ${version + 1}: its function threw ${tag}: ${message}`
      )
    }
  }
  return Exit.succeed(current)
}
