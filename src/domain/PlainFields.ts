/** Payloads that are given as a schema, or as the fields of a struct. */
import { Schema } from "effect"

/** A schema that needs no services to decode or encode. */
export interface PlainSchema<out T = any, out E = any> extends Schema.ConstraintCodec<T, E, never, never> {}

/** The fields of a payload that is a struct. */
export interface PlainFields {
  readonly [name: PropertyKey]: PlainSchema
}

/** The schema of a payload that is given as a schema, or as the fields of a struct. */
export type ToSchema<Payload> = Extract<
  Payload extends Schema.Struct.Fields ? Schema.Struct<Payload> : Payload,
  PlainSchema
>

/** The schema itself; one of nothing where nothing is given. */
export const toSchema = (payload: PlainSchema | PlainFields | undefined): Schema.Constraint =>
  payload === undefined
    ? Schema.Void
    : Schema.isSchema(payload)
    ? payload
    : Schema.Struct(payload as PlainFields)
