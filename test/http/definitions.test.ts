import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { DefinitionJson, DefinitionListJson } from "../../src/http/api/QueuesApi.ts"
import * as Task from "../../src/Task.ts"
import { decoded, definitions, get, layer, refused } from "./TestServer.ts"

interface Node {
  readonly children: ReadonlyArray<Node>
}
const Node = Schema.Struct({
  children: Schema.Array(Schema.suspend((): Schema.Codec<Node> => Node))
}).annotate({ identifier: "Node" })

const Mail = Task.make("mail", {
  payload: {
    to: Schema.String.annotate({ description: "<b>Who</b> gets it" }).check(Schema.isMaxLength(320)),
    urgent: Schema.Boolean.pipe(Schema.withDecodingDefaultKey(Effect.succeed(false))),
    sent: Schema.optionalKey(Schema.DateTimeUtcFromString),
    tree: Schema.optionalKey(Node)
  },
  success: Schema.Struct({ id: Schema.String }),
  queue: "post",
  priority: "high",
  timeout: "30 seconds"
})

const server = layer({ definitions: [...definitions, Mail] })
const one = (type: string) => decoded(DefinitionJson, get(`/api/v1/definitions/${type}`))

describe("GET /api/v1/definitions", () => {
  it.effect("lists the types that the server accepts, also where there is no task of them", () =>
    Effect.gen(function*() {
      const { definitions } = yield* decoded(DefinitionListJson, get("/api/v1/definitions"))
      assert.deepStrictEqual(definitions, [
        { type: "count", description: null },
        { type: "echo", description: "Gives it back" },
        { type: "mail", description: null },
        { type: "tick", description: null }
      ])
    }).pipe(Effect.provide(server)))

  it.effect("says what a type takes and gives, with the defaults of its fields", () =>
    Effect.gen(function*() {
      const { payload, result, ...rest } = yield* one("mail")
      assert.deepStrictEqual(rest, {
        type: "mail",
        description: null,
        version: 1,
        queue: "post",
        priority: 2,
        timeout_ms: 30_000
      })
      const { properties, required } = payload as {
        readonly properties: Record<string, object>
        readonly required: ReadonlyArray<string>
      }
      assert.deepStrictEqual(required, ["to"])
      assert.deepStrictEqual(properties["to"], { type: "string", description: "<b>Who</b> gets it", maxLength: 320 })
      assert.deepStrictEqual(properties["urgent"], { type: "boolean", default: false })
      assert.notProperty(properties["sent"], "default")
      // What refers to itself has its schema in the answer
      assert.deepStrictEqual(properties["tree"], { $ref: "#/$defs/Node" })
      assert.property(payload["$defs"], "Node")
      assert.deepInclude(result, { type: "object", required: ["id"] })
      assert.deepStrictEqual((yield* one("echo")).payload["type"], undefined)
      yield* one("tick")
    }).pipe(Effect.provide(server)))

  it.effect("does not find a type that it does not know, and names the one that was meant", () =>
    Effect.gen(function*() {
      const asked = (name: string) => refused(404, "definition_not_found", get(`/api/v1/definitions/${name}`))
      assert.deepInclude(yield* asked("%3Cscript%3E"), { type: "<script>", nearest: null })
      assert.deepInclude(yield* asked("ecoh"), {
        type: "ecoh",
        nearest: "echo",
        message: "No definition has the type \"ecoh\"; did you mean \"echo\"?"
      })
      assert.strictEqual(String((yield* asked("x".repeat(255)))["type"]).length, 255)
    }).pipe(Effect.provide(server)))
})
