/** What must hold of the steps of tasks on every store. */
import { assert, describe } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Schema } from "effect"
import { LeaseLost } from "../../src/domain/Errors.ts"
import {
  SignalConflict,
  SignalNotFound,
  SignalTimedOut,
  StepRefused,
  StepsChanged,
  StepUnfit
} from "../../src/domain/StepErrors.ts"
import type { ClaimedTask } from "../../src/domain/TaskRecord.ts"
import * as Signals from "../../src/flow/SignalRecords.ts"
import { Signals as SignalService } from "../../src/flow/Signals.ts"
import * as StepCodec from "../../src/flow/StepCodec.ts"
import * as StepRecords from "../../src/flow/StepRecords.ts"
import { RecordStore } from "../../src/store/RecordStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import { Snoozed } from "../../src/worker/Attempt.ts"
import { type Driver, scenario } from "../store/conformance/driver.ts"
import {
  again,
  complete,
  hour,
  minute,
  record,
  rescue,
  running,
  second,
  settle,
  settled,
  take,
  takeOne
} from "../store/conformance/fixtures.ts"
import { begin, type Ledger } from "./attempts.ts"

class Declined extends Schema.TaggedError<Declined>()("Declined", { card: Schema.String }) {}
class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", {}) {}

/** The next attempt at a task whose last one has ended in a failure. */
const retried = Effect.fnUntraced(function*({ id }: ClaimedTask) {
  const { claim } = yield* record(id)
  yield* settled(again({ id, claim }))
  return yield* takeOne()
})

/** The defect that an effect dies of. */
const defectOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(
    Effect.exit(effect),
    (exit) => Exit.isFailure(exit) ? Cause.squash(exit.cause) : assert.fail("It succeeded")
  )

export const keepsSteps = (name: string, driver: Driver) =>
  describe(name, () => {
    scenario(
      driver,
      "a step that has ended is not run again by any later attempt, and costs one write and no read",
      () =>
        Effect.gen(function*() {
          const ledger: Ledger = []
          const task = yield* running({ maxRetries: -1 })
          const first = yield* begin(task, ledger)
          assert.strictEqual(yield* first.step("a"), "a")
          assert.strictEqual(yield* first.step("b"), "b")
          assert.lengthOf(first.puts, 2)
          assert.strictEqual(first.reads.count, 0)
          const second = yield* begin(yield* retried(task), ledger)
          assert.strictEqual(yield* second.step("a"), "a")
          assert.strictEqual(yield* second.step("b"), "b")
          // What has ended is read, and nothing is written
          assert.lengthOf(second.puts, 0)
          assert.strictEqual(yield* second.step("c"), "c")
          // The task is taken over before a new step, which costs one write more
          assert.lengthOf(second.puts, 2)
          assert.deepStrictEqual(ledger, ["a in 1", "b in 1", "c in 2"])
        })
    )

    scenario(driver, "gives every attempt what the step gave, through its schema", () =>
      Effect.gen(function*() {
        const Found = Schema.Struct({ at: Schema.Date, size: Schema.BigInt, note: Schema.optionalKey(Schema.String) })
        const value = { at: new Date(86_400_000), size: 12n ** 20n }
        const task = yield* running()
        const first = yield* begin(task, [])
        assert.deepStrictEqual(yield* first.stepOf("find", Effect.succeed(value), Found), value)
        assert.isUndefined(yield* first.stepOf("nothing", Effect.succeed("left out")))
        for (const text of ["漢字 😀", "'\"\\`$1 %s", "a\u0000b"]) {
          assert.strictEqual(yield* first.stepOf(text.replace("\u0000", ""), Effect.succeed(text), Schema.String), text)
        }
        const again = yield* begin(yield* retried(task), [])
        const none = Effect.die("run again")
        assert.deepStrictEqual(yield* again.stepOf("find", none, Found), value)
        assert.isUndefined(yield* again.stepOf("nothing", none))
        assert.strictEqual(yield* again.stepOf("ab", none, Schema.String), "a\u0000b")
      }))

    scenario(driver, "keeps a failure that its schema declares; after any other the step runs again", () =>
      Effect.gen(function*() {
        const ledger: Ledger = []
        const pay = (error: Declined | Unreachable, attempt: number) =>
          Effect.andThen(
            Effect.sync(() =>
              ledger.push(`${error._tag} in ${attempt}`)
            ),
            Effect.fail(error)
          )
        const task = yield* running({ maxRetries: -1 })
        const first = yield* begin(task, ledger)
        const declined = new Declined({ card: "4242" })
        const failed = (exit: Exit.Exit<unknown, unknown>) => Exit.isFailure(exit) ? Cause.squash(exit.cause) : exit
        assert.deepStrictEqual(
          failed(yield* Effect.exit(first.stepOf("pay", pay(declined, 1), Schema.Void, Declined))),
          declined
        )
        assert.instanceOf(
          failed(yield* Effect.exit(first.stepOf("call", pay(new Unreachable({}), 1), Schema.Void, Declined))),
          Unreachable
        )
        // In the same attempt too, where the handler tries again
        yield* Effect.exit(first.stepOf("call", pay(new Unreachable({}), 1), Schema.Void, Declined))
        const second = yield* begin(yield* retried(task), ledger)
        assert.deepStrictEqual(
          failed(yield* Effect.exit(second.stepOf("pay", pay(declined, 2), Schema.Void, Declined))),
          declined
        )
        yield* Effect.exit(second.stepOf("call", pay(new Unreachable({}), 2), Schema.Void, Declined))
        assert.deepStrictEqual(ledger, ["Declined in 1", "Unreachable in 1", "Unreachable in 1", "Unreachable in 2"])
        // A handler that has forgotten what the step may fail with
        const third = yield* begin(yield* retried(task), ledger)
        const defect = yield* defectOf(third.stepOf("pay", Effect.void))
        assert.instanceOf(defect, StepUnfit)
        assert.match(String((defect as Error).message), /stored error of step "pay"/)
      }))

    scenario(
      driver,
      "a result that cannot be kept is a defect that names the step, in every attempt, without a second run",
      () =>
        Effect.gen(function*() {
          const ledger: Ledger = []
          const task = yield* running({ maxRetries: -1 })
          const wrong = (attempt: number) =>
            Effect.sync(() => ledger.push(`in ${attempt}`) > 0 ? NaN : 1)
          const large = "x".repeat(StepRecords.maxResultBytes)
          const first = yield* begin(task, ledger)
          const defect = yield* defectOf(first.stepOf("sum", wrong(1), Schema.Int))
          assert.instanceOf(defect, StepUnfit)
          assert.match(
            String((defect as Error).message),
            new RegExp(`result of step "sum" of task ${task.id} does not fit`)
          )
          const tooLarge = yield* defectOf(first.stepOf("large", Effect.succeed(large), Schema.String))
          assert.match(String((tooLarge as Error).message), /step "large".*131072 bytes/)
          const second = yield* begin(yield* retried(task), ledger)
          assert.instanceOf(yield* defectOf(second.stepOf("sum", wrong(2), Schema.Int)), StepUnfit)
          assert.deepStrictEqual(ledger, ["in 1"])
          // One that an earlier version of the handler has kept
          yield* Effect.exit(second.stepOf("large", Effect.void, Schema.String))
          yield* second.stepOf("older", Effect.succeed("twelve"), Schema.String)
          const third = yield* begin(yield* retried(task), ledger)
          yield* Effect.forEach(["sum", "large"], (name) => Effect.exit(third.step(name)))
          const older = yield* defectOf(third.stepOf("older", Effect.succeed(12), Schema.Int))
          assert.match(
            String((older as Error).message),
            /stored result of step "older" of task .* does not fit its schema/
          )
        })
    )

    scenario(
      driver,
      "an attempt that was killed between an effect and its write runs that step once more, and no other",
      () =>
        Effect.gen(function*() {
          const ledger: Ledger = []
          const task = yield* running({ maxRetries: -1 })
          const first = yield* begin(task, ledger)
          yield* first.step("a")
          // The process dies while it writes
          first.fault.next = "before"
          const dying = yield* Effect.forkChild(first.step("b"))
          while (first.puts.length < 2) yield* Effect.yieldNow
          yield* Fiber.interrupt(dying)
          const second = yield* begin(yield* retried(task), ledger)
          for (const name of ["a", "b", "c"]) yield* second.step(name)
          const third = yield* begin(yield* retried(task), ledger)
          for (const name of ["a", "b", "c"]) yield* third.step(name)
          assert.deepStrictEqual(ledger, ["a in 1", "b in 1", "b in 2", "c in 2"])
        })
    )

    scenario(driver, "a write whose answer is lost is not done twice, and one that failed is", () =>
      Effect.gen(function*() {
        const ledger: Ledger = []
        const task = yield* running()
        const first = yield* begin(task, ledger)
        for (const fault of ["after", "before", "after"] as const) {
          first.fault.next = fault
          const stepping = yield* Effect.forkChild(first.step(`${ledger.length}`))
          while (first.fault.next !== undefined) {
            yield* Effect.yieldNow
          }
          if (driver.live !== true) {
            yield* driver.advance("1 second")
          }
          yield* Fiber.join(stepping)
        }
        assert.deepStrictEqual(ledger, ["0 in 1", "1 in 1", "2 in 1"])
        const kept = yield* StepRecords.read(task.id)
        assert.deepStrictEqual(
          kept?.entries.map(({ name }) =>
            name
          ),
          ["0", "1", "2"]
        )
        assert.strictEqual(kept?.head.count, 3)
      }))

    scenario(driver, "an attempt that lost its task ends no step once another one has taken over", () =>
      Effect.gen(function*() {
        const ledger: Ledger = []
        const task = yield* running({}, { leaseForMs: second })
        const first = yield* begin(task, ledger)
        yield* first.step("a")
        const hold = yield* Deferred.make<void>()
        const slow = yield* Effect.forkChild(Effect.exit(
          first.stepOf(
            "b",
            Effect.map(Deferred.await(hold), () =>
              ledger.push("b in 1")),
            Schema.Int
          )
        ))
        yield* driver.advance("2 seconds")
        yield* rescue()
        const other = yield* begin(yield* takeOne({ instance: "instance-2" }), ledger)
        yield* other.step("a")
        yield* other.step("b")
        yield* Deferred.succeed(hold, undefined)
        const exit = yield* Fiber.join(slow)
        assert.instanceOf(Exit.isFailure(exit) ? Cause.squash(exit.cause) : exit, LeaseLost)
        assert.instanceOf(yield* defectOf(first.step("c")), LeaseLost)
        yield* other.step("c")
        assert.deepStrictEqual(ledger, ["a in 1", "b in 2", "b in 1", "c in 2"])
        const kept = yield* StepRecords.read(task.id)
        assert.deepStrictEqual(kept?.entries.map(({ attempt, name }) => [name, attempt]), [["a", 1], ["b", 2], [
          "c",
          2
        ]])
      }))

    scenario(driver, "what an attempt that lost its task ended before it was taken over is not run again", () =>
      Effect.gen(function*() {
        const ledger: Ledger = []
        const task = yield* running({}, { leaseForMs: second })
        const first = yield* begin(task, ledger)
        yield* first.step("a")
        yield* driver.advance("2 seconds")
        yield* rescue()
        const other = yield* begin(yield* takeOne({ instance: "instance-2" }), ledger)
        yield* other.step("a")
        // The first one does not know yet
        yield* first.step("b")
        yield* other.step("b")
        yield* other.step("c")
        assert.deepStrictEqual(ledger, ["a in 1", "b in 1", "c in 2"])
        assert.instanceOf(yield* defectOf(first.step("d")), LeaseLost)
      }))

    scenario(driver, "keeps the ends of steps that run at the same time, in fewer writes than there are steps", () =>
      Effect.gen(function*() {
        const ledger: Ledger = []
        const names = Array.from({ length: 200 }, (_, index) =>
          `step ${index}`)
        const task = yield* running()
        const first = yield* begin(task, ledger)
        yield* Effect.forEach(names, first.step, { concurrency: "unbounded" })
        // A store that answers at once lets none of them wait for another
        if (driver.live === true) {
          assert.isBelow(first.puts.length, names.length / 2)
        }
        const kept = yield* StepRecords.read(task.id)
        assert.deepStrictEqual(
          kept?.entries.map(({ name }) =>
            name
          ).toSorted(),
          names.toSorted()
        )
        const second = yield* begin(yield* retried(task), ledger)
        yield* Effect.forEach(names, second.step, { concurrency: "unbounded" })
        assert.lengthOf(ledger, names.length)
      }))

    scenario(
      driver,
      "keeps many steps with large results on pages, and a write costs the same at last as at first",
      () =>
        Effect.gen(function*() {
          const task = yield* running()
          const first = yield* begin(task, [])
          const value = "x".repeat(9000)
          const sizes: Array<number> = []
          for (let index = 0; index < 60; index++) {
            yield* first.stepOf(`${index}`, Effect.succeed(value), Schema.String)
            sizes.push(first.puts.at(-1)!.reduce((sum, { document }) =>
              sum + (document ?? "").length, 0))
          }
          yield* first.stepOf("large", Effect.succeed("x".repeat(StepRecords.maxResultBytes - 2)), Schema.String)
          assert.isBelow(Math.max(...sizes), 30_000)
          const kept = yield* StepRecords.read(task.id)
          assert.lengthOf(kept!.entries, 61)
          assert.isAbove(kept!.head.pages.length, 20)
          const second = yield* begin(yield* retried(task), [])
          for (let index = 0; index < 60; index++) {
            assert.strictEqual(yield* second.stepOf(`${index}`, Effect.die("run again"), Schema.String), value)
          }
        })
    )

    scenario(driver, "refuses what would make a step run twice or not be kept", () =>
      Effect.gen(function*() {
        const task = yield* running()
        const { ledger, step, stepOf, steps } = yield* begin(task, [])
        yield* step("a")
        const twice = yield* defectOf(step("a"))
        assert.instanceOf(twice, StepRefused)
        assert.match(String((twice as Error).message), /"a" of task .* was asked for before in this attempt/)
        const inside = yield* defectOf(stepOf("outer", step("inner")))
        assert.match(String((inside as Error).message), /"inner" .* is inside step "outer"/)
        for (const name of ["", "x".repeat(256), "a\u0000", "\ud800", undefined as never]) {
          assert.match(
            String(((yield* defectOf(step(name))) as Error).message),
            /The option step is .* expected 1 to 255/
          )
        }
        assert.deepStrictEqual(ledger, ["a in 1"])
        yield* steps.close
      }))

    describe("when the handler has changed", () => {
      scenario(driver, "steps that have ended are asked for by a race that another one of them wins", () =>
        Effect.gen(function*() {
          const names = ["a", "b", "c"]
          for (const order of [names, names.toReversed()]) {
            const task = yield* running({ maxRetries: -1 })
            const ledger: Ledger = []
            const first = yield* begin(task, ledger)
            yield* Effect.forEach(names, first.step)
            yield* first.steps.sleep("d", 0)
            const { step, steps } = yield* begin(yield* retried(task), ledger)
            yield* Effect.raceAllFirst([...order.map(step), Effect.as(steps.sleep("d", 0), "d")])
            yield* step("new")
            assert.deepStrictEqual(ledger.slice(names.length), ["new in 2"])
          }
        }))

      /** A task whose first attempt has ended these steps. */
      const after = Effect.fnUntraced(function*(names: ReadonlyArray<string>, ledger: Ledger) {
        const task = yield* running({ maxRetries: -1 })
        const first = yield* begin(task, ledger)
        for (const name of names) {
          yield* first.step(name)
        }
        ledger.length = 0
        return yield* retried(task)
      })

      scenario(driver, "steps in another order give what they gave", () =>
        Effect.gen(function*() {
          const ledger: Ledger = []
          const { step } = yield* begin(yield* after(["a", "b"], ledger), ledger)
          for (const name of ["b", "a", "c"]) {
            assert.strictEqual(yield* step(name), name)
          }
          assert.deepStrictEqual(ledger, ["c in 2"])
        }))

      scenario(
        driver,
        "a new step runs after all that have ended; before that it is refused, as a renamed one is",
        () =>
          Effect.gen(function*() {
            const ledger: Ledger = []
            const task = yield* after(["a", "charge"], ledger)
            const second = yield* begin(task, ledger)
            yield* second.step("a")
            const stepping = yield* Effect.forkChild(defectOf(second.step("pay")))
            if (driver.live !== true) {
              for (let turn = 0; turn < 50; turn++) {
                yield* Effect.yieldNow
              }
              yield* driver.advance("1 second")
            }
            const defect = yield* Fiber.join(stepping)
            assert.instanceOf(defect, StepsChanged)
            assert.deepInclude(defect, { step: "pay", unasked: ["charge"] })
            assert.deepStrictEqual(ledger, [])
            const third = yield* begin(yield* retried(task), ledger)
            for (const name of ["a", "charge", "pay"]) {
              yield* third.step(name)
            }
            assert.deepStrictEqual(ledger, ["pay in 3"])
          })
      )

      scenario(
        driver,
        "a step that is retired or a type that says so lets it run, and what nobody asked for is named",
        () =>
          Effect.gen(function*() {
            const ledger: Ledger = []
            for (const settings of [{ retired: ["charge"] }, { onChanged: "run" }] as const) {
              const task = yield* after(["a", "charge"], ledger)
              const second = yield* begin(task, ledger, settings)
              for (const name of ["a", "pay"]) {
                yield* second.step(name)
              }
              yield* second.steps.close
              assert.deepStrictEqual(ledger, ["pay in 2"])
              const kept = yield* StepRecords.read(task.id)
              assert.deepStrictEqual(kept?.head.unasked, "retired" in settings ? [] : ["charge"])
              yield* settled(complete(yield* record(task.id)))
            }
          })
      )

      scenario(driver, "steps that ran side by side are not taken for changed ones", () =>
        Effect.gen(function*() {
          const ledger: Ledger = []
          const task = yield* running({ maxRetries: -1 })
          const first = yield* begin(task, ledger)
          const dying = yield* Effect.forkChild(
            Effect.all([first.stepOf("slow", Effect.never), Effect.andThen(Effect.yieldNow, first.step("quick"))], {
              concurrency: "unbounded"
            })
          )
          while (ledger.length === 0 || first.puts.length === 0) {
            yield* Effect.yieldNow
          }
          yield* first.step("quick too")
          yield* Fiber.interrupt(dying)
          const second = yield* begin(yield* retried(task), ledger)
          for (const name of ["slow", "quick", "quick too"]) {
            yield* second.step(name)
          }
          assert.deepStrictEqual(ledger, ["quick in 1", "quick too in 1", "slow in 2"])
        }))
    })

    describe("while it waits", () => {
      const codec = StepCodec.make(Schema.String, Declined)
      const approval = { name: "approval" }
      const event = { name: "paid", token: Signals.eventToken("paid", "invoice-42") }
      const value = (value: string) =>
        ({ _tag: "Value", value }) as const
      const completed = (token: string, end: Signals.SignalEnd) =>
        SignalService.use((signals) =>
          signals.complete(token, end)
        )
      /** Ends an attempt as its pool would: the delay for which the task sleeps. */
      const asleep = Effect.fnUntraced(function*<E>(task: ClaimedTask, effect: Effect.Effect<unknown, E>) {
        const defect = yield* defectOf(effect)
        if (!(defect instanceof Snoozed)) {
          return assert.fail(String(defect))
        }
        const { delayMs } = defect
        yield* settled({ _tag: "Snooze", id: task.id, claim: task.claim, delayMs })
        return delayMs
      })
      /** What another attempt at a task is given. */
      const waited = Effect.fnUntraced(
        function*(task: ClaimedTask, signal: { readonly name: string; readonly token?: string }) {
          const { steps } = yield* begin(task, [])
          return yield* steps.waitFor("wait", signal, codec)
        }
      )
      const due = (task: ClaimedTask) =>
        TaskStore.use((store) =>
          store.reschedule([{ id: task.id, type: "work", queue: "default", delayMs: 0 }])
        )
      const failureOf = (exit: Exit.Exit<unknown, unknown>) =>
        Exit.isFailure(exit) ? Cause.squash(exit.cause) : exit
      const waiting = (name: string, body: () => Effect.Effect<void, unknown, any>) =>
        scenario(driver, name, () =>
          Effect.provide(Effect.suspend(body), SignalService.layer))

      waiting("a sleep ends at the time that was stored, by the store's clock", () =>
        Effect.gen(function*() {
          const task = yield* running({ maxRetries: -1 })
          const first = yield* begin(task, [])
          // a millisecond may pass between the write and the end of the attempt where the store has a clock of its own
          const slept = yield* asleep(task, first.steps.sleep("trial", hour))
          assert.isAtMost(slept, hour)
          assert.isAbove(slept, hour - minute / 2)
          yield* driver.advance("59 minutes")
          yield* due(task)
          const again = yield* takeOne()
          const second = yield* begin(again, [])
          const left = yield* asleep(again, second.steps.sleep("trial", hour))
          assert.isAtMost(left, minute)
          assert.isAbove(left, minute / 2)
          assert.lengthOf(yield* take(), 0)
          yield* driver.advance("1 minute")
          const third = yield* begin(yield* takeOne(), [])
          yield* third.steps.sleep("trial", hour)
        }))

      waiting("a sleep that is over stays so when the store's clock is set back, once a later end is kept", () =>
        Effect.gen(function*() {
          const records = yield* RecordStore
          const setBack: RecordStore["Service"] = {
            ...records,
            due: (kind, limit) =>
              Effect.map(records.due(kind, limit), (due) => ({ ...due, now: due.now - 2 * hour }))
          }
          const ledger: Ledger = []
          const task = yield* running({ maxRetries: -1 })
          const first = yield* begin(task, ledger)
          yield* asleep(task, first.steps.sleep("trial", hour))
          yield* driver.advance("1 hour")
          const woken = yield* takeOne()
          const second = yield* begin(woken, ledger)
          yield* second.steps.sleep("trial", hour)
          assert.lengthOf(second.puts, 0)
          yield* second.step("ship")
          const again = yield* retried(woken)
          const third = yield* Effect.provideService(begin(again, ledger), RecordStore, setBack)
          yield* third.steps.sleep("trial", hour)
          yield* third.step("ship")
          assert.deepStrictEqual(ledger, ["ship in 2"])
          const kept = yield* StepRecords.read(task.id)
          assert.strictEqual(kept?.head.count, 2)
          assert.deepStrictEqual(
            kept?.entries.map(({ name }) =>
              name
            ),
            ["trial", "trial", "ship"]
          )
        }))

      waiting("a completed signal makes the task due at once, and its end is kept with the task", () =>
        Effect.gen(function*() {
          const task = yield* running({ maxRetries: -1 })
          const first = yield* begin(task, [])
          const token = yield* first.steps.token("approval")
          yield* asleep(task, first.steps.waitFor("wait", approval, codec))
          yield* driver.advance("20 days")
          assert.lengthOf(yield* take(), 0)
          yield* completed(token, value("ada"))
          const again = yield* takeOne()
          const second = yield* begin(again, [])
          assert.strictEqual(yield* second.steps.token("approval"), token)
          assert.strictEqual(yield* second.steps.waitFor("wait", approval, codec), "ada")
          assert.lengthOf(yield* kept("signal-waiter"), 0)
          const next = yield* retried(again)
          const [record] = yield* RecordStore.use((store) =>
            store.get("signal", [token])
          )
          const change = { kind: "signal", id: token, expects: record!.version, document: null }
          yield* RecordStore.use((store) =>
            store.put([change])
          )
          assert.strictEqual(yield* waited(next, approval), "ada")
        }))

      waiting("no completion is missed that comes before the wait is written", () =>
        Effect.gen(function*() {
          const signals = yield* SignalService
          const { before, steps } = yield* begin(yield* running(), [])
          const token = yield* steps.token("approval")
          Object.assign(before, { kind: "signal-waiter", effect: signals.complete(token, value("early")) })
          assert.strictEqual(yield* steps.waitFor("wait", approval, codec), "early")
        }))

      waiting("no completion is missed that comes before the attempt has ended", () =>
        Effect.gen(function*() {
          const task = yield* running()
          const { steps } = yield* begin(task, [])
          assert.instanceOf(yield* defectOf(steps.waitFor("wait", event, codec)), Snoozed)
          yield* completed(event.token, value("late"))
          assert.strictEqual(yield* Signals.wake(event.token), 1)
          yield* settled({ _tag: "Snooze", id: task.id, claim: task.claim, delayMs: 1000 * hour })
          yield* driver.advance("6 seconds")
          yield* Signals.lookAtSignals
          // The one that completed it looks again as well, and holds the task while it does
          let woken = yield* take()
          while (woken.length === 0) {
            woken = yield* Effect.andThen(Effect.yieldNow, take())
          }
          assert.strictEqual(yield* waited(woken[0]!, event), "late")
        }))

      waiting("no completion is missed where the waiter dies before it has looked once more", () =>
        Effect.gen(function*() {
          const task = yield* running()
          yield* completed(event.token, value("early"))
          yield* RecordStore.use((store) =>
            store.put([Signals.waiting(event.token, task, 0)])
          )
          yield* settled({ _tag: "Snooze", id: task.id, claim: task.claim, delayMs: 1000 * hour })
          yield* driver.advance("10 seconds")
          yield* Signals.lookAtWaiters
          assert.strictEqual((yield* takeOne()).id, task.id)
        }))

      waiting("of an end and a timeout at the same moment one counts, for both sides", () =>
        Effect.gen(function*() {
          const signals = yield* SignalService
          const task = yield* running()
          const first = yield* begin(task, [])
          const token = yield* first.steps.token("approval")
          yield* asleep(task, first.steps.waitFor("wait", approval, codec, hour))
          yield* driver.advance("1 hour")
          const { before, steps } = yield* begin(yield* takeOne(), [])
          Object.assign(before, { kind: "signal", effect: signals.complete(token, value("just in time")) })
          assert.strictEqual(yield* steps.waitFor("wait", approval, codec, hour), "just in time")
          const late = yield* begin(yield* running(), [])
          const other = yield* late.steps.token("approval")
          const out = yield* Effect.exit(late.steps.waitFor("wait", approval, codec, 0))
          assert.instanceOf(failureOf(out), SignalTimedOut)
          assert.instanceOf(failureOf(yield* Effect.exit(completed(other, value("too late")))), SignalConflict)
        }))

      waiting("a task of use for a time waits until it expires, and a signal that comes before is given to it", () =>
        Effect.gen(function*() {
          const task = yield* running({ expiresInMs: hour })
          const first = yield* begin(task, [])
          const token = yield* first.steps.token("approval")
          assert.isBelow(yield* asleep(task, first.steps.waitFor("wait", approval, codec)), hour)
          yield* driver.advance("50 minutes")
          yield* completed(token, value("in time"))
          assert.strictEqual(yield* waited(yield* takeOne(), approval), "in time")
          const other = yield* running({ expiresInMs: hour })
          const late = yield* begin(other, [])
          yield* asleep(other, late.steps.waitFor("wait", approval, codec, 3 * hour))
          yield* driver.advance("58 minutes")
          assert.strictEqual((yield* record(other.id)).state, "scheduled")
          yield* driver.advance("2 minutes")
          assert.lengthOf(yield* take(), 0)
          yield* TaskStore.use((store) =>
            store.expire(100)
          )
          assert.strictEqual((yield* record(other.id)).state, "expired")
        }))

      waiting("the token of a removed task is that of none at once, before its signal is deleted", () =>
        Effect.gen(function*() {
          const task = yield* running()
          const { steps } = yield* begin(task, [])
          const token = yield* steps.token("approval")
          yield* asleep(task, steps.waitFor("wait", approval, codec))
          yield* TaskStore.use((store) =>
            store.cancel([task.id])
          )
          yield* completed(token, value("of a cancelled one, which may be rerun"))
          yield* TaskStore.use((store) =>
            store.remove([task.id])
          )
          assert.lengthOf(yield* kept("signal"), 1)
          for (const text of ["of a cancelled one, which may be rerun", "another"]) {
            assert.instanceOf(failureOf(yield* Effect.exit(completed(token, value(text)))), SignalNotFound)
          }
          const shown = yield* Effect.exit(SignalService.use((signals) =>
            signals.get(token)
          ))
          assert.instanceOf(failureOf(shown), SignalNotFound)
        }))

      waiting("an event does not close when a wait for it times out, so a task may remind and wait again", () =>
        Effect.gen(function*() {
          const task = yield* running({ maxRetries: -1 })
          const first = yield* begin(task, [])
          yield* asleep(task, first.steps.waitFor("wait", event, codec, hour))
          yield* driver.advance("1 hour")
          const again = yield* takeOne()
          const second = yield* begin(again, [])
          const out = yield* Effect.exit(second.steps.waitFor("wait", event, codec, hour))
          assert.instanceOf(failureOf(out), SignalTimedOut)
          yield* asleep(again, second.steps.waitFor("wait again", event, codec, hour))
          yield* completed(event.token, value("after the reminder"))
          const third = yield* begin(yield* takeOne(), [])
          assert.instanceOf(
            failureOf(yield* Effect.exit(third.steps.waitFor("wait", event, codec, hour))),
            SignalTimedOut
          )
          assert.strictEqual(yield* third.steps.waitFor("wait again", event, codec, hour), "after the reminder")
        }))

      waiting("a step whose name is that of a token is none", () =>
        Effect.gen(function*() {
          for (const end of [Effect.succeed("mine"), Effect.fail(new Declined({ card: "1" }))]) {
            const { stepOf, steps } = yield* begin(yield* running(), [])
            yield* Effect.exit(stepOf("token of approval", end, Schema.String, Declined))
            assert.instanceOf(yield* defectOf(steps.token("approval")), StepRefused)
          }
        }))

      waiting("an event wakes all that wait, page by page, and of completions at the same time one counts", () =>
        Effect.gen(function*() {
          const tasks = yield* Effect.forEach(Array.from({ length: 230 }), () =>
            running())
          for (const task of tasks) {
            const { steps } = yield* begin(task, [])
            yield* asleep(task, steps.waitFor("wait", event, codec))
          }
          const texts = ["a", "b", "c"]
          const exits = yield* Effect.forEach(texts, (text) =>
            Effect.exit(completed(event.token, value(text))), {
            concurrency: "unbounded"
          })
          assert.lengthOf(exits.filter(Exit.isSuccess), 1)
          const woken = yield* take()
          assert.lengthOf(woken, 230)
          const given = new Set<string>()
          for (const task of woken.slice(0, 3)) {
            given.add(yield* waited(task, event))
          }
          assert.deepStrictEqual(
            [...given],
            texts.filter((_, index) =>
              Exit.isSuccess(exits[index]!)
            )
          )
        }))
    })

    scenario(
      driver,
      "a task that has the id of a removed one begins with no steps, at its first attempt and at a later one",
      () =>
        Effect.gen(function*() {
          const ledger: Ledger = []
          const leave = Effect.fnUntraced(function*(task: ClaimedTask) {
            const old = yield* begin(task, ledger)
            const value = "x".repeat(9000)
            for (const name of ["a", "b", "c"]) {
              yield* old.stepOf(name, Effect.succeed(value), Schema.String)
            }
            yield* settle(complete(task))
            yield* removed(task.id)
          })
          const task = yield* running({ id: "same" })
          yield* leave(task)
          const next = yield* running({ id: "same" })
          const first = yield* begin(next, ledger)
          yield* first.step("a")
          assert.deepStrictEqual(ledger, ["a in 1"])
          assert.lengthOf(yield* kept("step-page"), 0)
          yield* settled(complete(next))
          yield* removed("same")
          const third = yield* running({ id: "same" })
          const second = yield* begin(yield* retried(third), ledger)
          yield* second.step("a")
          assert.deepStrictEqual(ledger, ["a in 1", "a in 2"])
        })
    )

    scenario(
      driver,
      "steps go with their tasks, those of unfinished tasks stay, and a sweep during an attempt costs it nothing",
      () =>
        Effect.gen(function*() {
          const ledger: Ledger = []
          const tasks = yield* Effect.forEach(Array.from({ length: 30 }), () =>
            running({}, { leaseForMs: 24 * hour }))
          const attempts = yield* Effect.forEach(tasks, (task) =>
            begin(task, ledger))
          const value = "x".repeat(9000)
          for (const { step, stepOf } of attempts) {
            yield* step("a")
            for (const name of ["b", "c"]) {
              yield* stepOf(name, Effect.succeed(value), Schema.String)
            }
          }
          const sweep = Effect.gen(function*() {
            const store = yield* TaskStore
            let removed = 0
            for (let nextInMs = 0; nextInMs === 0;) {
              const swept = yield* StepRecords.sweep(store, 6 * hour)
              removed += swept.removed
              nextInMs = swept.nextInMs
            }
            return removed
          })
          assert.strictEqual(yield* sweep, 0)
          yield* driver.advance("1 hour")
          assert.strictEqual(yield* sweep, 0)
          for (const { step } of attempts) {
            yield* step("d")
          }
          for (const task of tasks.slice(1)) {
            yield* settled(complete(task))
            yield* removed(task.id)
          }
          yield* driver.advance("7 hours")
          assert.strictEqual(yield* sweep, 29)
          assert.deepStrictEqual(
            (yield* kept("step")).map(({ id }) =>
              id
            ),
            [tasks[0]!.id]
          )
          assert.lengthOf(yield* kept("step-page"), 1)
          const again = yield* begin(yield* retried(tasks[0]!), ledger)
          for (const name of ["a", "b", "c", "d"]) {
            yield* Effect.exit(again.step(name))
          }
          assert.lengthOf(ledger, 60)
        })
    )
  })

const kept = (kind: string) => Effect.map(RecordStore.use((store) => store.list(kind)), ({ records }) => records)

/** Takes a finished task away, and leaves its steps. */
const removed = (id: string) =>
  Effect.map(TaskStore.use((store) => store.remove([id])), (answers) => assert.deepStrictEqual(answers, ["removed"]))
