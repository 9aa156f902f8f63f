import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as PooledRandom from "../../src/engine/PooledRandom.ts"
import type { ScheduleOptions } from "../../src/schedule/ScheduleOptions.ts"
import { Schedules } from "../../src/schedule/Schedules.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import * as Task from "../../src/Task.ts"

const Work = Task.make("work", { payload: { text: Schema.String } })

const onMemory = <A, E>(effect: Effect.Effect<A, E, Schedules>) =>
  Effect.provide(
    effect,
    Schedules.layer().pipe(Layer.provide(PooledRandom.layer), Layer.provide(MemoryStore.layer()))
  )

const refused = (
  timetable: Parameters<typeof Work.schedule>[0],
  options: ScheduleOptions = {},
  name = "a",
  text = ""
) =>
  Effect.map(
    Effect.flip(Schedules.set(name, Work.schedule(timetable, { text }, options))),
    (error) => error._tag === "InvalidOption" ? `${error._tag} ${error.option}` : error._tag
  )

describe("Schedules", () => {
  it.effect("refuses what is misspelt or out of bounds, and stores nothing of it", () =>
    onMemory(Effect.gen(function*() {
      const hourly = { every: "1 hour" } as const
      const cases: ReadonlyArray<readonly [ScheduleOptions, string]> = [
        [{ overlpa: "skip" } as ScheduleOptions, "overlpa"],
        [{ missed: "never" as "skip" }, "missed"],
        [{ maxMissed: 3 }, "maxMissed"],
        [{ missed: "all", maxMissed: 0 }, "maxMissed"],
        [{ missed: "all", maxMissed: 101 }, "maxMissed"],
        [{ jitter: "2 days" }, "jitter"],
        [{ jitter: -1 }, "jitter"],
        [{ onlyIf: "always" as "lastSucceeded" }, "onlyIf"],
        [{ startAt: DateTime.makeUnsafe(2000), endAt: DateTime.makeUnsafe(1000) }, "endAt"],
        [{ endAt: DateTime.makeUnsafe(1000) }, "timetable"],
        [{ priority: 10 }, "priority"],
        [{ key: "k" } as ScheduleOptions, "key"],
        [{ timeout: 0 }, "timeout"],
        [{ queue: "" }, "queue"]
      ]
      for (const [options, option] of cases) {
        assert.strictEqual(yield* refused(hourly, options), `InvalidOption ${option}`)
      }
      for (const scheduled of [undefined, null, "nightly", { cron: "@daily" }]) {
        const refusal = yield* Effect.flip(Schedules.set("a", scheduled as never))
        assert.deepInclude(refusal, { _tag: "InvalidOption", option: "scheduled" })
      }
      for (const name of [undefined, null, 5] as unknown as ReadonlyArray<string>) {
        for (const  of of[Schedules.get(name), Schedules.remove(name), Schedules.history(name)]) {
          assert.deepInclude(yield* Effect.flip<unknown, unknown, Schedules>(of), {
            _tag: "InvalidOption",
            option: "name"
          })
        }
      }
      for (const name of ["", ".", "..", "a\u0000", "x".repeat(231), "\ud800"]) {
        assert.strictEqual(yield* refused(hourly, {}, name), "InvalidOption name")
      }
      assert.strictEqual(yield* refused(hourly, {}, "a", "x".repeat(70_000)), "InvalidOption payload")
      assert.strictEqual(yield* refused({ cron: "* * 31 2 *" }), "InvalidTimetable")
      assert.strictEqual(yield* refused({} as { at: 1 }), "InvalidTimetable")
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* refused({ at: 1000 }), "InvalidOption timetable")
      assert.deepStrictEqual((yield* Schedules.list()).schedules, [])
    })))

  it.effect("fails with the name of a schedule that is not there", () =>
    onMemory(Effect.gen(function*() {
      const all = [
        Schedules.get("no"),
        Schedules.remove("no"),
        Schedules.pause("no"),
        Schedules.resume("no"),
        Schedules.runNow("no"),
        Schedules.preview("no"),
        Schedules.history("no")
      ] as const
      for (const one of all) {
        const error = yield* Effect.flip(one as Effect.Effect<unknown, { readonly _tag: string }, Schedules>)
        assert.strictEqual(error._tag, "ScheduleNotFound")
      }
    })))

  it.effect("lists pages by name", () =>
    onMemory(Effect.gen(function*() {
      const names = Array.from({ length: 250 }, (_, index) => `s-${String(index).padStart(3, "0")}`)
      for (const name of names) yield* Schedules.set(name, Work.schedule({ every: "1 day" }, { text: name }))
      const found: Array<string> = []
      for (let cursor: string | undefined;;) {
        const page = yield* Schedules.list({ limit: 120, ...cursor === undefined ? {} : { cursor } })
        found.push(...page.schedules.map(({ name }) => name))
        if (page.next === null) break
        cursor = page.next
      }
      assert.deepStrictEqual(found, names)
      const error = yield* Effect.flip(Schedules.list({ cursor: "schedule.bm8.x" }))
      assert.strictEqual(error._tag, "InvalidOption")
    })))

  it.effect("shows the next ticks of a schedule and of a timetable that is not stored", () =>
    onMemory(Effect.gen(function*() {
      const times = (preview: { readonly ticks: ReadonlyArray<DateTime.Utc> }) => preview.ticks.map(DateTime.formatIso)
      const ticks = ["1970-01-01T02:30:00.000Z", "1970-01-02T02:30:00.000Z", "1970-01-03T02:30:00.000Z"]
      assert.deepStrictEqual(times(yield* Schedules.preview({ cron: "30 2 * * *" }, 3)), ticks)
      yield* Schedules.set(
        "a",
        Work.schedule({ cron: "30 2 * * *" }, { text: "" }, { endAt: DateTime.makeUnsafe("1970-01-02T12:00:00Z") })
      )
      assert.deepStrictEqual(times(yield* Schedules.preview("a", 3)), ticks.slice(0, 2))
      for (const count of [0, 101, 1.5]) {
        assert.strictEqual((yield* Effect.flip(Schedules.preview("a", count)))._tag, "InvalidOption")
      }
    })))

  it.effect("has each tick be a task of its own, whatever key the definition makes of payloads", () =>
    onMemory(Effect.gen(function*() {
      const Keyed = Task.make("work", { payload: { text: Schema.String }, idempotencyKey: ({ text }) => text })
      const one = yield* Schedules.runNow("a").pipe(
        Effect.andThen(Effect.die("it is not set")),
        Effect.catchTag("ScheduleNotFound", () =>
          Effect.gen(function*() {
            yield* Schedules.set("a", Keyed.schedule({ every: "1 hour" }, { text: "same" }))
            return [yield* Schedules.runNow("a"), yield* Schedules.runNow("a")]
          }))
      )
      assert.notStrictEqual(one[0], one[1])
      assert.lengthOf(yield* Schedules.history("a"), 2)
    })))
})
