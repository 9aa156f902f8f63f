/** What is said of executions that wait. */
import { assert, describe } from "@effect/vitest"
import { DateTime, Effect, Exit, Layer, Option, Schema } from "effect"
import { DurableClock, DurableDeferred, Workflow } from "effect/workflow"
import { explanationFromJson, ExplanationJson, explanationJson } from "../../src/http/api/ExplanationJson.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import { only, type Subject, until } from "./subjects.ts"

class Failed extends Schema.TaggedError<Failed>()("Failed", {}) {}

const payload = { id: Schema.String }
const idempotencyKey = ({ id }: { readonly id: string }) => id
const Go = DurableDeferred.make("approval")

const Waits = Workflow.make("Waits", { payload, idempotencyKey })
const Parent = Workflow.make("Parent", { payload, idempotencyKey })
const Holds = Workflow.make("Holds", { payload, idempotencyKey, error: Failed }).annotate(
  Workflow.SuspendOnFailure,
  true
)

const nap = DurableClock.sleep({ name: "nap", duration: "2 hours", inMemoryThreshold: 0 })

const workflows = Layer.mergeAll(
  Waits.toLayer(({ id }) =>
    id === "sleeps"
      ? nap
      : id === "races"
      ? DurableDeferred.raceAll({
        name: "race",
        success: Schema.Void,
        error: Schema.Never,
        effects: [DurableDeferred.await(Go), nap]
      })
      : DurableDeferred.await(Go)
  ),
  Parent.toLayer(({ id }) => Waits.execute({ id: `${id}'s child` })),
  Holds.toLayer(() => Effect.fail(new Failed()))
)

/** Explains it once it is suspended, and as a client over HTTP would see it. */
const explained = (id: string) =>
  Effect.gen(function*() {
    const queue = yield* TaskQueue
    yield* until(Effect.map(queue.get(id), ({ state }) => state === "scheduled"))
    const explanation = yield* queue.explain(id)
    const wire = yield* Schema.encodeEffect(Schema.fromJsonString(ExplanationJson))(explanationJson(explanation))
    const read = explanationFromJson(yield* Schema.decodeEffect(Schema.fromJsonString(ExplanationJson))(wire))
    assert.deepStrictEqual(read.reasons, explanation.reasons)
    return explanation
  })

export const explains = (subject: Subject) => {
  if (!subject.isOurs) return
  describe("explain", () => {
    only(
      subject,
      "says which deferred, sleep or child an execution waits for, and until when, or that it has to be resumed",
      () => {
        const body = Effect.gen(function*() {
          const waits = yield* Waits.execute({ id: "waits" }, { discard: true })
          const one = yield* explained(waits)
          assert.strictEqual(one.summary, "It waits for the deferred \"approval\".")
          assert.deepInclude(one.reasons[0], { code: "waits_for_deferred", deferred: "approval", until: null })
          assert.isTrue(Option.isNone(one.mayStartAt))

          const sleeps = yield* explained(yield* Waits.execute({ id: "sleeps" }, { discard: true }))
          assert.match(sleeps.summary, /^It sleeps in step "DurableClock\/nap\/clock" until /)

          const races = yield* explained(yield* Waits.execute({ id: "races" }, { discard: true }))
          assert.match(races.summary, /^It waits for the deferred "approval", until .* at the latest\.$/)
          assert.isAbove(DateTime.toEpochMillis(Option.getOrThrow(races.mayStartAt)), Date.now() + 3_600_000)

          const parent = yield* Parent.execute({ id: "parent" }, { discard: true })
          const child = yield* Waits.executionId({ id: "parent's child" })
          const four = yield* explained(parent)
          assert.deepInclude(four.reasons[0], { code: "waits_for_child", child, workflow: "Waits", until: null })
          assert.include(four.summary, `execution ${child} of workflow "Waits"`)

          const holds = yield* explained(yield* Holds.execute({ id: "1" }, { discard: true }))
          assert.deepStrictEqual(holds.reasons.map(({ code }) => code), ["waits_for_resume"])

          const token = DurableDeferred.tokenFromExecutionId(Go, { workflow: Waits, executionId: waits })
          yield* DurableDeferred.done(Go, { token, exit: Exit.void })
          yield* Waits.execute({ id: "waits" })
          assert.deepStrictEqual((yield* TaskQueue.use((queue) => queue.explain(waits))).reasons, [])
        })
        return { workflows, body }
      }
    )
  })
}
