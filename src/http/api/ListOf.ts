import { Schema, SchemaTransformation } from "effect"

/** Several values, repeated (`?status=a&status=b`) or with commas (`?status=a,b`). */
export const listOf = <Value extends string>(value: Schema.Codec<Value, string>) =>
  Schema.Array(Schema.String).pipe(
    Schema.decodeTo(
      Schema.Array(value),
      SchemaTransformation.transform<ReadonlyArray<string>, ReadonlyArray<string>>({
        decode: (values) => values.flatMap((text) => text.split(",")).map((text) => text.trim()),
        encode: (values) => values
      })
    )
  )
