import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Supervisor } from "../../src/observability/Supervisor.ts"
import { Schedules } from "../../src/schedule/Schedules.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import * as Task from "../../src/Task.ts"
import { type Logs, pass, quiesce, start, withEngine, withStore, withUnhurriedEngine } from "../engine/TestEngine.ts"

const Work = Task.make("work", { payload: { n: Schema.Int }, success: Schema.Int })

/** Handlers that keep what they ran, with the time. */
const running = () => {
  const ran: Array<readonly [n: number, at: number]> = []
  const handlers = Work.toLayer(({ n }) =>
    Effect.map(Effect.clockWith((clock) => clock.currentTimeMillis), (at) => {
      ran.push([n, at])
      return n
    })
  )
  return { ran, handlers }
}

const day = 24 * 60 * 60 * 1000

describe("an engine with schedules", () => {
  it.effect("runs tasks at their ticks, a month of nights", () => {
    const { handlers, ran } = running()
    return withUnhurriedEngine(
      "1 hour",
      { handlers },
      Effect.gen(function*() {
        yield* Schedules.set("nightly", Work.schedule({ cron: "30 2 * * *" }, { n: 7 }))
        yield* pass("30 days")
        yield* quiesce
        assert.deepStrictEqual(ran.map(([n]) => n), Array.from({ length: 30 }, () => 7))
        ran.forEach(([, at], index) => assert.strictEqual(at, index * day + 2.5 * 60 * 60 * 1000))
      })
    )
  })

  it.effect("finds within a second what another process has set", () => {
    const { handlers, ran } = running()
    return withEngine(
      { handlers },
      Effect.gen(function*() {
        yield* pass("10 minutes")
        yield* Schedules.set("often", Work.schedule({ every: "1 second" }, { n: 1 }))
        yield* pass("10 seconds")
        assert.isAtLeast(ran.length, 9)
        assert.isAtMost(ran.length, 10)
      })
    )
  })

  it.effect("names the ticker in health while the queue is full, and makes the tick once there is room", () =>
    withEngine(
      { store: { capacity: 1 }, worker: { queues: ["none"] } },
      Effect.gen(function*() {
        yield* Work.enqueue({ n: 0 }, { id: "blocks" })
        yield* Schedules.set("a", Work.schedule({ every: "1 minute" }, { n: 1 }))
        yield* pass("61 seconds")
        const [trouble] = yield* Supervisor.use(({ troubles }) => troubles)
        assert.strictEqual(trouble?.part, "ticker")
        assert.match(trouble?.reason ?? "", /The queue is full/)
        yield* TaskStore.use((store) => store.cancel(["blocks"]))
        yield* pass("20 seconds")
        assert.deepStrictEqual(yield* Supervisor.use(({ troubles }) => troubles), [])
        const [tick] = yield* Schedules.history("a")
        assert.deepStrictEqual([tick?.outcome, tick?.tick.epochMilliseconds], ["made", 60_000])
      })
    ))

  const declared = (schedules: Readonly<Record<string, ReturnType<typeof Work.schedule>>>, program = "billing") => ({
    schedules: { program, schedules }
  })

  const names = Effect.map(Schedules.list({ limit: 1000 }), ({ schedules }) => schedules.map(({ name }) => name))

  /** An engine of a deploy, as far as it says something about schedules. */
  const deploy = <A, E>(
    options: ReturnType<typeof declared>,
    body: Effect.Effect<A, E, Schedules | Supervisor | Logs>
  ) =>
    Effect.gen(function*() {
      const engine = yield* start(options)
      yield* quiesce
      const found = yield* Effect.provide(body, engine.context)
      yield* engine.close
      return found
    })

  it.effect("makes what a program declares: without duplicates, and removes what it declares no more", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const nightly = Work.schedule({ cron: "30 2 * * *" }, { n: 1 })
        const hourly = Work.schedule({ every: "1 hour" }, { n: 2 })
        const first = yield* deploy(declared({ nightly, hourly }), Effect.tap(names, Schedules.set("by-hand", hourly)))
        assert.deepStrictEqual(first, ["hourly", "nightly"])
        yield* TestClock.adjust("90 minutes")
        // Nothing is written where nothing has changed
        const before = yield* deploy(declared({ nightly, hourly }), Schedules.get("hourly"))
        assert.strictEqual(before.changedAt.epochMilliseconds, 0)
        assert.strictEqual(before.program, "billing")
        yield* deploy(declared({ hourly }, "reports"), names)
        const after = yield* deploy(
          declared({ hourly: Work.schedule({ every: "2 hours" }, { n: 2 }) }),
          Effect.all([names, Schedules.get("hourly")])
        )
        assert.deepStrictEqual(after[0], ["by-hand", "hourly"])
        assert.strictEqual(after[1].description, "every 2 hours")
        // the tick of an hour is made up for by the engine that was started after it
        assert.strictEqual(after[1].made, 1)
      })
    ))

  it.effect("leaves a name to the program that has declared it, and says so", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const schedules = { a: Work.schedule({ every: "1 hour" }, { n: 1 }) }
        yield* deploy(declared(schedules), names)
        const [a, troubles] = yield* deploy(
          declared({ a: Work.schedule({ every: "2 hours" }, { n: 2 }) }, "reports"),
          Effect.all([Schedules.get("a"), Supervisor.use(({ troubles }) => troubles)])
        )
        assert.deepStrictEqual([a.program, a.description], ["billing", "every hour"])
        assert.deepStrictEqual(troubles.map(({ part }) => part), ["schedule a"])
      })
    ))

  it.effect("keeps what was set by hand, a pause too, until the program declares something else", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const schedules = { a: Work.schedule({ every: "1 hour" }, { n: 1 }) }
        yield* deploy(
          declared(schedules),
          Effect.andThen(
            Schedules.set("a", Work.schedule({ every: "3 hours" }, { n: 3 }), { by: "ada" }),
            Schedules.pause("a")
          )
        )
        const kept = yield* deploy(declared(schedules), Schedules.get("a"))
        assert.deepStrictEqual([kept.description, kept.by, kept.state], ["every 3 hours", "ada", "paused"])
        const changed = yield* deploy(
          declared({ a: Work.schedule({ every: "2 hours" }, { n: 1 }) }),
          Schedules.get("a")
        )
        assert.deepStrictEqual([changed.description, changed.by, changed.state], ["every 2 hours", null, "paused"])
      })
    ))

  it.effect("removes nothing that people have set for a program without types that forgets its name", () =>
    withStore(
      {},
      Effect.gen(function*() {
        const hourly = Work.schedule({ every: "1 hour" }, { n: 1 })
        yield* deploy(declared({}), Schedules.set("by-hand", hourly))
        for (
          const [schedules, expected] of [
            [{ schedules: {} }, "schedules.program"],
            [{ program: null, schedules: {} }, "schedules.program"],
            [{ program: "billing" }, "schedules.schedules"],
            [{ program: "billing", schedules: [hourly] }, "schedules.schedules"],
            [{ program: "billing", schedules: { a: null } }, "schedules.a.scheduled"],
            [{ program: "billing", schedules: { a: { cron: "* * * * *" } } }, "schedules.a.scheduled"],
            [{ program: "billing", schedules: { "..": hourly } }, "schedules....name"]
          ] as const
        ) {
          const exit = yield* Effect.exit(start({ schedules } as never))
          assert.include(String(exit), `The option ${expected} is`)
        }
        assert.deepStrictEqual(yield* deploy(declared({}), names), ["by-hand"])
      })
    ))

  it.effect("refuses a declaration that is wrong when it starts", () =>
    withStore(
      {},
      Effect.gen(function*() {
        for (
          const [scheduled, expected] of [
            [Work.schedule({ cron: "61 * * * *" }, { n: 1 }), "InvalidTimetable"],
            [Work.schedule({ every: "1 hour" }, { n: 1.5 }), "InvalidPayload"],
            [Work.schedule({ every: "1 hour" }, { n: 1 }, { overlap: "never" as "skip" }), "InvalidOption"]
          ] as const
        ) {
          const exit = yield* Effect.exit(start(declared({ a: scheduled })))
          assert.match(String(exit), new RegExp(expected))
          assert.include(String(exit), "schedules.a")
        }
      })
    ))
})
