/** What must hold of activities that are run again, and what is said of executions that are asked for again. */
import { assert, describe } from "@effect/vitest"
import { Cause, Effect, Exit, Logger, Schedule, Schema } from "effect"
import { Activity, DurableDeferred, Workflow } from "effect/workflow"
import { both, only, type Subject } from "./subjects.ts"

class Declined extends Schema.TaggedError<Declined>()("Declined", { attempt: Schema.Int }) {}

const payload = { id: Schema.String }
const idempotencyKey = ({ id }: { readonly id: string }) => id

export const repeats = (subject: Subject) => {
  describe("repeats", () => {
    both(
      subject,
      "2b: an own interruptRetryPolicy runs an activity again that failed, within one attempt, of which the last end is kept",
      () => {
        const calls: Array<number> = []
        const Own = Workflow.make("OwnPolicy", { payload, idempotencyKey, success: Schema.Array(Schema.Int) })
        const workflows = Own.toLayer(() =>
          Effect.gen(function*() {
            const ends: Array<number> = []
            for (let turn = 0; turn < 2; turn++) {
              const exit = yield* Effect.exit(Activity.make({
                name: "call",
                error: Declined,
                interruptRetryPolicy: Schedule.recurs(2),
                execute: Effect.flatMap(Activity.CurrentAttempt, (attempt) => {
                  calls.push(attempt)
                  return Effect.fail(new Declined({ attempt: calls.length }))
                })
              }))
              const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : exit
              ends.push(error instanceof Declined ? error.attempt : 0)
            }
            return ends
          })
        )
        const body = Effect.gen(function*() {
          assert.deepStrictEqual(yield* Own.execute({ id: "1" }), [3, 3])
          assert.deepStrictEqual(calls, [1, 1, 1])
        })
        return { workflows, body }
      }
    )

    both(
      subject,
      "3: a second retry of an activity is given the attempts of the first, and runs those after them",
      () => {
        const attempts: Array<number> = []
        const Again = Workflow.make("Again", { payload, idempotencyKey, success: Schema.Int })
        const call = Activity.make({
          name: "call",
          success: Schema.Int,
          error: Declined,
          execute: Effect.flatMap(Activity.CurrentAttempt, (attempt) => {
            attempts.push(attempt)
            return attempt < 6 ? Effect.fail(new Declined({ attempt })) : Effect.succeed(attempt)
          })
        })
        const workflows = Again.toLayer(() =>
          Effect.gen(function*() {
            const first = yield* Effect.exit(Activity.retry(call, { times: 3 }))
            assert.isTrue(Exit.isFailure(first))
            return yield* Effect.orDie(Activity.retry(call, { times: 9 }))
          })
        )
        const body = Effect.gen(function*() {
          assert.strictEqual(yield* Again.execute({ id: "1" }), 6)
          assert.deepStrictEqual(attempts, [1, 2, 3, 4, 5, 6])
        })
        return { workflows, body }
      }
    )

    both(subject, "9b: SuspendOnFailure on an activity alone does nothing", () => {
      const calls: Array<string> = []
      const Alone = Workflow.make("SuspendsNot", { payload, idempotencyKey, error: Declined })
      const workflows = Alone.toLayer(() =>
        Activity.make({
          name: "fails",
          error: Declined,
          execute: Effect.suspend(() => {
            calls.push("fails")
            return Effect.fail(new Declined({ attempt: 1 }))
          })
        }).annotate(Workflow.SuspendOnFailure, true)
      )
      const body = Effect.gen(function*() {
        const exit = yield* Effect.exit(Effect.timeout(Alone.execute({ id: "1" }), "10 seconds"))
        assert.instanceOf(Exit.isFailure(exit) ? Cause.squash(exit.cause) : exit, Declined)
        assert.deepStrictEqual(calls, ["fails"])
      })
      return { workflows, body }
    })

    only(subject, "4: another payload for a key that is known is in the log, whether it has ended or not", () => {
      const Go = DurableDeferred.make("go")
      const logged: Array<string> = []
      const logger = Logger.make(({ message }) => {
        logged.push(String(message))
      })
      const Sized = Workflow.make("Sized", {
        payload: { id: Schema.String, n: Schema.Int },
        idempotencyKey: ({ id }) => id,
        success: Schema.Int
      })
      const workflows = Sized.toLayer(({ n }) => Effect.as(DurableDeferred.await(Go), n))
      const body = Effect.gen(function*() {
        const warnings = () => logged.filter((message) => message.includes("another payload"))
        const id = yield* Sized.execute({ id: "1", n: 1 }, { discard: true })
        const token = DurableDeferred.tokenFromExecutionId(Go, { workflow: Sized, executionId: id })
        yield* Sized.execute({ id: "1", n: 1 }, { discard: true })
        yield* Sized.execute({ id: "1", n: 2 }, { discard: true })
        assert.lengthOf(warnings(), 1)
        assert.include(warnings()[0], id)
        assert.include(warnings()[0], "Sized")
        yield* DurableDeferred.done(Go, { token, exit: Exit.void })
        assert.strictEqual(yield* Sized.execute({ id: "1", n: 1 }), 1)
        assert.lengthOf(warnings(), 1)
        assert.strictEqual(yield* Sized.execute({ id: "1", n: 3 }), 1)
        assert.lengthOf(warnings(), 2)
      }).pipe(Effect.provide(Logger.layer([logger])))
      return { workflows, body }
    })
  })
}
