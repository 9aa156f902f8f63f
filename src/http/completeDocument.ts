/** What the description of the API says beyond its definitions: keys, the errors around endpoints, and examples. */
import { maxIdLength, maxNameLength } from "../domain/Bounds.ts"
import { names } from "../domain/Priority.ts"
import { all } from "../domain/TaskState.ts"
import { pageSize } from "./api/RequestValues.ts"
import * as Examples from "./Examples.ts"

/** The parts of an OpenAPI document that are read and written here. */
interface Document {
  readonly paths: Record<string, Record<string, Operation>>
  readonly components: { readonly schemas: Record<string, Schema>; securitySchemes?: object }
  security?: ReadonlyArray<object>
}

interface Operation {
  readonly operationId: string
  readonly parameters: Array<{ readonly name: string; description?: string; schema: object; example?: unknown }>
  readonly requestBody?: { readonly content: Record<string, Content> }
  readonly responses: Record<string, { description: string; content?: Record<string, Content> }>
  security?: ReadonlyArray<object>
}

interface Content {
  readonly schema: Schema
  example?: unknown
  examples?: Record<string, { readonly value: unknown }>
}

interface Schema {
  readonly $ref?: string
  readonly anyOf?: ReadonlyArray<Schema>
  examples?: ReadonlyArray<unknown>
}

const errorSchema = {
  type: "object",
  properties: {
    error: {
      type: "object",
      properties: { code: { type: "string" }, message: { type: "string" } },
      required: ["code", "message"]
    }
  },
  required: ["error"]
}

/** Open to every client, whatever keys there are. */
const isPublic = (path: string): boolean => path === "/health" || path === "/api/v1/health"

/** Adds them to a document, in place. */
export const completeDocument = (document: Document): void => {
  document.components.securitySchemes = {
    bearer: { type: "http", scheme: "bearer", description: "An API key, where the server asks for one" },
    header: { type: "apiKey", in: "header", name: "X-API-Key" }
  }
  for (const [name, schema] of Object.entries(document.components.schemas)) {
    const example = Examples.ofSchemas[name]
    if (example !== undefined) schema.examples = [example]
  }
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const operation of Object.values(operations)) complete(path, operation)
  }
}

const complete = (path: string, operation: Operation): void => {
  for (const parameter of operation.parameters) {
    Object.assign(parameter, parameterOf(operation.operationId, parameter.name))
  }
  if (operation.operationId === "events.socket") describeSocket(operation)
  operation.security = isPublic(path) ? [] : [{}, { bearer: [] }, { header: [] }]
  const own = Examples.ofOperations[operation.operationId] ?? {}
  for (const content of Object.values(operation.requestBody?.content ?? {})) give(content, own["request"])
  for (const [status, { about, examples }] of Object.entries(Examples.ofErrors)) {
    if (isPublic(path) && (status === "401" || status === "403")) continue
    operation.responses[status] ??= {
      description: about,
      content: { "application/json": { schema: errorSchema as Schema, example: examples[0] } }
    }
  }
  for (const [status, response] of Object.entries(operation.responses)) {
    const { content = {} } = response
    if (isNameOfSchema.test(response.description)) {
      response.description = { ...meanings, ...(isPublic(path) ? ofHealth : {}) }[status] ?? response.description
    }
    const json = content["application/json"]
    if (json !== undefined && json.example === undefined) give(json, own[status])
  }
}

/** What a response is described as where its schema says no more. */
const isNameOfSchema = /^(<No Content>|[A-Z]\w+( \| [A-Z]\w+)*)$/

/** What a status means to a person. */
const meanings: Readonly<Record<string, string>> = {
  200: "It was done; the answer is here",
  201: "It is stored",
  202: "It was accepted and has not finished",
  204: "It was done; there is no more to say",
  400: "The request cannot be taken as it is; the message says what is wrong",
  404: "There is no such task",
  409: "It conflicts with what is stored",
  413: "The body, or the number of tasks in it, is too large",
  415: "The body is not JSON in UTF-8",
  503: "There is no room, or the store does not answer; Retry-After says when to try again"
}

const ofHealth: typeof meanings = {
  200: "All parts work",
  503: "Some part does not work; troubles names it, for callers with a key where there are keys"
}

/** OpenAPI has no words for a WebSocket: its answers are those of the handshake. */
const describeSocket = ({ responses }: Operation): void => {
  delete responses["200"]
  delete responses["204"]
  responses["101"] = { description: "The connection is a WebSocket from here on" }
  responses["426"] = {
    description: "The request is no handshake of a WebSocket",
    content: { "application/json": { schema: errorSchema as Schema, example: Examples.upgradeRequired } }
  }
}

/** The example of an operation, or those of the schemas that its content may have. */
const give = (content: Content, own: unknown): void => {
  if (own !== undefined) {
    content.example = own
    return
  }
  const names = (content.schema.anyOf ?? [content.schema]).flatMap(({ $ref }) => $ref?.split("/").at(-1) ?? [])
  const known = names.filter((name) => Examples.ofSchemas[name] !== undefined)
  if (known.length === 1) content.example = Examples.ofSchemas[known[0]!]
  else if (known.length > 1) {
    content.examples = Object.fromEntries(known.map((name) => [name, { value: Examples.ofSchemas[name] }]))
  }
}

/** What is said about one parameter. */
interface Parameter {
  readonly description: string
  /** Replaces what the definition says, which is what the text of a URL is before it is read. */
  readonly schema?: object
  readonly example?: unknown
}

const listOf = (items: object) => ({ type: "array", items })
const name = { type: "string", minLength: 1, maxLength: maxNameLength }
const limitOf = (items: string): Parameter => ({
  description: `Maximum number of ${items} on the page`,
  schema: { type: "integer", minimum: 1, maximum: pageSize.max, default: pageSize.default }
})

const several = "repeated, or separated by commas; one that has commas stands in double quotes"

/** By name, for every operation. */
const common: Readonly<Record<string, Parameter>> = {
  id: { description: "The task's id", schema: { type: "string", minLength: 1, maxLength: maxIdLength } },
  status: {
    description: "Only tasks in these states; repeated, or separated by commas",
    schema: listOf({ type: "string", enum: all })
  },
  type: { description: `Only these task types; ${several}`, schema: listOf(name) },
  queue: { description: `Only these queues; ${several}`, schema: listOf(name) },
  task: {
    description: `Only tasks with these ids; ${several}`,
    schema: listOf({ type: "string" })
  },
  limit: limitOf("tasks"),
  cursor: { description: "The field next of the previous page" },
  only: { description: "finished: an unfinished task is not cancelled but answered with 409" },
  wait: { description: "How long to wait for the result: 500ms, 10s; 30s at most", example: "10s" },
  after: {
    description: "The number of the last event seen, as in the header Last-Event-ID",
    schema: { type: "integer", minimum: 0 }
  },
  access_token: { description: "An API key, for browsers, which cannot send headers here" }
}

/** By operation, where a name means something else there. */
const ofOperations: Readonly<Record<string, Readonly<Record<string, Parameter>>>> = {
  "tasks.list": { cursor: { description: "The field next of the previous page, which had the same filter" } },
  "queues.list": { limit: limitOf("queues") },
  "queues.get": {
    queue: { description: "The queue; tasks without one are in default", schema: name, example: "default" },
    limit: limitOf("types")
  },
  "queues.types": { limit: limitOf("types") },
  "queues.pause": { queue: { description: "The queue; tasks without one are in default", example: "default" } },
  "queues.resume": { queue: { description: "The queue; tasks without one are in default", example: "default" } },
  "older.submitJob": {
    type: { description: "The task type; default by default", schema: name, example: "echo" },
    priority: {
      description: "The priority; normal by default",
      schema: { type: "string", enum: Object.keys(names), default: "normal" }
    }
  }
}

/** What is said about a parameter of an operation. */
const parameterOf = (operationId: string, parameter: string): Parameter | undefined =>
  ofOperations[operationId]?.[parameter] ?? common[parameter]
