/**
 * What each task type takes and gives, as schemas for the API's description: a new task and a stored one are unions by
 * their `type`, so that generated clients know the payload and the result of every type.
 */
import { Exit, JsonSchema, Schema } from "effect"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"

/** Schemas by the names under which a document refers to them. */
export type Components = Record<string, JsonSchema.JsonSchema>

/** The shapes of tasks without regard to their types, as the API defines them. */
interface ObjectSchema {
  readonly properties: Readonly<Record<string, JsonSchema.JsonSchema>>
  readonly required?: ReadonlyArray<string>
}

/** Turns the components `NewTask` and `Task` into unions over these types. */
export const specialise = (components: Components, definitions: ReadonlyArray<AnyTaskDefinition>): Components => {
  const { NewTask, Task } = components
  if (definitions.length === 0 || !isObject(NewTask) || !isObject(Task)) return components
  const added: Components = {}
  for (const definition of definitions) {
    const name = pascalCase(definition.type)
    const payload = addSchema(added, `${name}Payload`, definition.payload)
    const result = addSchema(added, `${name}Result`, definition.success)
    const type = { type: "string", enum: [definition.type], description: definition.description ?? definition.type }
    const required = [...NewTask.required ?? [], ...(needsPayload(definition) ? ["payload"] : [])]
    added[`New${name}Task`] = { ...NewTask, properties: { ...NewTask.properties, type, payload }, required }
    added[`${name}Task`] = {
      ...Task,
      properties: { ...Task.properties, type, result: { anyOf: [result, { type: "null" }] } }
    }
  }
  return {
    ...components,
    ...added,
    NewTask: union(definitions, (name) => `New${name}Task`),
    Task: union(definitions, (name) => `${name}Task`)
  }
}

const union = (
  definitions: ReadonlyArray<AnyTaskDefinition>,
  nameOf: (type: string) => string
): JsonSchema.JsonSchema => {
  const references = definitions.map(({ type }) => [type, `#/components/schemas/${nameOf(pascalCase(type))}`] as const)
  return {
    oneOf: references.map(([, $ref]) => ({ $ref })),
    discriminator: { propertyName: "type", mapping: Object.fromEntries(references) }
  }
}

/** Adds a schema and what it refers to; gives the reference. */
const addSchema = (components: Components, name: string, schema: Schema.Constraint): JsonSchema.JsonSchema => {
  const { definitions, dialect, schema: root } = Schema.toJsonSchemaDocument(schema)
  const { definitions: others, schemas: [own] } = JsonSchema.toMultiDocumentOpenApi3_1({
    dialect,
    schemas: [root],
    definitions
  })
  Object.assign(components, others)
  components[name] = own
  return { $ref: `#/components/schemas/${name}` }
}

/** A task without a payload is posted with `{}`, or with null where the type takes nothing. */
const needsPayload = ({ codec }: AnyTaskDefinition): boolean =>
  Exit.isFailure(codec.decodePayload("{}")) && Exit.isFailure(codec.decodePayload("null"))

const isObject = (schema: JsonSchema.JsonSchema | undefined): schema is JsonSchema.JsonSchema & ObjectSchema =>
  schema !== undefined && typeof schema["properties"] === "object"

/** `file_read` as `FileRead`; what cannot be in the name of a component is left out. */
const pascalCase = (type: string): string =>
  type.split(/[^a-zA-Z0-9]+/).map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join("")
