import { assert, describe, it } from "@effect/vitest"
import { Exit, Schema } from "effect"
import * as StoredType from "../../src/domain/StoredType.ts"
import type * as TaskDefinition from "../../src/domain/TaskDefinition.ts"
import * as Versions from "../../src/domain/Versions.ts"
import * as Task from "../../src/Task.ts"

const Names = { names: Schema.Array(Schema.String), locale: Schema.String.check(Schema.isNonEmpty()) }

const greet = Task.make("greet", {
  payload: Names,
  earlier: Versions.first({ name: Schema.String }, ({ name }) => ({ names: [name] }))
    .next({ names: Schema.Array(Schema.String) }, ({ names }) => ({ names, locale: names[0] === "" ? "" : "en" }))
})

const { codec } = greet

const issueOf = (exit: Exit.Exit<unknown, Schema.SchemaError>): string => {
  if (Exit.isSuccess(exit)) return assert.fail("it fits")
  const reason = exit.cause.reasons[0]
  return reason?._tag === "Fail" ? reason.error.message : assert.fail(String(exit.cause))
}

describe("Versions", () => {
  it("read a payload of each version as one of the last", () => {
    assert.strictEqual(greet.version, 3)
    const expected = Exit.succeed({ names: ["ada"], locale: "en" })
    assert.deepStrictEqual(codec.decodePayload(`{"name":"ada"}`, 1), expected)
    assert.deepStrictEqual(codec.decodePayload(`{"names":["ada"]}`, 2), expected)
    assert.deepStrictEqual(codec.decodePayload(`{"names":["ada"],"locale":"en"}`, 3), expected)
    assert.deepStrictEqual(codec.readPayload({ names: ["ada"], locale: "en" }), expected)
  })

  it("say what is wrong with one, and where", () => {
    assert.include(issueOf(codec.decodePayload(`{"names":["ada"]}`, 1)), `["name"]`)
    assert.include(issueOf(codec.decodePayload(`{"name":"ada"}`)), `["names"]`)
    assert.include(issueOf(codec.decodePayload(`{"name":"ada"}`, 4)), "version 4: a newer program has stored it")
    assert.include(issueOf(codec.decodePayload("{", 1)), "Expected a JSON text")
    // The last function gave what the schema refuses
    assert.include(issueOf(codec.decodePayload(`{"name":""}`, 1)), `["locale"]`)
  })

  it("say which of their functions failed", () => {
    const throwing = Task.make("throwing", {
      payload: Schema.String,
      earlier: Versions.first(Schema.Int, (number): string => {
        if (number === 0) throw new Error("zero has no name")
        return String(number)
      })
    })
    assert.deepStrictEqual(throwing.codec.decodePayload("1", 1), Exit.succeed("1"))
    const issue = issueOf(throwing.codec.decodePayload("0", 1))
    assert.include(issue, "Version 1 does not become version 2: its function threw Error: zero has no name")
  })

  it("ignore unknown fields where they read, and name them where they check", () => {
    assert.isTrue(Exit.isSuccess(codec.readPayload({ name: "ada", more: 1 }, 1)))
    assert.include(issueOf(codec.checkPayload({ name: "ada", more: 1 }, 1)), `["more"]`)
    assert.deepStrictEqual(codec.checkPayload({ name: "ada" }, 1), Exit.succeed({ names: ["ada"], locale: "en" }))
    assert.include(issueOf(codec.checkPayload({ name: "ada" }, 4)), "version 4")
  })

  it("may begin later, where no task of those before is left", () => {
    const late = Task.make("late", {
      payload: Schema.String,
      earlier: Versions.from(2, Schema.Int, String)
    })
    assert.strictEqual(late.version, 3)
    assert.deepStrictEqual(late.codec.decodePayload("2", 2), Exit.succeed("2"))
    assert.include(issueOf(late.codec.decodePayload("1", 1)), "Expected version 2 to 3, got version 1")
  })

  it("are refused where they are none, too many, or the name of a type has their mark", () => {
    assert.throws(() => Task.make("a", { payload: Schema.String, earlier: {} as never }), "earlier")
    assert.throws(() => Versions.from(0, Schema.Int, String), "earlier")
    assert.throws(() => Versions.from(StoredType.maxVersion, Schema.Int, String), "earlier")
    assert.throws(() => Task.make("a\u001f2"), "type")
    const last = Versions.from(StoredType.maxVersion - 1, Schema.Int, String)
    assert.strictEqual(last.version, StoredType.maxVersion)
    assert.throws(() => last.next(Schema.String, String), "earlier")
  })

  it("are typed from one to the next", () => {
    // @ts-expect-error: the function gives no payload of the type
    Task.make("a", { payload: Schema.String, earlier: Versions.first(Schema.Int, (number) => number) })
    // @ts-expect-error: version 2 takes a text
    Versions.first(Schema.Int, (number) => number).next(Schema.String, String)
    const definition: TaskDefinition.AnyTaskDefinition = greet
    assert.strictEqual(definition.version, 3)
  })
})

describe("StoredType", () => {
  it("has the name alone for the first version, and both for another", () => {
    assert.strictEqual(StoredType.storedTypeOf("a", 1), "a")
    assert.strictEqual(StoredType.storedTypeOf("a", undefined), "a")
    const stored = StoredType.storedTypeOf("a", 12)
    assert.deepStrictEqual([StoredType.typeOf(stored), StoredType.versionOf(stored)], ["a", 12])
    assert.deepStrictEqual([StoredType.typeOf("a"), StoredType.versionOf("a")], ["a", 1])
    assert.deepStrictEqual(StoredType.namesOf([...StoredType.upTo("a", 3), "b"]), ["a", "b"])
    assert.deepStrictEqual(StoredType.versionsIn([...StoredType.upTo("a", 11), "b"], "a").at(-1), 11)
  })
})
