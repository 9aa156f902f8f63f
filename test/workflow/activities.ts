/** What must hold of executions and their activities. */
import { assert, describe } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Option, Schema } from "effect"
import { Activity, DurableDeferred, Workflow } from "effect/workflow"
import { both, only, type Subject, until } from "./subjects.ts"

class Declined extends Schema.TaggedError<Declined>()("Declined", { card: Schema.String }) {}

const payload = { id: Schema.String }
const idempotencyKey = ({ id }: { readonly id: string }) => id

const errorOf = (exit: Exit.Exit<unknown, unknown>) => Exit.isFailure(exit) ? Cause.squash(exit.cause) : exit

/** A deferred that a workflow waits for, and how it is completed from outside. */
const Go = DurableDeferred.make("go")
const go = (workflow: Workflow.Any, executionId: string) =>
  DurableDeferred.done(Go, {
    token: DurableDeferred.tokenFromExecutionId(Go, { workflow, executionId }),
    exit: Exit.void
  })

export const runsActivities = (subject: Subject) => {
  describe("executions", () => {
    both(
      subject,
      "1: a finished execution gives its stored exit, a failure too, also after a resume, and runs nothing",
      () => {
        const calls: Array<string> = []
        const Sum = Workflow.make("Sum", { payload, idempotencyKey, success: Schema.Date, error: Declined })
        const workflows = Sum.toLayer(({ id }) =>
          Effect.suspend(() => {
            calls.push(id)
            return id === "good" ? Effect.succeed(new Date(86_400_000)) : Effect.fail(new Declined({ card: id }))
          })
        )
        const body = Effect.gen(function*() {
          for (let turn = 0; turn < 2; turn++) {
            assert.deepStrictEqual(yield* Sum.execute({ id: "good" }), new Date(86_400_000))
            const failed = errorOf(yield* Effect.exit(Sum.execute({ id: "bad" })))
            assert.instanceOf(failed, Declined)
            assert.deepInclude(failed, { card: "bad" })
            yield* Sum.resume(yield* Sum.executionId({ id: "bad" }))
          }
          assert.deepStrictEqual(calls, ["good", "bad"])
        })
        return { workflows, body }
      }
    )

    both(subject, "1b: an activity that has succeeded, failed or died is not run again after a wait", () => {
      const calls: Array<string> = []
      let bodies = 0
      const Three = Workflow.make("Three", { payload, idempotencyKey, success: Schema.Array(Schema.String) })
      const noted = (name: string, end: Effect.Effect<string, Declined>) =>
        Activity.make({
          name,
          success: Schema.String,
          error: Declined,
          execute: Effect.suspend(() => {
            calls.push(name)
            return end
          })
        })
      const workflows = Three.toLayer(() =>
        Effect.gen(function*() {
          bodies++
          const ends = []
          for (
            const activity of [
              noted("succeeds", Effect.succeed("yes")),
              noted("fails", Effect.fail(new Declined({ card: "4242" }))),
              noted("dies", Effect.die(new TypeError("boom")))
            ]
          ) {
            const exit = yield* Effect.exit(activity)
            ends.push(Exit.isSuccess(exit) ? exit.value : String(errorOf(exit)))
          }
          yield* DurableDeferred.await(Go)
          return ends
        })
      )
      const body = Effect.gen(function*() {
        const id = yield* Three.execute({ id: "1" }, { discard: true })
        yield* until(Effect.map(Three.poll(id), (poll) => Option.isSome(poll) && poll.value._tag === "Suspended"))
        yield* go(Three, id)
        const ends = yield* Three.execute({ id: "1" })
        assert.strictEqual(ends[0], "yes")
        assert.match(ends[1]!, /Declined/)
        assert.match(ends[2]!, /TypeError: boom/)
        assert.deepStrictEqual(calls, ["succeeds", "fails", "dies"])
        assert.strictEqual(bodies, 2)
      })
      return { workflows, body }
    })

    both(subject, "2: an activity that interrupts itself is run again in place, and dies when its policy ends", () => {
      let calls = 0
      const Own = Workflow.make("Own", { payload, idempotencyKey })
      const workflows = Own.toLayer(() =>
        Activity.make({
          name: "interrupts",
          execute: Effect.suspend(() => ++calls < 3 ? Effect.interrupt : Effect.void)
        })
      )
      const body = Effect.gen(function*() {
        yield* Own.execute({ id: "1" })
        assert.strictEqual(calls, 3)
      })
      return { workflows, body }
    })

    both(subject, "3: attempts of an activity are kept by the number that is handed in", () => {
      const attempts: Array<number> = []
      const Again = Workflow.make("Again", { payload, idempotencyKey, success: Schema.Int })
      const workflows = Again.toLayer(() =>
        Activity.make({
          name: "call",
          success: Schema.Int,
          error: Declined,
          execute: Effect.flatMap(Activity.CurrentAttempt, (attempt) => {
            attempts.push(attempt)
            return attempt < 4 ? Effect.fail(new Declined({ card: `${attempt}` })) : Effect.succeed(attempt)
          })
        }).pipe(Activity.retry({ times: 5 }), Effect.orDie)
      )
      const body = Effect.gen(function*() {
        assert.strictEqual(yield* Again.execute({ id: "1" }), 4)
        assert.deepStrictEqual(attempts, [1, 2, 3, 4])
      })
      return { workflows, body }
    })

    only(
      subject,
      "3b: of two activities of one name at the same time one is run, and both are given its result",
      () => {
        let calls = 0
        const Twice = Workflow.make("Twice", { payload, idempotencyKey, success: Schema.Array(Schema.String) })
        const step = (value: string) =>
          Activity.make({
            name: "step",
            success: Schema.String,
            execute: Effect.suspend(() => {
              calls++
              return Effect.as(Effect.sleep("20 millis"), value)
            })
          })
        const workflows = Twice.toLayer(() =>
          Effect.gen(function*() {
            const together = yield* Effect.all([step("first"), step("second")], { concurrency: "unbounded" })
            return [...together, yield* step("third")]
          })
        )
        const body = Effect.gen(function*() {
          assert.deepStrictEqual(yield* Twice.execute({ id: "1" }), ["first", "first", "first"])
          assert.strictEqual(calls, 1)
        })
        return { workflows, body }
      }
    )

    both(subject, "4: the payload that was stored first counts, at the same moment and after the end too", () => {
      const ran: Array<number> = []
      const Sized = Workflow.make("Sized", {
        payload: { id: Schema.String, n: Schema.Int },
        idempotencyKey: ({ id }) => id,
        success: Schema.Int
      })
      const workflows = Sized.toLayer(({ n }) =>
        Effect.sync(() => {
          ran.push(n)
          return n
        })
      )
      const body = Effect.gen(function*() {
        const both = yield* Effect.all([Sized.execute({ id: "1", n: 1 }), Sized.execute({ id: "1", n: 2 })], {
          concurrency: "unbounded"
        })
        assert.strictEqual(both[0], both[1])
        assert.strictEqual(yield* Sized.execute({ id: "1", n: 3 }), both[0])
        assert.deepStrictEqual(ran, [both[0]])
      })
      return { workflows, body }
    })

    both(subject, "5: discard gives the id at once, the same one again, and a failure only by poll", () => {
      const Fails = Workflow.make("Fails", { payload, idempotencyKey, error: Declined })
      const Other = Workflow.make("Other", { payload, idempotencyKey })
      const workflows = Layer.mergeAll(
        Fails.toLayer(({ id }) => Effect.fail(new Declined({ card: id }))),
        Other.toLayer(() => Effect.void)
      )
      const body = Effect.gen(function*() {
        const id = yield* Fails.execute({ id: "1" }, { discard: true })
        assert.strictEqual(yield* Fails.execute({ id: "1" }, { discard: true }), id)
        assert.notStrictEqual(yield* Other.execute({ id: "1" }, { discard: true }), id)
        yield* until(Effect.map(Fails.poll(id), Option.isSome))
        const poll = Option.getOrThrow(yield* Fails.poll(id))
        assert.strictEqual(poll._tag, "Complete")
        assert.instanceOf(poll._tag === "Complete" ? errorOf(poll.exit) : poll, Declined)
      })
      return { workflows, body }
    })

    both(
      subject,
      "6: poll tells what is unknown or running, suspended, and complete; an unknown one is not interrupted",
      () => {
        const Waits = Workflow.make("Waits", { payload, idempotencyKey, success: Schema.Int })
        const workflows = Waits.toLayer(() => Effect.as(DurableDeferred.await(Go), 7))
        const body = Effect.gen(function*() {
          const id = yield* Waits.executionId({ id: "1" })
          assert.isTrue(Option.isNone(yield* Waits.poll(id)))
          yield* Waits.interrupt(id)
          yield* Waits.resume(id)
          yield* Waits.execute({ id: "1" }, { discard: true })
          yield* until(Effect.map(Waits.poll(id), Option.isSome))
          assert.strictEqual(Option.getOrThrow(yield* Waits.poll(id))._tag, "Suspended")
          yield* go(Waits, id)
          assert.strictEqual(yield* Waits.execute({ id: "1" }), 7)
          const poll = Option.getOrThrow(yield* Waits.poll(id))
          assert.deepStrictEqual(poll._tag === "Complete" ? poll.exit : poll, Exit.succeed(7))
        })
        return { workflows, body }
      }
    )

    both(subject, "11: a deferred is kept that was completed early, and the first completion counts", () => {
      const Named = DurableDeferred.make("named", { success: Schema.String })
      const Early = Workflow.make("Early", { payload, idempotencyKey, success: Schema.String })
      const workflows = Early.toLayer(() => DurableDeferred.await(Named))
      const body = Effect.gen(function*() {
        const executionId = yield* Early.executionId({ id: "1" })
        const token = DurableDeferred.tokenFromExecutionId(Named, { workflow: Early, executionId })
        for (const value of ["first", "second"]) {
          yield* DurableDeferred.done(Named, { token, exit: Exit.succeed(value) })
        }
        assert.strictEqual(yield* Early.execute({ id: "1" }), "first")
        yield* DurableDeferred.done(Named, { token, exit: Exit.succeed("third") })
        assert.strictEqual(yield* Early.execute({ id: "1" }), "first")
      })
      return { workflows, body }
    })

    only(subject, "13b: a result that does not encode is a final defect that names the schema, also by poll", () => {
      let bodies = 0
      const Wrong = Workflow.make("Wrong", { payload, idempotencyKey, success: Schema.Int })
      const workflows = Wrong.toLayer(() => Effect.sync(() => (bodies++, "text") as unknown as number))
      const body = Effect.gen(function*() {
        const first = errorOf(yield* Effect.exit(Wrong.execute({ id: "1" })))
        assert.match(String(first), /result of execution .* does not fit the schema of workflow "Wrong"/)
        const poll = Option.getOrThrow(yield* Wrong.poll(yield* Wrong.executionId({ id: "1" })))
        assert.match(String(poll._tag === "Complete" ? errorOf(poll.exit) : poll), /does not fit/)
        assert.strictEqual(bodies, 1)
      })
      return { workflows, body }
    })

    both(
      subject,
      "13c: a result of an activity that does not encode is a defect, which the body can catch, and final",
      () => {
        let calls = 0
        const Unfit = Workflow.make("Unfit", { payload, idempotencyKey, success: Schema.String })
        const workflows = Unfit.toLayer(() =>
          Effect.gen(function*() {
            const exit = yield* Effect.exit(Activity.make({
              name: "wrong",
              success: Schema.Int,
              execute: Effect.sync(() => (calls++, "text") as unknown as number)
            }))
            yield* DurableDeferred.await(Go)
            return String(errorOf(exit))
          })
        )
        const body = Effect.gen(function*() {
          const id = yield* Unfit.execute({ id: "1" }, { discard: true })
          yield* go(Unfit, id)
          assert.match(yield* Unfit.execute({ id: "1" }), /Expected|number|integer/)
          assert.strictEqual(calls, 1)
        })
        return { workflows, body }
      }
    )

    only(
      subject,
      "13d: an activity whose result or error does not encode is named, also later; what it met itself is not",
      () => {
        const Unfit = Workflow.make("Named", { payload, idempotencyKey, success: Schema.Array(Schema.String) })
        const wrong = "text" as unknown as number
        const met = Schema.decodeUnknownEffect(Schema.Struct({ port: Schema.Int }))({ port: "x" })
        const workflows = Unfit.toLayer(() =>
          Effect.gen(function*() {
            const exits: Array<Exit.Exit<unknown, unknown>> = [
              yield* Effect.exit(Activity.make({ name: "count", success: Schema.Int, execute: Effect.succeed(wrong) })),
              yield* Effect.exit(Activity.make({
                name: "measure",
                success: Schema.Struct({ size: Schema.Int }),
                execute: Effect.succeed({ size: wrong })
              })),
              yield* Effect.exit(Activity.make({ name: "refuse", error: Schema.Int, execute: Effect.fail(wrong) })),
              yield* Effect.exit(Activity.make({ name: "load", execute: Effect.orDie(Effect.asVoid(met)) }))
            ]
            yield* DurableDeferred.await(Go)
            return exits.map((exit) => String(errorOf(exit)))
          })
        )
        const body = Effect.gen(function*() {
          const id = yield* Unfit.execute({ id: "1" }, { discard: true })
          yield* go(Unfit, id)
          const [count, measure, refuse, load] = yield* Unfit.execute({ id: "1" })
          assert.match(count!, /The result of step "count\/1" .* does not fit its schema: Expected number/)
          assert.match(measure!, /The result of step "measure\/1" .*\["size"\]/s)
          assert.match(refuse!, /The error of step "refuse\/1" .* does not fit its schema/)
          assert.notInclude(load, "step")
          assert.include(load, "port")
        })
        return { workflows, body }
      }
    )

    only(subject, "15: a workflow that no instance knows fails at once", () => {
      const Unknown = Workflow.make("Unknown", { payload, idempotencyKey })
      const body = Effect.gen(function*() {
        const exit = yield* Effect.exit(Effect.timeout(Unknown.execute({ id: "1" }), "5 seconds"))
        assert.match(String(errorOf(exit)), /No instance knows the workflow "Unknown"/)
      })
      return { workflows: Layer.empty, body }
    })

    both(subject, "a caller that is interrupted leaves the execution alone", () => {
      const Alone = Workflow.make("Alone", { payload, idempotencyKey, success: Schema.Int })
      const workflows = Alone.toLayer(() => Effect.as(DurableDeferred.await(Go), 3))
      const body = Effect.gen(function*() {
        const id = yield* Alone.executionId({ id: "1" })
        const caller = yield* Effect.forkChild(Alone.execute({ id: "1" }))
        yield* until(Effect.map(Alone.poll(id), Option.isSome))
        yield* Fiber.interrupt(caller)
        yield* go(Alone, id)
        assert.strictEqual(yield* Alone.execute({ id: "1" }), 3)
      })
      return { workflows, body }
    })
  })
}
