import { assert, describe, it } from "@effect/vitest"
import { Exit, Option, Schema, SchemaAST } from "effect"
import * as TaskDefinition from "../../src/domain/TaskDefinition.ts"
import * as UnknownFields from "../../src/domain/UnknownFields.ts"

interface Tree {
  readonly name: string
  readonly children: ReadonlyArray<Tree>
}

const Tree = Schema.Struct({
  name: Schema.String,
  children: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
})

class Person extends Schema.Class<Person>("Person")({ name: Schema.String }) {}

/** Schemas of many kinds, with JSON that fits, JSON with fields too many, and the paths that must be named. */
const cases: ReadonlyArray<
  readonly [string, TaskDefinition.PlainSchema, Schema.Json, Schema.Json, ReadonlyArray<string>]
> = [
  ["a struct", Schema.Struct({ a: Schema.Int }), { a: 1 }, { a: 1, b: 2, "c d": 3 }, [`["b"]`, `["c d"]`]],
  [
    "a struct in a struct",
    Schema.Struct({ in: Schema.optionalKey(Schema.Struct({ a: Schema.Int })) }),
    { in: { a: 1 } },
    { in: { a: 1, b: 2 } },
    [`["in"]["b"]`]
  ],
  [
    "structs in an array",
    Schema.Array(Schema.Struct({ a: Schema.Int })),
    [{ a: 1 }, { a: 2 }],
    [{ a: 1 }, { a: 2, b: 1 }],
    [`[1]["b"]`]
  ],
  [
    "structs in a tuple",
    Schema.Tuple([Schema.String, Schema.Struct({ a: Schema.Int })]),
    ["x", { a: 1 }],
    ["x", { a: 1, b: 2 }],
    [`[1]["b"]`]
  ],
  [
    "a union",
    Schema.Union([Schema.Struct({ a: Schema.Int }), Schema.Struct({ a: Schema.Int, b: Schema.Int }), Schema.String]),
    { a: 1, b: 2 },
    { a: 1, b: 2, c: 3 },
    [`["c"]`]
  ],
  [
    "a field that may be undefined",
    Schema.Struct({ a: Schema.optional(Schema.Struct({ b: Schema.NullOr(Schema.Int) })) }),
    { a: { b: null } },
    { a: { b: null, c: 1 } },
    [`["a"]["c"]`]
  ],
  ["a record of structs", Schema.Record(Schema.String, Schema.Struct({ a: Schema.Int })), { x: { a: 1 } }, {
    x: { a: 1, b: 2 }
  }, [`["x"]["b"]`]],
  ["a class", Person, { name: "Ada" }, { name: "Ada", age: 36 }, [`["age"]`]],
  ["a tree", Tree, { name: "a", children: [{ name: "b", children: [] }] }, {
    name: "a",
    children: [{ name: "b", children: [], leaf: true }]
  }, [`["children"][0]["leaf"]`]],
  [
    "a transformed struct",
    Schema.Struct({ on: Schema.Date, left: Schema.DurationFromMillis, by: Schema.Option(Schema.String) }),
    { on: "2026-01-31T00:00:00.000Z", left: 5, by: { _tag: "None" } },
    { on: "2026-01-31T00:00:00.000Z", left: 5, by: { _tag: "None" }, off: 1 },
    [`["off"]`]
  ]
]

const codecOf = (payload: TaskDefinition.PlainSchema) =>
  TaskDefinition.make("test", { payload, success: Schema.Void, error: Schema.Never }).codec

const issueOf = (exit: Exit.Exit<unknown, Schema.SchemaError>): string => {
  assert(Exit.isFailure(exit))
  return Option.getOrThrow(Exit.findErrorOption(exit)).message
}

describe("a payload", () => {
  it.each(cases)("is taken without unknown fields, and refused with them, each named: %s", (...one) => {
    const [, schema, fitting, excessive, paths] = one
    const codec = codecOf(schema)
    const value = codec.checkPayload(fitting)
    assert(Exit.isSuccess(value))
    assert(Exit.isSuccess(codec.encodePayload(value.value)))
    const issue = issueOf(codec.checkPayload(excessive))
    for (const path of paths) assert.include(issue, `at ${path}`)
    // Stored by an older version, it can be run
    assert(Exit.isSuccess(codec.decodePayload(JSON.stringify(excessive))))
  })

  it("of a program is refused as well", () => {
    const codec = codecOf(Schema.Struct({ to: Schema.String, more: Schema.Struct({ dryRun: Schema.Boolean }) }))
    assert.isTrue(Exit.isSuccess(codec.encodePayload({ to: "a", more: { dryRun: true } })))
    const issue = issueOf(codec.encodePayload({ to: "a", more: { dryRun: false, dryrun: true }, form: "b" } as never))
    for (const path of [`["more"]["dryrun"]`, `["form"]`]) assert.include(issue, `at ${path}`)
    assert.include(
      issueOf(codec.encodePayload({ to: "a", more: { dryRun: true }, [Symbol("s")]: 1 } as never)),
      "Symbol(s)"
    )
  })

  it("may have any fields where its schema says so, and keeps them", () => {
    const open = Schema.StructWithRest(Schema.Struct({ to: Schema.String }), [
      Schema.Record(Schema.String, Schema.Json)
    ])
    for (const schema of [open, Schema.Json, Schema.Unknown, Schema.Record(Schema.String, Schema.Json)]) {
      const codec = codecOf(schema)
      const checked = codec.checkPayload({ to: "a", other: { x: 1 } })
      assert(Exit.isSuccess(checked))
      const text = codec.encodePayload(checked.value)
      assert(Exit.isSuccess(text))
      assert.deepStrictEqual(JSON.parse(text.value), { to: "a", other: { x: 1 } })
    }
  })

  it("names everything that is wrong, not the first of it", () => {
    const issue = issueOf(
      codecOf(Schema.Struct({ n: Schema.Int, m: Schema.Int })).checkPayload({ n: "one", x: 1, y: 2 })
    )
    for (const path of [`["n"]`, `["m"]`, `["x"]`, `["y"]`]) assert.include(issue, path)
  })
})

describe("the quick look", () => {
  /** The strict parser decides; the look may only be sure where that one finds nothing. */
  const isSound = (schema: TaskDefinition.PlainSchema, json: unknown): boolean => {
    const codec = Schema.toCodecJson(schema)
    const strictly = Schema.decodeUnknownExit(codec)(json, { onExcessProperty: "error" })
    return !UnknownFields.lookFor(SchemaAST.toEncoded(codec.ast))(json) || Exit.isSuccess(strictly) ||
      Exit.isFailure(Schema.decodeUnknownExit(codec)(json))
  }

  /** The value with one more field in one of its objects, those counted from 0. */
  const withField = (value: unknown, name: string, added: unknown, at: number): unknown => {
    let index = 0
    const copy = (json: unknown): unknown =>
      Array.isArray(json)
        ? json.map(copy)
        : typeof json !== "object" || json === null
        ? json
        : {
          ...(index++ === at ? { [name]: added } : {}),
          ...Object.fromEntries(Object.entries(json).map(([key, inner]) => [key, copy(inner)]))
        }
    return copy(value)
  }

  const at = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 }))

  for (const [what, schema, fitting] of cases) {
    it.prop(
      `is never sure of what the parser refuses: ${what}`,
      [Schema.String, Schema.Json, at],
      ([name, added, at]) => isSound(schema, fitting) && isSound(schema, withField(fitting, name, added, at))
    )
  }

  it("is sure of plain payloads, so that they are parsed once", () => {
    const Plain = Schema.Struct({
      to: Schema.Union([Schema.String, Schema.Array(Schema.String)]),
      attachments: Schema.optionalKey(Schema.Array(Schema.Struct({ name: Schema.String }))),
      body: Schema.Json,
      tree: Tree
    })
    const look = UnknownFields.lookFor(Plain.ast)
    const tree = { name: "a", children: [{ name: "b", children: [] }] }
    assert.isTrue(look({ to: ["a"], attachments: [{ name: "x" }], body: { any: [{ thing: 1 }] }, tree }))
    assert.isFalse(look({ to: ["a"], attachments: [{ name: "x", size: 1 }], body: null, tree }))
    assert.isFalse(look({ to: "a", body: null, tree: { name: "a", children: [{ ...tree, size: 1 }] } }))
  })
})
