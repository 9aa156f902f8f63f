/**
 * The API's description, with the task types that this server knows: for machines at `/openapi.json`, for people at
 * `/docs`. Each is made when it is first asked for; the script of the page for people is 3 MB.
 */
import { Effect, Exit, JsonSchema, type Layer, Schema, Scope } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { HttpApiScalar, OpenApi } from "effect/http-api"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import { version } from "../store/Instance.ts"
import type { GuardedRoute } from "./api/NeededRole.ts"
import { ServedApi } from "./compat/OlderApi.ts"
import { completeDocument } from "./completeDocument.ts"
import { favicon } from "./FirstPage.ts"
import { TaskCatalog } from "./TaskCatalog.ts"

const documentPath = "/openapi.json"
const pagePath = "/docs"

/** Both are open to every client. */
export const routes: ReadonlyArray<GuardedRoute> = [pagePath, documentPath].map((path) => ({
  method: "GET",
  path,
  needed: "public"
}))

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
export const describe = ({ definitions }: TaskCatalog["Service"], base: string = "") =>
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
