/** What others make of `/openapi.json`: a validator, and a generator of clients. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { Validator } from "@seriousme/openapi-schema-validator"
import { Context, Effect, Layer } from "effect"
import { HttpServer as Listener } from "effect/http"
import { OpenApi } from "effect/http-api"
import { execFile } from "node:child_process"
import { copyFileSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { generateSource } from "oazapfts"
import * as Handlers from "../../src/handlers/index.ts"
import { describe as describeApi } from "../../src/http/ApiDescription.ts"
import { TaskCatalog } from "../../src/http/TaskCatalog.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import { Count, expecting, get, layer, Tick } from "../http/TestServer.ts"

const worker = layer({
  handlers: Layer.merge(Count.toLayer(() => Effect.void), Tick.toLayer(() => Effect.void))
})

const modules = fileURLToPath(new URL("../../node_modules", import.meta.url))
const program = fileURLToPath(new URL("program.ts", import.meta.url))
const run = promisify(execFile)

/** What a program of somebody else is compiled with. */
const compilerOptions = {
  strict: true,
  noUncheckedIndexedAccess: true,
  erasableSyntaxOnly: true,
  allowImportingTsExtensions: true,
  noEmit: true,
  target: "ES2024",
  module: "NodeNext",
  lib: ["ES2024", "DOM", "DOM.Iterable"],
  types: ["node"],
  skipLibCheck: true
}

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "taskforge-openapi-"))
  symlinkSync(modules, join(folder, "node_modules"))
  copyFileSync(program, join(folder, "program.ts"))
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }))
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }))
  return () => rmSync(folder, { recursive: true, force: true })
})

/** The types that ship with the server. */
const shipped = TaskCatalog.layer(Handlers.definitions).pipe(Layer.provide(MemoryStore.layer()))

describe("/openapi.json", () => {
  it.live("is a valid document of OpenAPI 3.1", () =>
    Effect.gen(function*() {
      const { json } = yield* expecting(200, get("/openapi.json"))
      const validator = new Validator()
      const { errors, valid } = yield* Effect.promise(() => validator.validate(json as Record<string, unknown>))
      assert.isTrue(valid, JSON.stringify(errors, null, 2))
      assert.strictEqual(validator.version, "3.1")
      const broken = {
        ...(json as Record<string, unknown>),
        paths: { "/api/v1/tasks": { post: { responses: "none" } } }
      }
      assert.isFalse((yield* Effect.promise(() => new Validator().validate(broken))).valid)
    }).pipe(Effect.provide(worker)))

  it.effect("says in words what every field of a new task and every answer is", () =>
    Effect.gen(function*() {
      const { components, paths } = OpenApi.fromApi(describeApi(yield* TaskCatalog)) as unknown as {
        readonly components: { readonly schemas: Record<string, { readonly properties: Record<string, object> }> }
        readonly paths: Record<
          string,
          Record<string, { readonly responses: Record<string, { readonly description: string }> }>
        >
      }
      for (const [name, field] of Object.entries(components.schemas["NewSleepTask"]!.properties)) {
        if (name !== "payload") assert.property(field, "description", name)
      }
      for (const [path, operations] of Object.entries(paths)) {
        for (const { responses } of Object.values(operations)) {
          for (const [status, { description }] of Object.entries(responses)) {
            assert.match(description, /^[A-Z]\w* .*\w+/, `${path} ${status}`)
          }
        }
      }
    }).pipe(Effect.provide(shipped)))

  it.effect("has the payload and the result of every type that ships with the server", () =>
    Effect.gen(function*() {
      const catalog = Context.get(yield* Layer.build(shipped), TaskCatalog)
      const document = OpenApi.fromApi(describeApi(catalog))
      const { errors, valid } = yield* Effect.promise(() =>
        new Validator().validate(JSON.parse(JSON.stringify(document)) as Record<string, unknown>)
      )
      assert.isTrue(valid, JSON.stringify(errors, null, 2))
      const schemas = document.components.schemas as Record<string, Record<string, any>>
      const { mapping } = schemas["NewTask"]!["discriminator"]
      assert.deepStrictEqual(Object.keys(mapping), catalog.types)
      assert.strictEqual(mapping["file_read"], "#/components/schemas/NewFileReadTask")
      assert.deepStrictEqual(schemas["NewFileReadTask"]!["required"], ["type", "payload"])
      assert.deepStrictEqual(schemas["NewSleepTask"]!["required"], ["type"])
      assert.deepStrictEqual(Object.keys(schemas["FileReadPayload"]!["properties"]), ["path", "offset", "max_bytes"])
      assert.deepStrictEqual(schemas["FileReadPayload"]!["required"], ["path"])
      assert.include(Object.keys(schemas["FileReadResult"]!["properties"]), "is_end")
      assert.deepStrictEqual(schemas["FileReadTask"]!["properties"].result, {
        anyOf: [{ $ref: "#/components/schemas/FileReadResult" }, { type: "null" }]
      })
    }).pipe(Effect.scoped))

  it.live("gives a client that compiles and works", () =>
    Effect.gen(function*() {
      const url = Listener.formatAddress((yield* Listener.HttpServer).address)
      const client = join(folder, "client.ts")
      writeFileSync(
        join(folder, "typed.ts"),
        `import { tasksCreate } from "./client.ts"
// @ts-expect-error the client knows what each type takes
void tasksCreate({ type: "count", payload: { n: "one" } })
// @ts-expect-error and which types there are
void tasksCreate({ type: "unheard of" })
`
      )
      writeFileSync(client, yield* Effect.promise(() => generateSource(`${url}/openapi.json`)))
      yield* Effect.promise(() => run(join(modules, ".bin", "tsc"), ["-p", folder]))
      const { stdout } = yield* Effect.promise(() => run(process.execPath, [join(folder, "program.ts"), url]))
      assert.strictEqual(stdout, "done\n")
    }).pipe(Effect.provide(worker)))
})
