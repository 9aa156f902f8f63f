import { Schema, SchemaTransformation } from "effect"

/**
 * Several values, repeated (`?status=a&status=b`) or with commas (`?status=a,b`). A value that has commas itself stands in
 * double quotes (`?queue="a,b"`), in which a quote is doubled.
 */
export const listOf = <Value extends string>(value: Schema.Codec<Value, string>) =>
  Schema.Array(Schema.String).pipe(
    Schema.decodeTo(
      Schema.Array(value),
      SchemaTransformation.transform<ReadonlyArray<string>, ReadonlyArray<string>>({
        decode: (texts) => texts.flatMap(valuesOf),
        encode: (values) => values.map(quoted)
      })
    )
  )

/** A value in quotes, or what is between two commas. A quote that is never closed is a character like others. */
const part = /\s*"((?:[^"]|"")*)"\s*(?:,|$)|([^,]*)(?:,|$)/gy

const valuesOf = (text: string): ReadonlyArray<string> => {
  const values: Array<string> = []
  for (const [whole, inQuotes, plain = ""] of text.matchAll(part)) {
    values.push(inQuotes === undefined ? plain.trim() : inQuotes.replaceAll(`""`, `"`))
    if (!whole.endsWith(",")) break
  }
  return values
}

const quoted = (value: string): string =>
  /[,"]/.test(value) || value !== value.trim() ? `"${value.replaceAll(`"`, `""`)}"` : value
