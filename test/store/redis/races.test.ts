/**
 * What another process does between the two scripts of an operation: one that reads, and one that writes what was decided.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, References } from "effect"
import { Redis as RedisClient } from "effect/persistence/Redis"
import { StoreError } from "../../../src/domain/Errors.ts"
import type { NewTask } from "../../../src/domain/TaskRecord.ts"
import { absent, RecordStore } from "../../../src/store/RecordStore.ts"
import * as RedisStore from "../../../src/store/redis/RedisStore.ts"
import { type ClaimRef, TaskStore } from "../../../src/store/TaskStore.ts"
import * as Redis from "../../servers/Redis.ts"
import { withServer } from "../../servers/withServer.ts"
import {
  add,
  again,
  cancel,
  complete,
  counts,
  extend,
  fail,
  idsOf,
  record,
  rerun,
  rescue,
  running,
  second,
  settle,
  snooze,
  task,
  tasks,
  timeless
} from "../conformance/fixtures.ts"
import { connect } from "./fixtures.ts"

await withServer("Redis", Redis.find, async (server) => {
  const { prefix, redis } = await connect(server)

  /** Two stores on the same tasks. What one does is interrupted by the other before each script with this text. */
  const two = Effect.gen(function*() {
    const name = yield* prefix
    const clockKey = `{${name}}:clock`
    let interruption: { text?: string; effect: Effect.Effect<unknown, unknown>; isAt: (script: number) => boolean }
    interruption = { effect: Effect.void, isAt: () => false }
    let scripts = 0
    const interrupted = RedisClient.of({
      ...redis,
      eval: (script) => (...params) =>
        Effect.suspend(() => {
          const run = redis.eval(script)(...params)
          const { effect, isAt, text } = interruption
          if (text === undefined || !script.lua.includes(text)) return run
          return isAt(++scripts) ? Effect.andThen(Effect.orDie(effect), run) : run
        })
    })
    const storeOn = (client: RedisClient["Service"]) =>
      Layer.build(
        RedisStore.layer({ prefix: name, clockKey, capacity: 100 }).pipe(
          Layer.provide(Layer.succeed(RedisClient, client)),
          Layer.provide(Layer.succeed(References.MinimumLogLevel, "Error")),
          Layer.fresh
        )
      )
    const here = yield* storeOn(interrupted)
    const there = yield* storeOn(redis)
    return {
      here: <A, E>(effect: Effect.Effect<A, E, TaskStore | RecordStore>) => Effect.provideContext(effect, here),
      advance: (ms: number) => redis.send("SET", clockKey, `+${ms}`),
      interrupt: (
        text: string,
        effect: Effect.Effect<unknown, unknown, TaskStore | RecordStore>,
        isAt: (script: number) => boolean = (script) => script === 1
      ) =>
        Effect.sync(() => {
          interruption = { text, effect: Effect.provideContext(effect, there), isAt }
          scripts = 0
        }),
      /** How many scripts with that text have run since. */
      scripts: Effect.sync(() => scripts)
    }
  })

  const writing = "return lost"
  const reading = "stand(answers, ARGV[index])"
  const storing = "arrivals"

  describe("Between its two scripts, Redis", () => {
    it.live("hears of a cancel: the attempt that was to be retried is cancelled", () =>
      Effect.gen(function*() {
        const { here, interrupt, scripts } = yield* two
        const claimed = yield* here(running())
        yield* interrupt(writing, cancel(claimed.id))
        assert.strictEqual(yield* here(settle(again(claimed))), "applied")
        assert.deepInclude(yield* here(record(claimed.id)), { state: "cancelled", failures: 1, history: [] })
        assert.deepInclude((yield* here(counts)).totals, { cancelled: 1, retried: 0 })
        assert.strictEqual(yield* scripts, 2)
      }))

    it.live("lets the first of two ends count", () =>
      Effect.gen(function*() {
        const { here, interrupt } = yield* two
        const claimed = yield* here(running())
        yield* interrupt(writing, settle(complete(claimed)))
        assert.strictEqual(yield* here(settle(fail(claimed))), "already")
        assert.deepInclude(yield* here(record(claimed.id)), { state: "completed", failures: 0, failure: null })
        assert.deepInclude((yield* here(counts)).totals, { completed: 1, failed: 0 })
      }))

    it.live("decides again about what has changed alone, and once about the rest of a batch", () =>
      Effect.gen(function*() {
        const { here, interrupt, scripts } = yield* two
        const [a, b, c] = [yield* here(running()), yield* here(running()), yield* here(running())]
        yield* interrupt(writing, cancel(b.id))
        const ends = [complete(a), again(a), again(b), snooze(c, 1000)]
        const answers = yield* here(TaskStore.use((store) => store.settle(ends)))
        assert.deepStrictEqual(answers, ["applied", "already", "applied", "applied"])
        const states = yield* here(Effect.forEach([a, b, c], ({ id }) => Effect.map(record(id), ({ state }) => state)))
        assert.deepStrictEqual(states, ["completed", "cancelled", "scheduled"])
        assert.strictEqual((yield* here(record(c.id))).history.length, 1)
        assert.strictEqual(yield* scripts, 2)
      }))

    it.live("decides again about a task that is run again with one that has changed", () =>
      Effect.gen(function*() {
        const { here, interrupt, scripts } = yield* two
        yield* here(add({ id: "first" }, { id: "second", after: ["first"] }, { id: "other" }))
        yield* here(cancel("first"))
        yield* here(cancel("other"))
        const meanwhile = Effect.andThen(rerun("first"), cancel("first"))
        yield* interrupt(writing, meanwhile)
        const answers = yield* here(TaskStore.use((store) => store.rerun(["second", "first", "other"])))
        assert.deepStrictEqual(answers.map(({ _tag }) => _tag), ["rerun", "rerun", "rerun"])
        assert.deepInclude(yield* here(record("second")), { state: "scheduled", waitsFor: 1 })
        assert.deepInclude(yield* here(record("other")), { state: "pending" })
        assert.strictEqual(yield* scripts, 2)
      }))

    it.live("does not disturb itself: many tasks of one key that come at the same time are decided once", () =>
      Effect.gen(function*() {
        const { here, interrupt, scripts } = yield* two
        const unique = { window: "waiting", onConflict: "replace", byMs: 0, maxMs: null } as const
        const [first] = yield* here(add({ key: "a", unique, payload: "0" }))
        yield* interrupt("areOwners(guards)", Effect.void, () => false)
        const versions = Array.from({ length: 1000 }, (_, version) => String(version + 1))
        const ids = yield* here(
          Effect.forEach(versions, (payload) => add({ key: "a", unique, payload }), { concurrency: "unbounded" })
        )
        assert.deepStrictEqual([...new Set(ids.flat())], [first])
        assert.strictEqual((yield* here(record(first))).payload, "1000")
        // one for each request, of which there is one for every 16 tasks or more
        assert.isAtMost(yield* scripts, 1000 / 16)
      }))

    /** Records, tasks and an end together. */
    const together = (ref: ClaimRef, ...group: ReadonlyArray<NewTask>) =>
      RecordStore.use((store) =>
        store.atomically("nonce", {
          changes: [{ kind: "step", id: "a", expects: absent, document: "1" }],
          tasks: group,
          settlements: [complete(ref)]
        })
      )
    const writingTogether = `return { "written"`

    it.live("hears of a heartbeat and of a cancel: what is written together is decided again", () =>
      Effect.gen(function*() {
        const { here, interrupt, scripts } = yield* two
        const claimed = yield* here(running({}, { leaseForMs: second }))
        yield* interrupt(writingTogether, Effect.andThen(extend(claimed), cancel(claimed.id)))
        yield* here(together(claimed, task()))
        assert.deepInclude(yield* here(record(claimed.id)), { state: "completed", cancelRequested: true })
        assert.deepInclude((yield* here(counts)).totals, { created: 2, completed: 1 })
        assert.strictEqual(yield* scripts, 2)
      }))

    it.live("writes nothing together where another one was faster to end the attempt", () =>
      Effect.gen(function*() {
        const { here, interrupt } = yield* two
        const claimed = yield* here(running())
        yield* interrupt(writingTogether, settle(fail(claimed)))
        assert.strictEqual((yield* Effect.flip(here(together(claimed, task()))))._tag, "LeaseLost")
        assert.deepInclude((yield* here(counts)).totals, { created: 1, completed: 0, failed: 1 })
        assert.deepStrictEqual(yield* here(RecordStore.use((store) => store.get("step", ["a"]))), [undefined])
      }))

    it.live("finds tasks known that another one has stored since", () =>
      Effect.gen(function*() {
        const { here, interrupt, scripts } = yield* two
        const claimed = yield* here(running())
        yield* here(add({ id: "old" }))
        const faster = add({ id: "new" }, { id: "owner", key: "k" })
        yield* interrupt(writingTogether, faster, (script) => script === 2)
        const group = [task({ id: "old" }), task({ id: "new" }), task({ key: "k" }), task({ id: "rest" })]
        assert.deepStrictEqual((yield* here(together(claimed, ...group))).tasks, [
          { id: "old", duplicate: true },
          { id: "new", duplicate: true },
          { id: "owner", duplicate: true },
          { id: "rest", duplicate: false }
        ])
        assert.strictEqual(yield* scripts, 3)
        assert.deepInclude((yield* here(counts)).totals, { created: 5, completed: 1 })
      }))

    it.live("is full where another one has taken the room", () =>
      Effect.gen(function*() {
        const { here, interrupt } = yield* two
        const claimed = yield* here(running())
        yield* interrupt(writingTogether, add(...tasks(99)))
        const error = yield* Effect.flip(here(together(claimed, ...tasks(2))))
        assert.deepInclude(error, { _tag: "QueueFull", capacity: 100, unfinished: 99, offered: 2 })
        assert.strictEqual((yield* here(record(claimed.id))).state, "running")
      }))

    it.live("gives the answer of another one that did the same under the same nonce", () =>
      Effect.gen(function*() {
        const { here, interrupt } = yield* two
        const claimed = yield* here(running())
        const next = task()
        yield* interrupt(writingTogether, together(claimed, next))
        const answer = yield* here(together(claimed, next))
        assert.deepStrictEqual(answer.tasks, [{ id: next.id, duplicate: false }])
        assert.deepInclude((yield* here(counts)).totals, { created: 2, completed: 1 })
        const [stored] = yield* here(RecordStore.use((store) => store.get("step", ["a"])))
        assert.strictEqual(stored?.version, answer.version)
      }))

    it.live("hears of a heartbeat: the lease is not taken back", () =>
      Effect.gen(function*() {
        const { advance, here, interrupt } = yield* two
        const claimed = yield* here(running({}, { leaseForMs: second }))
        yield* advance(10 * second)
        yield* interrupt(writing, extend(claimed))
        assert.deepStrictEqual(yield* here(rescue()), [])
        assert.deepInclude(yield* here(record(claimed.id)), { state: "running", crashes: 0, claim: claimed.claim })
        assert.strictEqual((yield* here(counts)).totals.crashed, 0)
      }))

    it.live("finds that a task is gone", () =>
      Effect.gen(function*() {
        const { here, interrupt } = yield* two
        const claimed = yield* here(running())
        yield* here(settle(fail(claimed)))
        yield* interrupt(writing, TaskStore.use((store) => store.remove([claimed.id])))
        assert.deepStrictEqual(yield* here(TaskStore.use((store) => store.rerun([claimed.id]))), [{ _tag: "unknown" }])
      }))

    it.live("gives up a task that changes each time, and can be asked again", () =>
      Effect.gen(function*() {
        const { here, interrupt, scripts } = yield* two
        const claimed = yield* here(running())
        let leaseForMs = 60 * second
        yield* interrupt(writing, Effect.suspend(() => extend(claimed, leaseForMs += second)), (script) => script <= 11)
        const error = yield* Effect.flip(here(settle(again(claimed))))
        assert.instanceOf(error, StoreError)
        assert.include(error.message, "changed again and again")
        assert.strictEqual(yield* scripts, 11)
        assert.strictEqual(yield* here(settle(again(claimed))), "applied")
      }))

    it.live("reads no more failures and histories at once than fit into an answer", () =>
      Effect.gen(function*() {
        const { here, interrupt, scripts } = yield* two
        yield* here(add(...tasks(45)))
        const claimed = yield* here(TaskStore.use((store) =>
          store.claim({
            types: ["work"],
            limit: 45,
            instance: "instance-1",
            leaseForMs: 30 * second,
            nonce: 1
          })
        ))
        const large = { kind: "error" as const, tag: "Refused", message: "m", error: "y".repeat(200_000) }
        const ends = claimed.tasks.map(({ claim, id }) => ({ _tag: "Fail" as const, id, claim, failure: large }))
        yield* here(TaskStore.use((store) => store.settle(ends)))
        yield* interrupt(reading, Effect.void)
        const answers = yield* here(TaskStore.use((store) => store.rerun(["unknown", ...idsOf(claimed.tasks)])))
        assert.deepStrictEqual(answers, [{ _tag: "unknown" }, ...ends.map(() => ({ _tag: "rerun" as const }))])
        assert.strictEqual(yield* scripts, 2)
        assert.strictEqual((yield* here(counts)).pending, 45)
      }))

    it.live("hears of tasks that have been stored: they are duplicates, and take room", () =>
      Effect.gen(function*() {
        const { here, interrupt, scripts } = yield* two
        const [first, twin, second, third] = [task({ key: "k" }), task({ key: "k" }), task(), task()]
        const offered = TaskStore.use((store) => store.enqueue([[first, twin], [second], tasks(90), [third]]))
        // Two tasks with one key have to be decided about
        yield* interrupt(storing, add({ key: "k", id: "owner" }, second, ...tasks(9)), (script) => script === 2)
        const answers = timeless(yield* here(offered))
        assert.deepStrictEqual(answers.slice(0, 2), [
          { _tag: "Accepted", tasks: [{ id: "owner", duplicate: true }, { id: "owner", duplicate: true }] },
          { _tag: "Accepted", tasks: [{ id: second.id, duplicate: true }] }
        ])
        assert.deepStrictEqual(answers.slice(2), [
          { _tag: "Full", capacity: 100, unfinished: 11 },
          { _tag: "Accepted", tasks: [{ id: third.id, duplicate: false }] }
        ])
        assert.strictEqual(yield* scripts, 3)
        assert.strictEqual((yield* here(counts)).pending, 12)
      }))
  })
})
