import { Effect, Schema } from "effect"
import type { PlainSchema } from "../domain/TaskDefinition.ts"

/** A field that may be left out, and what holds then, as it is written in JSON. */
export const withDefault = <S extends PlainSchema>(schema: S, value: S["Encoded"]) =>
  Schema.withDecodingDefaultKey<S>(Effect.succeed(value))(schema)
