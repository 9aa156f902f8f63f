/** The events of a task are logged in the order of its life, and what never comes holds up nothing for long. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Latch, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import type { NewTaskEvent } from "../../src/domain/TaskEvent.ts"
import { isFinished } from "../../src/domain/TaskState.ts"
import { LifeOrder, maxHeldMs, stepOf } from "../../src/events/LifeOrder.ts"
import { EventLog, keptBytes, keptEvents, sizeOf } from "../../src/store/EventLog.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import { again, anyTime, complete, fail, release, request, snooze, stop, task } from "../store/conformance/fixtures.ts"
import { instance } from "./lifeOrder.ts"

const created = (id: string): NewTaskEvent => ({ event: "created", id, type: "work", queue: "default" })
const started = (id: string): NewTaskEvent => ({
  ...created(id),
  event: "started",
  step: stepOf(1, "running"),
  after: stepOf(0, "waiting")
})
const completed = (id: string): NewTaskEvent => ({ ...created(id), event: "completed", step: stepOf(1, "ended") })
const namesOf = (events: ReadonlyArray<NewTaskEvent>) => events.map(({ event, id }) => `${event} ${id}`)

describe("what comes too early", () => {
  const make = () => {
    const told: Array<NewTaskEvent> = []
    let now = 0
    const order = new LifeOrder((events) => void told.push(...events), () => now)
    return { order, told, wait: (ms: number) => void (now += ms) }
  }

  it("is held until what it waits for is read in the log, and what follows with it", () => {
    const { order, told } = make()
    order.record([started("a"), completed("a"), created("b"), started("b")])
    assert.deepStrictEqual(namesOf(told), ["created b", "started b"])
    order.read([created("a")])
    assert.deepStrictEqual(namesOf(told), ["created b", "started b", "started a", "completed a"])
    assert.isFalse(order.holdsFor(0))
  })

  it("waits for an operator's rerun where a task was cancelled before it ran", () => {
    const { order, told } = make()
    const dropped = stepOf(0, "dropped")
    order.read([created("a"), { ...created("a"), event: "cancelled", step: dropped }])
    order.record([started("a")])
    assert.deepStrictEqual(told, [])
    order.read([{ ...created("a"), event: "rerun", step: stepOf(0, "waiting"), after: dropped }])
    assert.deepStrictEqual(namesOf(told), ["started a"])
  })

  it("is told behind what happened here before it, and what it waits for before it", () => {
    const { order, told } = make()
    const dropped = stepOf(0, "dropped")
    order.record([{ ...created("a"), event: "cancelled", step: dropped, after: stepOf(0, "waiting") }])
    order.record([{ ...created("a"), event: "rerun", step: stepOf(0, "waiting"), after: dropped }])
    order.record([started("b"), completed("b"), created("b")])
    assert.deepStrictEqual(namesOf(told), ["created b", "started b", "completed b"])
    order.record([created("a")])
    assert.deepStrictEqual(namesOf(told).slice(3), ["created a", "cancelled a", "rerun a"])
  })

  it("is told when it has been held for two seconds, and no earlier", () => {
    const { order, told, wait } = make()
    order.record([started("a")])
    wait(1000)
    order.record([completed("a")])
    wait(maxHeldMs - 1001)
    order.expire()
    assert.deepStrictEqual(told, [])
    wait(1)
    order.expire()
    assert.deepStrictEqual(namesOf(told), ["started a", "completed a"])
  })

  it("is told when too much is held, be it many or large", () => {
    for (const size of [1, 20_000]) {
      const { order, told } = make()
      let bytes = 0
      let count = 0
      while (told.length === 0 && count <= keptEvents) {
        const event = started(`${count++}`.padEnd(size))
        bytes += sizeOf(event)
        order.record([event])
      }
      assert.strictEqual(told.length, count)
      assert.isTrue(bytes > keptBytes || count > keptEvents)
      assert.isFalse(order.holdsFor(0))
    }
  })
})

describe("instances that share a store", () => {
  /** What may be done to a task that waits, runs, or has finished. */
  const possible = {
    waiting: ["claim", "claim", "cancel"],
    running: ["complete", "fail", "again", "snooze", "release", "crash", "report", "cancel", "cancel"],
    finished: ["rerun", "rerun", "rerun", "remove"]
  } as const
  const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
  const Action = Schema.Struct({ choice: int(0, 35), by: int(0, 2), pauseMs: int(0, 100) })
  /** So few follow one another at once that all of them are logged late, and none too late. */
  const Bursts = Schema.Array(Schema.Array(Action).check(Schema.isMaxLength(4))).check(
    Schema.isMinLength(3),
    Schema.isMaxLength(8)
  )
  const maxDelayMs = 150

  it.effect.prop("log what happens to a task in the order in which it happens, however late each of them logs", [
    Bursts,
    Schema.Array(int(0, maxDelayMs)).check(Schema.isMinLength(1), Schema.isMaxLength(20))
  ], ([bursts, delays]) =>
    Effect.gen(function*() {
      const services = yield* Layer.build(MemoryStore.layer())
      const log = Context.get(services, EventLog)
      const logged: Array<NewTaskEvent> = []
      let appends = 0
      const slow = EventLog.of({
        ...log,
        append: (events) =>
          Effect.suspend(() => Effect.sleep(delays[appends++ % delays.length]!)).pipe(
            Effect.andThen(log.append(events)),
            Effect.andThen(Effect.sync(() => logged.push(...events)))
          )
      })
      yield* log.attend(3_600_000)
      const open = Latch.makeUnsafe(true)
      const stores = yield* Effect.all(
        Array.from({ length: 3 }, () => instance(Context.add(services, EventLog, slow), open))
      )
      const pass = (ms: number) => Effect.forEach(Array.from({ length: ms / 20 }), () => TestClock.adjust(20))
      yield* pass(100)

      const told: Array<string> = []
      let held: { readonly by: number; readonly id: string; readonly claim: number } | undefined
      let isStopping = false
      let wasDropped = false
      /** It ended by itself although it was to stop: the one who asked may tell of that before or after. */
      let wasInVain = false
      yield* stores[0]!.enqueue([[task({ id: "t" })]])
      told.push("created")
      for (const burst of bursts) {
        for (const { by, choice, pauseMs } of burst) {
          yield* pass(pauseMs)
          const store = stores[by]!
          const found = yield* store.get("t")
          if (found === undefined) break
          const kinds = possible[held !== undefined ? "running" : isFinished(found.state) ? "finished" : "waiting"]
          const kind = kinds[choice % kinds.length]!
          if (kind === "claim") {
            const { tasks: [claimed] } = yield* store.claim(request({ instance: `w${by}`, limit: 1 }))
            if (claimed === undefined) continue
            held = { by, id: "t", claim: claimed.claim }
            isStopping = wasDropped = false
            told.push("started")
          } else if (kind === "cancel") {
            // Nor is a second cancel told from the first one
            if (isStopping || (held === undefined && wasDropped)) continue
            const [answer] = yield* store.cancel(["t"])
            isStopping = answer === "requested"
            wasDropped = answer === "cancelled"
            if (isStopping) told.push("cancelling")
            if (wasDropped) told.push("cancelled")
          } else if (kind === "rerun") {
            const [answer] = yield* store.rerun(["t"])
            if (answer?._tag === "rerun") told.push("rerun")
            // Nothing in the task tells its claimer that it was cancelled and rerun since it last ran
            if (wasDropped) yield* pass(2 * maxDelayMs + 100)
          } else if (kind === "remove") {
            const [answer] = yield* store.remove(["t"])
            if (answer === "removed") told.push("removed")
          } else if (held !== undefined && kind === "report") {
            yield* stores[held.by]!.report([{ ...held, progress: 0.5 }])
            told.push("progress")
          } else if (held !== undefined && kind !== "report") {
            if (kind === "crash") {
              // A lease is longer than anything is held
              yield* pass(maxHeldMs)
              yield* store.extend([held], 0)
              yield* store.rescue({ limit: 10, ...anyTime })
            } else {
              const settlement = isStopping && kind === "again" ? stop : ends[kind]
              yield* stores[held.by]!.settle([settlement(held)])
            }
            const isLast = kind === "complete" || kind === "fail"
            wasInVain ||= isStopping && isLast
            told.push(isStopping && !isLast ? "cancelled" : names[kind])
            held = undefined
            isStopping = false
          }
        }
        yield* pass(maxHeldMs)
      }
      const found = logged.map(({ event }): string => event)
      assert.deepStrictEqual(found.toSorted(), told.toSorted())
      // Progress and the wish to stop happen at the same time
      for (const left of [wasInVain ? ["cancelling", "progress"] : ["progress"], ["cancelling"]]) {
        const rest = (names: ReadonlyArray<string>) => names.filter((name) => !left.includes(name))
        assert.deepStrictEqual(rest(found).join(" "), rest(told).join(" "))
      }
    }).pipe(Effect.scoped))

  const ends = { complete, fail, again, snooze, release }
  const names = {
    complete: "completed",
    fail: "failed",
    again: "retrying",
    snooze: "snoozed",
    release: "released",
    crash: "crashed"
  }

  it.effect("wait no longer than two seconds for one that died before it could log", () =>
    Effect.gen(function*() {
      const services = yield* Layer.build(MemoryStore.layer())
      const log = Context.get(services, EventLog)
      yield* log.attend(3_600_000)
      const open = Latch.makeUnsafe(true)
      const closed = Latch.makeUnsafe(false)
      const dead = yield* instance(services, closed)
      let failures = 0
      const broken = EventLog.of({
        ...log,
        // Reading fails now and then, which loses nothing
        read: (after, limit) => failures++ % 2 === 0 ? Effect.die("unreadable") : log.read(after, limit)
      })
      const alive = yield* instance(Context.add(services, EventLog, broken), open)
      // Or closing would wait for it
      yield* Effect.addFinalizer(() => closed.open)
      yield* TestClock.adjust(100)
      yield* dead.enqueue([[task({ id: "a" })]])
      const { tasks: [claimed] } = yield* alive.claim(request())
      yield* alive.settle([complete(claimed!)])
      const told = Effect.map(log.read(0, 100), ({ events }) => events.map(({ event }) => event))
      yield* Effect.forEach(Array.from({ length: 180 }), () => TestClock.adjust(10))
      assert.deepStrictEqual(yield* told, [])
      yield* Effect.forEach(Array.from({ length: 100 }), () => TestClock.adjust(10))
      assert.isAbove(failures, 2)
      assert.deepStrictEqual(yield* told, ["started", "completed"])
    }).pipe(Effect.scoped))
})
