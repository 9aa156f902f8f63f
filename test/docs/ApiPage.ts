/** `docs/api.md`, written from the document that a server serves: `npm run docs:api`. */
import { OpenApi } from "effect/http-api"
import * as Handlers from "../../src/handlers/index.ts"
import * as ApiDescription from "../../src/http/ApiDescription.ts"

interface Document {
  readonly paths: Record<string, Record<string, Operation>>
  readonly components: { readonly schemas: Record<string, Schema> }
}

interface Operation {
  readonly tags: ReadonlyArray<string>
  readonly summary?: string
  readonly description?: string
  readonly parameters: ReadonlyArray<{ readonly name: string; readonly in: string; readonly description?: string }>
  readonly requestBody?: { readonly content: Record<string, Content> }
  readonly responses: Record<string, { readonly description: string; readonly content?: Record<string, Content> }>
}

interface Content {
  readonly schema: Schema
  readonly example?: unknown
  readonly examples?: Record<string, { readonly value: unknown }>
}

interface Schema {
  readonly $ref?: string
  readonly type?: string
  readonly anyOf?: ReadonlyArray<Schema>
  readonly oneOf?: ReadonlyArray<Schema>
  readonly description?: string
  readonly allOf?: ReadonlyArray<Schema>
  readonly properties?: Record<string, Schema>
  readonly required?: ReadonlyArray<string>
}

/** The document of a server with the types that ship with it. */
export const document = (): Document => {
  const catalog = {
    definitions: Handlers.definitions.toSorted((one, other) => one.type < other.type ? -1 : 1)
  }
  return OpenApi.fromApi(ApiDescription.describe(catalog)) as unknown as Document
}

/** Errors that come before there is an operation. */
const before = [
  ["400", "malformed_request", "the request is not HTTP/1.1"],
  ["404", "route_not_found", "there is nothing at the path"],
  ["405", "method_not_allowed", "the path takes other methods; `Allow` names them"],
  ["408", "request_timeout", "the request took too long to arrive"],
  ["414", "uri_too_long", "the target is longer than 8 KiB"],
  ["417", "expectation_failed", "another expectation than `100-continue`"],
  ["431", "headers_too_large", "the head is larger than 16 KiB"]
] as const

/** The page. */
export const render = (): string => {
  const { components, paths } = document()
  const operations = Object.entries(paths).flatMap(([path, byMethod]) =>
    Object.entries(byMethod).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation }))
  )
  const tags = [...new Set(operations.map(({ operation }) => operation.tags[0]!))]
  return [
    "# HTTP API",
    "",
    "`/docs` on a running server shows this reference and can send requests; `/openapi.json` is its source. `npm run docs:api`",
    "writes this page from the same source.",
    "",
    "Times are ISO 8601 in UTC. On a server with API keys, each request needs one: `Authorization: Bearer <key>` or",
    "`X-API-Key: <key>`; see [configuration](configuration.md#who-may-use-it). `/api/tasks…` and `/api/workers` are other names of",
    "`/api/v1/tasks…` and `/api/v1/workers`. `/metrics` is for Prometheus.",
    "",
    "| route | does | answers |",
    "|---|---|---|",
    ...operations.map(({ method, operation, path }) =>
      `| [\`${method} ${path}\`](#${anchor(`${method} ${path}`)}) | ${cell(operation.summary ?? "")} | ${
        Object.keys(operation.responses).filter((status) => Number(status) < 400).join(", ")
      } |`
    ),
    "",
    ...tags.flatMap((tag) => [
      `## ${titles[tag] ?? tag}`,
      "",
      ...operations.filter(({ operation }) => operation.tags[0] === tag).flatMap(section)
    ]),
    "## Fields",
    "",
    ...["NewTask", "Task", "TaskEvent", "Stats"].flatMap((name) => fields(name, shapeOf(name, components.schemas))),
    "## Errors",
    "",
    "Every error is `{\"error\": {\"code\", \"message\", …facts}}`. The code is stable, the message is for people. Errors",
    "contain nothing internal: stacks are in the log only.",
    "",
    "| status | code | when |",
    "|---|---|---|",
    ...errors(operations.map(({ operation }) => operation), components.schemas),
    ""
  ].join("\n")
}

const titles: Readonly<Record<string, string>> = {
  tasks: "Tasks",
  events: "Events",
  queues: "Queues",
  system: "System",
  older: "Routes of earlier designs"
}

interface Entry {
  readonly path: string
  readonly method: string
  readonly operation: Operation
}

const section = ({ method, operation, path }: Entry): ReadonlyArray<string> => {
  const lines = [`### ${method} ${path}`, "", `${operation.summary ?? ""}. ${operation.description ?? ""}`.trim(), ""]
  const parameters = operation.parameters.filter(({ name }) => name !== "access_token")
  if (parameters.length > 0) {
    lines.push(
      ...parameters.map(({ description, in: place, name }) =>
        `- \`${name}\` (${place})${description === undefined ? "" : `: ${description}`}`
      ),
      ""
    )
  }
  const request = operation.requestBody?.content["application/json"]
  if (request !== undefined) lines.push(...block("Request", request))
  for (const [status, { content }] of Object.entries(operation.responses)) {
    const json = content?.["application/json"]
    if (Number(status) < 400 && json !== undefined) lines.push(...block(`Answer ${status}`, json))
  }
  const refused = Object.keys(operation.responses).filter((status) => Number(status) >= 400)
  lines.push(`Errors: ${refused.join(", ")}.`, "")
  return lines
}

const block = (title: string, content: Content): ReadonlyArray<string> =>
  examplesOf(content).flatMap((example) => [`${title}:`, "", "```json", JSON.stringify(example, null, 2), "```", ""])

/** Every example of a content. */
export const examplesOf = (content: Content): ReadonlyArray<unknown> =>
  content.example === undefined ? Object.values(content.examples ?? {}).map(({ value }) => value) : [content.example]

/** What the members of a union by type have in common: all fields, and that the type decides about some. */
const shapeOf = (name: string, schemas: Document["components"]["schemas"]): Schema => {
  const schema: Schema = schemas[name]!
  const member: Schema | undefined = schemas[schema.oneOf?.[0]?.$ref?.split("/").at(-1) ?? ""]
  if (member === undefined) return schema
  const properties = {
    ...member.properties,
    type: { description: "One of the [task types](task-types.md)" },
    payload: { description: name === "NewTask" ? "What the type takes; `{}` by default" : "What the type takes" },
    ...(member.properties?.["result"] === undefined ? {} : { result: { description: "What the type gives, or null" } })
  }
  return { ...member, properties }
}

const fields = (name: string, { properties = {}, required = [] }: Schema): ReadonlyArray<string> => [
  `### ${name}`,
  "",
  "| field | is |",
  "|---|---|",
  ...Object.entries(properties).map(([field, schema]) =>
    `| \`${field}\`${required.includes(field) ? "" : " (optional)"} | ${cell(about(schema))} |`
  ),
  ""
]

const about = (schema: Schema): string =>
  schema.description ?? schema.allOf?.map(about).find((text) => text !== "") ?? schema.type ??
    schema.anyOf?.map(({ $ref, type }) => type ?? $ref?.split("/").at(-1) ?? "").filter((text) => text !== "").join(
      " or "
    ) ??
    schema.$ref?.split("/").at(-1) ?? ""

const errors = (
  operations: ReadonlyArray<Operation>,
  schemas: Document["components"]["schemas"]
): ReadonlyArray<string> => {
  const rows = new Map<string, string>()
  const add = (status: string, code: string, when: string) =>
    rows.set(`${status} ${code}`, `| ${status} | \`${code}\` | ${when} |`)
  for (const [status, code, when] of before) add(status, code, when)
  for (const { responses } of operations) {
    for (const [status, { content, description }] of Object.entries(responses)) {
      const json = content?.["application/json"]
      if (Number(status) < 400 || json === undefined) continue
      const names = (json.schema.anyOf ?? [json.schema]).map(({ $ref }) => $ref?.split("/").at(-1))
      for (const [index, example] of examplesOf(json).entries()) {
        const { error } = example as { readonly error?: { readonly code: string } }
        const schema = schemas[names[index] ?? ""]
        if (error !== undefined) add(status, error.code, cell(schema?.description ?? description))
      }
    }
  }
  return [...rows].toSorted(([one], [other]) => one < other ? -1 : 1).map(([, row]) => row)
}

const anchor = (title: string): string => title.toLowerCase().replace(/[^\w\- ]/g, "").replace(/ /g, "-")

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ")
