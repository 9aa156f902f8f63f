/**
 * A form's view of a JSON Schema: which kind of field stands for it, what is in it at first, and what is wrong with a value. It knows what
 * Effect makes of schemas; anything else becomes a field for JSON. The server has the last word on what fits.
 */

/** The parts of a schema that a form uses. */
export interface JsonSchema {
  readonly $ref?: string
  readonly $defs?: Readonly<Record<string, JsonSchema>>
  readonly type?: string
  readonly title?: string
  readonly description?: string
  readonly default?: unknown
  readonly const?: unknown
  readonly enum?: ReadonlyArray<unknown>
  readonly format?: string
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly exclusiveMaximum?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly items?: JsonSchema | false
  readonly prefixItems?: ReadonlyArray<JsonSchema>
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: ReadonlyArray<string>
  readonly additionalProperties?: JsonSchema | boolean
  readonly patternProperties?: Readonly<Record<string, JsonSchema>>
  readonly allOf?: ReadonlyArray<JsonSchema>
  readonly anyOf?: ReadonlyArray<JsonSchema>
  readonly oneOf?: ReadonlyArray<JsonSchema>
}

/** Text in a field that is no value of its type yet. A value with one of these is not sent. */
export class Draft {
  readonly text: string
  readonly problem: string
  constructor(text: string, problem: string) {
    this.text = text
    this.problem = problem
  }
  /** What JSON shows of it. */
  toJSON(): string {
    return this.text
  }
}

/** What stands for a value in a form. */
export type Field =
  | { readonly kind: "text"; readonly isLong: boolean }
  | { readonly kind: "number"; readonly isWhole: boolean }
  | { readonly kind: "choice"; readonly values: ReadonlyArray<unknown> }
  | { readonly kind: "fields"; readonly properties: Readonly<Record<string, JsonSchema>> }
  | { readonly kind: "list"; readonly items: JsonSchema }
  | { readonly kind: "record"; readonly values: JsonSchema }
  | { readonly kind: "variants"; readonly variants: ReadonlyArray<JsonSchema> }
  | { readonly kind: "nothing" }
  | { readonly kind: "json" }

/** Fields inside each other at most; what is deeper is a field for JSON. */
const maxDepth = 4

/** Choices and fields of one level at most: with more of them JSON is the better form. */
const maxParts = 60

/** Characters that one line shows at most. */
const maxLine = 320

/** The schema that a reference leads to, with the checks that are next to it, in one. */
export const resolved = (schema: JsonSchema, root: JsonSchema): JsonSchema => {
  let found = schema
  for (let step = 0; found.$ref !== undefined && step < 16; step++) {
    const name = decodeURIComponent(found.$ref.split("/").at(-1)!).replaceAll("~1", "/").replaceAll("~0", "~")
    const { $ref: _, ...own } = found
    found = { ...root.$defs?.[name], ...own }
  }
  return found.allOf === undefined ? found : Object.assign({}, found, ...found.allOf, { allOf: undefined })
}

/** Which field stands for a schema. */
export const fieldOf = (given: JsonSchema, root: JsonSchema, depth: number): Field => {
  const schema = resolved(given, root)
  const variants = schema.anyOf ?? schema.oneOf
  if (schema.const !== undefined) return { kind: "choice", values: [schema.const] }
  if (schema.enum !== undefined) {
    return schema.enum.length <= maxParts && schema.enum.every(isPlain)
      ? { kind: "choice", values: schema.enum }
      : { kind: "json" }
  }
  if (variants !== undefined) {
    const choices = variants.map((variant) => resolved(variant, root))
    const values = choices.flatMap((one) => one.const !== undefined ? [one.const] : one.enum ?? [])
    if (choices.every((one) => one.const !== undefined || one.enum !== undefined) && values.every(isPlain)) {
      return values.length <= maxParts ? { kind: "choice", values } : { kind: "json" }
    }
    const distinct = choices.filter(({ type }, index) =>
      type === undefined || type === "object" || choices.findIndex((one) => one.type === type) === index
    )
    if (distinct.length === 1) return fieldOf(distinct[0]!, root, depth)
    return depth < maxDepth && variants.length <= maxParts ? { kind: "variants", variants: distinct } : { kind: "json" }
  }
  switch (schema.type) {
    case "string":
      return { kind: "text", isLong: schema.maxLength === undefined || schema.maxLength > maxLine }
    case "integer":
    case "number":
      return { kind: "number", isWhole: schema.type === "integer" }
    case "boolean":
      return { kind: "choice", values: [true, false] }
    case "null":
      return { kind: "nothing" }
    case "array":
      return depth < maxDepth && schema.items && schema.prefixItems === undefined
        ? { kind: "list", items: schema.items }
        : { kind: "json" }
    case "object": {
      const { additionalProperties, properties = {} } = schema
      const count = Object.keys(properties).length
      if (depth >= maxDepth || count > maxParts) return { kind: "json" }
      if (count > 0) return { kind: "fields", properties }
      return typeof additionalProperties === "object" && schema.patternProperties === undefined
        ? { kind: "record", values: additionalProperties }
        : { kind: "json" }
    }
  }
  return { kind: "json" }
}

const isPlain = (value: unknown): boolean => value === null || typeof value !== "object"

/** Whether a value is an object that is no list. */
export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Draft)

/** The variant that a value is of: the first whose type it has. */
export const variantOf = (value: unknown, variants: ReadonlyArray<JsonSchema>, root: JsonSchema): number =>
  Math.max(0, variants.findIndex((variant) => hasType(value, resolved(variant, root))))

const hasType = (value: unknown, schema: JsonSchema): boolean => {
  if (schema.const !== undefined) return schema.const === value
  if (schema.enum !== undefined) return schema.enum.includes(value)
  switch (schema.type) {
    case "object":
      return isRecord(value) && (schema.required ?? []).every((name) => name in value)
    case "array":
      return Array.isArray(value)
    case "null":
      return value === null
    case "integer":
    case "number":
      return typeof value === "number"
    default:
      return typeof value === schema.type
  }
}

/** What a variant is called. */
export const nameOf = (schema: JsonSchema): string =>
  schema.title ??
    (schema.type === "array" ? "list" : schema.type === "string" ? "text" : schema.type === "object"
      ? Object.keys(schema.properties ?? {}).slice(0, 3).join(", ") || "object"
      : schema.type) ??
    "JSON"

/** What a required field begins with: what has to be filled in is empty, what can only be one thing is that. */
export const beginning = (given: JsonSchema, root: JsonSchema, depth = 0): unknown => {
  const schema = resolved(given, root)
  if (schema.default !== undefined) return schema.default
  if (schema.const !== undefined) return schema.const
  if (depth > maxDepth) return undefined
  switch (schema.type) {
    case "object":
      return Object.fromEntries(
        (schema.required ?? []).flatMap((name) => {
          const property = schema.properties?.[name]
          const value = property === undefined ? undefined : beginning(property, root, depth + 1)
          return value === undefined ? [] : [[name, value]]
        })
      )
    case "array":
      return []
    case "null":
      return null
  }
  return undefined
}

/** What is wrong with a value, by the path of the field: names and numbers in JSON. */
export type Problems = ReadonlyMap<string, string>

/** The key of a field in {@link Problems}. */
export const keyOf = (path: ReadonlyArray<string | number>): string => JSON.stringify(path)

/** Problems that are looked for at most. */
const maxProblems = 100

/** What is wrong with a value before it is sent. */
export const problemsOf = (value: unknown, root: JsonSchema): Problems => {
  const found = new Map<string, string>()
  const look = (value: unknown, given: JsonSchema, path: ReadonlyArray<string | number>): void => {
    if (found.size >= maxProblems || path.length > 128) return
    const schema = resolved(given, root)
    const problem = value instanceof Draft ? value.problem : problemOf(value, schema)
    if (problem !== undefined) return void found.set(keyOf(path), problem)
    const variants = schema.anyOf ?? schema.oneOf
    if (variants !== undefined) return look(value, variants[variantOf(value, variants, root)]!, path)
    if (Array.isArray(value)) {
      const { items } = schema
      if (items) value.forEach((item, index) => look(item ?? null, items, [...path, index]))
    } else if (isRecord(value)) {
      const { additionalProperties, properties = {}, required = [] } = schema
      for (const name of required) if (value[name] === undefined) found.set(keyOf([...path, name]), "It is needed")
      for (const [name, item] of Object.entries(value)) {
        const own = Object.hasOwn(properties, name) ? properties[name] : additionalProperties
        if (typeof own === "object" && item !== undefined) look(item, own, [...path, name])
      }
    }
  }
  look(value, root, [])
  return found
}

const problemOf = (value: unknown, schema: JsonSchema): string | undefined => {
  if (value === undefined) return "It is needed"
  if (schema.enum?.every(isPlain) === true && !schema.enum.includes(value)) return "It is none of the choices"
  if (typeof value === "string" && schema.type === "string") {
    const length = [...value].length
    if (length < (schema.minLength ?? 0)) {
      return schema.minLength === 1 ? "It is needed" : `It needs ${schema.minLength} characters at least`
    }
    if (value.length > (schema.maxLength ?? Infinity)) return `It may have ${schema.maxLength} characters at most`
  } else if (typeof value === "number" && (schema.type === "number" || schema.type === "integer")) {
    const { exclusiveMaximum, exclusiveMinimum, maximum, minimum } = schema
    if (minimum !== undefined && value < minimum) return `It is ${minimum} at least`
    if (maximum !== undefined && value > maximum) return `It is ${maximum} at most`
    if (exclusiveMinimum !== undefined && value <= exclusiveMinimum) return `It is more than ${exclusiveMinimum}`
    if (exclusiveMaximum !== undefined && value >= exclusiveMaximum) return `It is less than ${exclusiveMaximum}`
  } else if (Array.isArray(value) && schema.type === "array") {
    if (value.length < (schema.minItems ?? 0)) return `It needs ${schema.minItems} at least`
    if (value.length > (schema.maxItems ?? Infinity)) return `It may have ${schema.maxItems} at most`
  }
  return undefined
}

/** What the server says is wrong, by field: `Expected string` followed by `at ["url"]`. */
export const problemsFrom = (issue: string): Problems => {
  const found = new Map<string, string>()
  let text = ""
  for (const line of issue.split("\n")) {
    const place = /^\s+at ((?:\[.*\])+)$/.exec(line)?.[1]
    if (place === undefined) {
      text = text === "" ? line : `${text} ${line}`
      continue
    }
    const path = pathOf(place)
    if (path !== undefined) found.set(keyOf(path), text)
    text = ""
  }
  return found
}

const pathOf = (place: string): ReadonlyArray<string | number> | undefined => {
  const parts = place.match(/\[(?:"(?:[^"\\]|\\.)*"|\d+)\]/g) ?? []
  if (parts.join("") !== place) return undefined
  return parts.map((part): string | number => JSON.parse(part.slice(1, -1)))
}
