/**
 * The API's description, with the task types that this server knows: for machines at `/openapi.json`, for people at
 * `/docs`. Each is made when it is first asked for; the script of the page for people is 3 MB.
 */
import { Effect, Exit, JsonSchema, type Layer, Schema, Scope } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { HttpApiScalar, OpenApi } from "effect/http-api"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import { version } from "../store/InstanceStore.ts"
import { publicPage } from "./api/NeededRole.ts"
import * as ApiTexts from "./ApiTexts.ts"
import { ServedApi } from "./compat/OlderApi.ts"
import { favicon } from "./FirstPage.ts"
import * as ParameterTexts from "./ParameterTexts.ts"
import { TaskCatalog } from "./TaskCatalog.ts"

const documentPath = "/openapi.json"
const pagePath = "/docs"

/** Both are open to every client. */
export const routes = [pagePath, documentPath].map(publicPage)

/** Serves the descriptions of an API that is under a path of the server, or at its root. */
export const layer = (base: string): Layer.Layer<never, never, HttpRouter.HttpRouter | TaskCatalog> =>
  HttpRouter.use(
    Effect.fnUntraced(function*(router) {
      const api = describe(yield* TaskCatalog, base)
      const scope = yield* Effect.scope
      const document = yield* Effect.cached(Effect.sync(() => HttpServerResponse.jsonUnsafe(OpenApi.fromApi(api))))
      const page = yield* Effect.cached(
        HttpRouter.toHttpEffect(HttpApiScalar.layer(api, { path: pagePath, scalar: appearance })).pipe(
          Effect.provideService(Scope.Scope, scope)
        )
      )
      yield* router.add("GET", documentPath, document)
      yield* router.add(
        "GET",
        pagePath,
        Effect.gen(function*() {
          const answer = yield* Effect.orDie(yield* page)
          return HttpServerResponse.setHeader(answer, "content-security-policy", contentSecurityPolicy)
        })
      )
    })
  )

/** The API whose description knows the types of a catalog, and where it is. */
export const describe = ({ definitions }: Pick<TaskCatalog["Service"], "definitions">, base: string = "") =>
  ServedApi.annotate(OpenApi.Version, version).annotate(OpenApi.Transform, (document) => {
    if (base !== "") document["servers"] = [{ url: base }]
    completeDocument(document as Parameters<typeof completeDocument>[0])
    const components = document["components"]
    return components?.schemas === undefined
      ? document
      : { ...document, components: { ...components, schemas: specialise(components.schemas, definitions) } }
  })

/** The script is part of the page, and may talk to this server only. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'unsafe-inline'",
  "style-src 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "font-src data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join("; ")

/**
 * How the reference shows itself. What its maker offers (a hosted client, tools to publish the document, links to its
 * site) is left out: it has nothing to do with this server, and would send the description of the API elsewhere.
 */
const appearance = {
  withDefaultFonts: false,
  favicon: favicon,
  hideClientButton: true,
  showDeveloperTools: "never",
  telemetry: false,
  // On a phone some of its lists are wider than the page, which would then move sideways
  customCss: `a[href*="scalar.com"]{display:none!important}html,.scalar-api-reference{overflow-x:clip!important}`
} as const

/** Schemas by the names under which a document refers to them. */
type Components = Record<string, JsonSchema.JsonSchema>

/** The shapes of tasks without regard to their types, as the API defines them. */
interface ObjectSchema {
  readonly properties: Readonly<Record<string, JsonSchema.JsonSchema>>
  readonly required?: ReadonlyArray<string>
}

/**
 * Turns the components `NewTask` and `Task` into unions over these types, by their `type`, so that generated clients know the
 * payload and the result of every type.
 */
const specialise = (components: Components, definitions: ReadonlyArray<AnyTaskDefinition>): Components => {
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

/** The parts of an OpenAPI document that are read and written here. */
interface Document {
  readonly paths: Record<string, Record<string, Operation>>
  readonly components: { readonly schemas: Record<string, SchemaObject>; securitySchemes?: object }
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
  readonly schema: SchemaObject
  example?: unknown
  examples?: Record<string, { readonly value: unknown }>
}

interface SchemaObject {
  readonly $ref?: string
  readonly anyOf?: ReadonlyArray<SchemaObject>
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
const isPublic = (path: string): boolean => path === "/health" || path === "/api/v1/health" || isProbe(path)

/** No limit of requests counts it. */
const isProbe = (path: string): boolean => path.startsWith("/health/")

/**
 * Adds to a document, in place, what it says beyond the definitions: keys, the errors around endpoints, and examples.
 */
const completeDocument = (document: Document): void => {
  document.components.securitySchemes = {
    bearer: { type: "http", scheme: "bearer", description: "An API key, where the server asks for one" },
    header: { type: "apiKey", in: "header", name: "X-API-Key" }
  }
  for (const [name, schema] of Object.entries(document.components.schemas)) {
    const example = ApiTexts.ofSchemas[name]
    if (example !== undefined) schema.examples = [example]
  }
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const operation of Object.values(operations)) complete(path, operation)
  }
}

const complete = (path: string, operation: Operation): void => {
  for (const parameter of operation.parameters) {
    Object.assign(parameter, ParameterTexts.parameterOf(operation.operationId, parameter.name))
  }
  if (operation.operationId === "events.socket") describeSocket(operation)
  operation.security = isPublic(path) ? [] : [{}, { bearer: [] }, { header: [] }]
  const own = ApiTexts.ofOperations[operation.operationId] ?? {}
  for (const content of Object.values(operation.requestBody?.content ?? {})) give(content, own["request"])
  for (const [status, { about, examples }] of Object.entries(ApiTexts.ofErrors)) {
    if (isPublic(path) && (status === "401" || status === "403")) continue
    if (isProbe(path) && status === "429") continue
    operation.responses[status] ??= {
      description: about,
      content: { "application/json": { schema: errorSchema as SchemaObject, example: examples[0] } }
    }
  }
  for (const [status, response] of Object.entries(operation.responses)) {
    const { content = {} } = response
    if (isNameOfSchema.test(response.description)) {
      response.description = { ...meanings, ...meaningsOf[path] }[status] ?? response.description
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
  429: "There are too many requests at a time; try again in a second",
  503: "There is no room, or the store does not answer; Retry-After says when to try again"
}

const ofHealth: typeof meanings = {
  200: "All parts work",
  503: "Some part does not work; troubles names it, for callers with a key where there are keys"
}

/** By path, where a status means something else. */
const meaningsOf: Readonly<Record<string, typeof meanings>> = {
  "/health": ofHealth,
  "/api/v1/health": ofHealth,
  "/health/live": { 200: "The process lives" },
  "/health/ready": { 200: "Requests are taken", 503: "Requests should go to another instance; reason says why" }
}

/** OpenAPI has no words for a WebSocket: its answers are those of the handshake. */
const describeSocket = ({ responses }: Operation): void => {
  delete responses["200"]
  delete responses["204"]
  responses["101"] = { description: "The connection is a WebSocket from here on" }
  responses["426"] = {
    description: "The request is no handshake of a WebSocket",
    content: { "application/json": { schema: errorSchema as SchemaObject, example: ApiTexts.upgradeRequired } }
  }
}

/** The example of an operation, or those of the schemas that its content may have. */
const give = (content: Content, own: unknown): void => {
  if (own !== undefined) {
    content.example = own
    return
  }
  const names = (content.schema.anyOf ?? [content.schema]).flatMap(({ $ref }) => $ref?.split("/").at(-1) ?? [])
  const known = names.filter((name) => ApiTexts.ofSchemas[name] !== undefined)
  if (known.length === 1) content.example = ApiTexts.ofSchemas[known[0]!]
  else if (known.length > 1) {
    content.examples = Object.fromEntries(known.map((name) => [name, { value: ApiTexts.ofSchemas[name] }]))
  }
}
