import { assert, describe, it } from "@effect/vitest"
import { Exit, Schema } from "effect"
import { InvalidOption } from "../../src/domain/Errors.ts"
import * as TaskDefinition from "../../src/domain/TaskDefinition.ts"

class Rejected extends Schema.TaggedError<Rejected>()("Rejected", { code: Schema.Int, at: Schema.Date }) {}

const Payload = Schema.Struct({ to: Schema.String, when: Schema.Date, size: Schema.optionalKey(Schema.BigInt) })

const make = <S extends TaskDefinition.PlainSchema>(success: S) =>
  TaskDefinition.make("email", { payload: Payload, success, error: Rejected })

const right = <A, E>(exit: Exit.Exit<A, E>): A => Exit.isSuccess(exit) ? exit.value : assert.fail(String(exit))

describe("TaskDefinition", () => {
  it("has defaults for all that is not said", () => {
    const { codec: _codec, ...definition } = make(Schema.Void)
    assert.deepStrictEqual(definition, {
      type: "email",
      payload: Payload,
      version: 1,
      success: Schema.Void,
      error: Rejected,
      queue: "default",
      priority: 1,
      idempotencyKey: undefined,
      unique: undefined,
      retry: {},
      timeoutMs: undefined,
      expiresInMs: undefined,
      startWithinMs: undefined,
      tags: [],
      limits: [],
      breakers: [],
      steps: { onChanged: "fail", retired: [] },
      description: undefined
    })
  })

  it("throws where something is outside of its bound, and names it", () => {
    const outside: ReadonlyArray<readonly [option: string, options: Record<string, unknown>, type?: string]> = [
      ["type", {}, ""],
      ["type", {}, "a\u0000"],
      ["type", {}, "\ud800"],
      ["queue", { queue: "x".repeat(256) }],
      ["tags", { tags: "invoice" }],
      ["tags", { tags: Array.from({ length: 11 }, (_, index) => String(index)) }],
      ["tags", { tags: ["a,b"] }],
      ["priority", { priority: 1.5 }],
      ["priority", { priority: "hihg" }],
      ["timeout", { timeout: 0 }],
      ["timeout", { timeout: "Infinity" }],
      ["timeout", { timeout: NaN }],
      ["retry.times", { retry: { times: 1.5 } }],
      ["retry.times", { retry: { times: 2 ** 53 } }],
      ["retry.maxDelay", { retry: { maxDelay: Infinity } }],
      ["retry.byTag.Busy.times", { retry: { byTag: { Late: false, Busy: { times: -2 } } } }],
      ["retry.byTag.Busy.maxDelay", { retry: { byTag: { Busy: { maxDelay: -1 } } } }]
    ]
    const schemas = { payload: Payload, success: Schema.Void, error: Rejected }
    for (const [option, options, type = "email"] of outside) {
      try {
        TaskDefinition.make(type, { ...schemas, ...options })
      } catch (error) {
        assert.instanceOf(error, InvalidOption)
        assert.strictEqual(error.option, option)
        continue
      }
      assert.fail(`${option} was taken`)
    }
  })

  it("reads priorities by name and timeouts as whole milliseconds, rounded up", () => {
    const definition = TaskDefinition.make("email", {
      payload: Payload,
      success: Schema.Void,
      error: Rejected,
      priority: "critical",
      timeout: "1.0005 seconds",
      queue: "mail",
      description: "Sends mail"
    })
    assert.strictEqual(definition.priority, 3)
    assert.strictEqual(definition.timeoutMs, 1001)
    assert.strictEqual(definition.queue, "mail")
    assert.strictEqual(definition.description, "Sends mail")
  })

  describe("codec", () => {
    const { codec } = make(Schema.Struct({ messageId: Schema.String, sentAt: Schema.Date }))

    it.prop("brings every payload back from its text", [Payload], ([payload]) => {
      if (Number.isNaN(payload.when.getTime())) return
      assert.deepStrictEqual(right(codec.decodePayload(right(codec.encodePayload(payload)))), payload)
    })

    it("brings successes and errors back, dates and classes included", () => {
      const success = { messageId: "m", sentAt: new Date(1_700_000_000_000) }
      assert.deepStrictEqual(right(codec.decodeSuccess(right(codec.encodeSuccess(success)))), success)
      const error = new Rejected({ code: 550, at: new Date(0) })
      const json = right(codec.encodeError(error))
      const decoded = right(codec.decodeError(JSON.parse(JSON.stringify(json))))
      assert.instanceOf(decoded, Rejected)
      assert.deepStrictEqual({ ...decoded }, { ...error })
    })

    it("writes nothing at all as null and reads it back", () => {
      const nothing = make(Schema.Void).codec
      assert.strictEqual(right(nothing.encodeSuccess(undefined)), "null")
      assert.strictEqual(right(nothing.decodeSuccess("null")), undefined)
      const undefinedResult = make(Schema.Undefined).codec
      assert.strictEqual(
        right(undefinedResult.decodeSuccess(right(undefinedResult.encodeSuccess(undefined)))),
        undefined
      )
    })

    it("keeps the null of a result that may be null", () => {
      const maybe = make(Schema.NullOr(Schema.String)).codec
      assert.strictEqual(right(maybe.encodeSuccess(null)), "null")
      assert.strictEqual(right(maybe.decodeSuccess("null")), null)
    })

    it("says where a payload does not fit", () => {
      const exit = codec.decodePayload(`{"to":5,"when":"2024-01-01T00:00:00.000Z"}`)
      assert.isTrue(Exit.isFailure(exit))
      assert.include(String(exit), `["to"]`)
      assert.isTrue(Exit.isFailure(codec.encodePayload({ to: 5 } as never)))
      assert.isTrue(Exit.isFailure(codec.decodeSuccess("{}")))
      assert.isTrue(Exit.isFailure(codec.decodeError({ _tag: "Other" })))
    })

    it("answers with a failure, not with an exception, when the text is no JSON", () => {
      for (const text of ["", "{", "undefined", "not json"]) {
        assert.isTrue(Exit.isFailure(codec.decodePayload(text)), text)
        assert.isTrue(Exit.isFailure(codec.decodeSuccess(text)), text)
      }
    })
  })
})
