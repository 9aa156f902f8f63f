/** What a definition's schemas are as JSON Schema, with the defaults of a payload's fields, which Effect's own translation leaves out. */
import { Exit, Schema } from "effect"
import type { AnyTaskDefinition, PlainSchema } from "./TaskDefinition.ts"

/** The JSON Schema of a value. What it refers to is in its `$defs`. */
export const schemaOf = (schema: PlainSchema): Readonly<Record<string, unknown>> => {
  const { definitions, schema: own } = Schema.toJsonSchemaDocument(schema)
  return Object.keys(definitions).length === 0 ? own : { ...own, $defs: definitions }
}

/** The JSON Schema of a definition's payload. */
export const payloadSchemaOf = ({ payload }: Pick<AnyTaskDefinition, "payload">): Readonly<Record<string, unknown>> => {
  const schema = schemaOf(payload)
  const { properties } = schema
  if (!isRecord(properties) || !hasFields(payload)) return schema
  return {
    ...schema,
    properties: Object.fromEntries(
      Object.entries(properties).map(([name, property]) => {
        const value = defaultOf(name, payload.fields[name])
        return [name, value === undefined || !isRecord(property) ? property : { ...property, default: value }]
      })
    )
  }
}

/** What holds for a field that is left out, as JSON; `undefined` where nothing does. */
const defaultOf = (name: string, field: PlainSchema | undefined): unknown => {
  if (field === undefined) return undefined
  const struct: PlainSchema = Schema.Struct({ [name]: field })
  const decoded = Schema.decodeExit(struct)({})
  if (Exit.isFailure(decoded)) return undefined
  const encoded = Schema.encodeUnknownExit(struct)(decoded.value)
  return Exit.isSuccess(encoded) && isRecord(encoded.value) ? encoded.value[name] : undefined
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const hasFields = (schema: object): schema is { readonly fields: Readonly<Record<string, PlainSchema>> } =>
  "fields" in schema && isRecord(schema.fields)
