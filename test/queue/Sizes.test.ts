/** What people are told where something is too large: how large it is, how large it may be, and what became of the task. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as Bounds from "../../src/domain/Bounds.ts"
import { QueueFull } from "../../src/domain/Errors.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Task from "../../src/Task.ts"
import { withEngine } from "../engine/TestEngine.ts"

const Text = Task.make("text", { payload: { text: Schema.String } })
const Listed = Task.make("listed", {
  error: Schema.TaggedStruct("Listed", { numbers: Schema.Array(Schema.Int) }),
  retry: { times: 0 }
})

const large = "x".repeat(Bounds.maxPayloadBytes)
const tooLarge = "Expected a JSON text of at most 4194304 bytes, got 4194315. " +
  "No setting changes that: keep large data elsewhere, and say where it is"

describe("what is too large", () => {
  it.effect("as a payload is refused with its size, its place and the bound, and nothing is stored", () =>
    withEngine(
      {},
      Effect.gen(function*() {
        const one = yield* Effect.flip(Text.enqueue({ text: large }))
        assert.strictEqual(one.message, `The payload does not fit task type "text": ${tooLarge}`)
        const batch = yield* Effect.flip(Text.enqueueAll([{ text: "" }, { text: large }]))
        assert.strictEqual(
          batch.message,
          `The payload at index 1 of the batch does not fit task type "text": ${tooLarge}`
        )
        assert.strictEqual((yield* TaskQueue.use((queue) => queue.counts)).pending, 0)
        const waiting = yield* Text.enqueue({ text: "small" })
        const changed = yield* Effect.flip(waiting.reschedule({ payload: { text: large } }))
        assert.include(changed.message, tooLarge)
        assert.deepStrictEqual((yield* waiting.task).payload, { text: "small" })
      })
    ))

  it.effect("as details of an error is left out, and its place says so, for those who await it too", () =>
    withEngine(
      {
        handlers: Listed.toLayer(() => Effect.fail({ _tag: "Listed", numbers: Array(Bounds.maxDetailBytes).fill(7) }))
      },
      Effect.gen(function*() {
        const handle = yield* Listed.enqueue()
        yield* TestClock.adjust("1 minute")
        const error = yield* Effect.flip(handle.result)
        assert.strictEqual(error._tag, "TaskDefect")
        const said = "The error Listed cannot be read as its definition says: "
        const message = String((error as { readonly failure?: { readonly message: string } }).failure?.message)
        assert.strictEqual(message.slice(0, said.length), said)
        assert.match(
          message,
          /\(Its details have 524317 bytes of JSON, and 262144 are kept at most.*: they are left out\)$/
        )
        const { failure } = yield* TaskQueue.use((queue) => queue.get(handle.id))
        assert.isAtMost(failure!.message.length, 2000)
        assert.match(failure!.message, /they are left out\)$/)
      })
    ))

  it("as a batch says what may be raised", () => {
    assert.include(new QueueFull({ capacity: 5, unfinished: 0, offered: 6 }).message, "raise QUEUE_SIZE")
    const size = { maxBytes: 5, storedBytes: 0, offeredBytes: 6 }
    assert.include(
      new QueueFull({ capacity: 5, unfinished: 0, offered: 1, size }).message,
      "Tasks of 6 bytes can never fit into a store of 5 bytes; send smaller batches or raise TASKFORGE_QUEUE_MAX_SIZE"
    )
  })
})
