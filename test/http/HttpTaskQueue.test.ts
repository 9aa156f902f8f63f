/** A program that knows nothing of HTTP, run on an engine of its own process and on one behind a server. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, DateTime, Duration, Effect, Exit, Layer, Logger, Option, Schedule, Schema } from "effect"
import { FetchHttpClient, HttpClient, HttpClientError, HttpClientResponse, HttpServer as Listener } from "effect/http"
import {
  InstanceNotFound,
  InvalidOption,
  InvalidPayload,
  KeyConflict,
  QueueFull,
  StateConflict,
  StoreError,
  TaskCancelled,
  TaskDefect,
  TaskNotFound,
  UnknownTaskType
} from "../../src/domain/Errors.ts"
import * as Engine from "../../src/engine/Engine.ts"
import { HttpTaskQueue } from "../../src/http/index.ts"
import { TaskCatalog, TaskServer } from "../../src/http/server.ts"
import type { PausedQueue } from "../../src/queue/Pauses.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import { version } from "../../src/store/InstanceStore.ts"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import * as Task from "../../src/Task.ts"
import { patiently } from "../Patience.ts"

class TooLong extends Schema.TaggedError<TooLong>()("TooLong", { length: Schema.Int, at: Schema.DateTimeUtc }) {}

const Shout = Task.make("shout", {
  payload: { text: Schema.String, at: Schema.DateTimeUtc },
  success: Schema.Struct({ loud: Schema.String, at: Schema.DateTimeUtc }),
  error: TooLong,
  retry: { times: 0 },
  priority: "high",
  queue: "voices"
})
const Never = Task.make("never")
const Prompt = Task.make("never", { startWithin: "30 seconds" })
const Broken = Task.make("broken", { retry: { times: 0 } })
const Once = Task.make("once", { payload: { n: Schema.Int }, idempotencyKey: ({ n }) => `n${n}` })
const Foreign = Task.make("foreign")
const Strict = Task.make("strict", { payload: { n: Schema.Int } })
/** The same type as the server knows it. */
const StrictOfServer = Task.make("strict", { payload: { n: Schema.Int.check(Schema.isLessThan(10)) } })

const handlers = Layer.mergeAll(
  Shout.toLayer(({ at, text }) =>
    text.length > 5
      ? Effect.fail(new TooLong({ length: text.length, at }))
      : Effect.succeed({ loud: text.toUpperCase(), at })
  ),
  Never.toLayer(() => Effect.never),
  Broken.toLayer(() =>
    Effect.logWarning("It creaks", { loud: true }).pipe(
      Effect.annotateLogs({ part: "axle", tries: 2 }),
      Effect.withLogSpan("drive"),
      Effect.andThen(Effect.logError("It cracks", Cause.fail("overload"))),
      Effect.andThen(Effect.die(new Error("It broke")))
    )
  )
)

const store = MemoryStore.layer({ capacity: 300 })

const engine = Engine.layer(handlers, {
  shutdown: 0,
  queue: { pollInterval: "50 millis" },
  worker: { concurrency: 4, pollInterval: "50 millis" }
}).pipe(Layer.provide(store), Layer.provide(Logger.layer([])))

const server = TaskServer.layer({ port: 0, farewell: 0 }).pipe(
  Layer.provide(TaskCatalog.layer([Shout, Never, Broken, Once, StrictOfServer])),
  Layer.provide(engine),
  Layer.provide(store)
)

const remote = (options: Partial<HttpTaskQueue.Options> = {}) =>
  Layer.unwrap(
    Effect.map(Listener.HttpServer, ({ address }) =>
      HttpTaskQueue.layerHttpClient({ url: Listener.formatAddress(address), ...options }))
  )

const places = {
  "its own process": Layer.fresh(engine),
  "a server": remote().pipe(Layer.provide(FetchHttpClient.layer), Layer.provide(Layer.fresh(server)))
}

const at = DateTime.makeUnsafe("2030-01-02T03:04:05.678Z")

for (const [place, layer] of Object.entries(places)) {
  describe(`a program whose queue is in ${place}`, () => {
    it.live("gets typed results and declared errors", () =>
      Effect.gen(function*() {
        const good = yield* Shout.enqueue({ text: "hi", at })
        const bad = yield* Shout.enqueue({ text: "too long", at })
        assert.isFalse(good.duplicate)
        assert.deepStrictEqual(yield* good.result, { loud: "HI", at })
        assert.deepStrictEqual(yield* Effect.exit(bad.result), Exit.fail(new TooLong({ length: 8, at })))
        assert.deepStrictEqual(yield* Shout.execute({ text: "yo", at }), { loud: "YO", at })
        assert.deepStrictEqual(
          yield* Effect.flip(Shout.execute({ text: "also too long", at })),
          new TooLong({ length: 13, at })
        )
        const broken = yield* Broken.enqueue(undefined)
        const defect = yield* Effect.flip(broken.result)
        assert.instanceOf(defect, TaskDefect)
        assert.include(defect.message, "It broke")
        const task = yield* good.task
        assert.deepInclude(task, { state: "completed", queue: "voices", priority: 2, maxRetries: 0, claims: 1 })
        assert.deepStrictEqual(task.payload, { text: "hi", at })
        assert.deepStrictEqual(task.result, Option.some({ loud: "HI", at }))
        assert.isTrue(DateTime.isLessThanOrEqualTo(task.createdAt, task.completedAt!))
        const other = yield* Effect.flip((yield* Never.handle(good.id)).task)
        assert.instanceOf(other, TaskDefect)
        assert.include(other.message, `The task is of type "shout", not "never"`)
      }).pipe(Effect.provide(layer)))

    it.live("counts, searches, reruns and discards its dead letters", () =>
      Effect.gen(function*() {
        const { deadLetters, get } = yield* TaskQueue
        const { id, result } = yield* Broken.enqueue()
        yield* Effect.flip(result)
        const bad = yield* Shout.enqueue({ text: "too long", at })
        yield* Effect.flip(bad.result)
        const { completedAt } = yield* get(id)
        const { groups, ...rest } = yield* deadLetters.groups()
        assert.deepStrictEqual(rest, { moreGroups: 0, looked: 2, isComplete: true })
        assert.deepStrictEqual(groups.find(({ type }) => type === "broken"), {
          type: "broken",
          kind: "defect",
          tag: "Error",
          message: "It broke",
          count: 1,
          firstAt: completedAt!,
          lastAt: completedAt!,
          latest: id
        })
        const filter = { types: ["broken", "a,b"], queues: ["default"], errorTags: ["Error"], text: "BROKE" }
        const times = { since: completedAt!, before: DateTime.add(completedAt!, { hours: 1 }) }
        const { next, tasks } = yield* deadLetters.list({ ...filter, ...times, limit: 1 })
        assert.deepStrictEqual(tasks.map((task) => task.id), [id])
        assert.deepStrictEqual(tasks[0], yield* get(id))
        if (next !== null) {
          const wrong = yield* Effect.flip(deadLetters.list({ types: ["broken"], cursor: next }))
          assert.include(wrong, { _tag: "InvalidOption", option: "cursor" })
        }
        assert.include(yield* Effect.flip(deadLetters.rerun({ limit: 1001 })), {
          _tag: "InvalidOption",
          option: "limit"
        })
        assert.deepInclude(yield* deadLetters.discard({ types: ["broken"], text: "nothing" }), { matched: 0, done: 0 })
        assert.deepInclude(yield* deadLetters.rerun({ ...filter, ...times }), { matched: 1, done: 1 })
        yield* Effect.flip((yield* Broken.handle(id)).result)
        assert.deepInclude(yield* deadLetters.discard(), { matched: 2, done: 2, next: null })
        assert.instanceOf(yield* Effect.flip(get(id)), TaskNotFound)
      }).pipe(Effect.provide(layer)))

    it.live("cancels and reruns what depends on a task with it", () =>
      Effect.gen(function*() {
        const { branches, get } = yield* TaskQueue
        const first = yield* Shout.enqueue({ text: "one", at }, { delay: "1 hour" })
        const next = yield* Shout.enqueue({ text: "two", at }, { after: [first] })
        assert.deepStrictEqual(yield* branches.size(next.id), { members: 1, own: 0, isComplete: true })
        assert.deepStrictEqual(yield* branches.size(next.id, { scope: "graph" }), {
          members: 2,
          own: 0,
          isComplete: true
        })
        const cancelled = { members: 2, cancelled: 2, requested: 0, finished: 0, unknown: 0, own: 0 }
        assert.deepStrictEqual(yield* branches.cancel(first.id), cancelled)
        const blocked = yield* branches.rerun(next.id)
        assert.deepInclude(blocked, { members: 1, blocked: 1, blockedBy: [first.id] })
        const { completedAt } = yield* get(next.id)
        const endedBefore = DateTime.subtract(completedAt!, { hours: 1 })
        assert.deepInclude(yield* branches.rerun(first.id, { endedBefore }), { recent: 2, rerun: 0 })
        const again = yield* branches.rerun(first.id, { completed: true })
        assert.deepInclude(again, { members: 2, rerun: 2, blockedBy: [] })
        assert.instanceOf(yield* Effect.flip(branches.cancel("nothing")), TaskNotFound)
        assert.instanceOf(yield* Effect.flip(branches.rerun("a\u0000")), TaskNotFound)
        assert.instanceOf(yield* Effect.flip(branches.size(first.id, { scope: "all" as never })), InvalidOption)
        yield* branches.cancel(first.id)
      }).pipe(Effect.provide(layer)))

    it.live("reads what its tasks have logged", () =>
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        const { id, result } = yield* Broken.enqueue()
        yield* Effect.flip(result)
        const [attempt, ...others] = yield* Effect.repeat(queue.logs(id), {
          until: ([attempt]) => attempt?.logged === 2,
          schedule: patiently()
        })
        assert.deepStrictEqual(others, [])
        assert.deepInclude(attempt, { attempt: 1, logged: 2, leftOut: 0 })
        assert.isString(attempt!.instance)
        const [first, second] = attempt!.lines
        assert.deepInclude(first, {
          number: 1,
          level: "Warn",
          text: `It creaks {"loud":true}`,
          annotations: { part: "axle", tries: 2 },
          cause: null,
          isCut: false
        })
        assert.isAtLeast(first!.spans["drive"]!, 0)
        assert.isTrue(DateTime.isDateTime(first!.at))
        assert.deepInclude(second, { number: 2, level: "Error", text: "It cracks", annotations: {}, spans: {} })
        assert.include(second!.cause, "overload")
        assert.instanceOf(yield* Effect.flip(queue.logs("nobody")), TaskNotFound)
        assert.instanceOf(yield* Effect.flip(queue.logs("..")), TaskNotFound)
        yield* queue.remove(id)
        assert.instanceOf(yield* Effect.flip(queue.logs(id)), TaskNotFound)
      }).pipe(Effect.provide(layer)))

    it.live("rounds fractions of a millisecond up", () =>
      Effect.gen(function*() {
        const { task } = yield* Shout.enqueue({ text: "hi", at }, { timeout: 0.000_001, delay: 0.000_001 })
        const { createdAt, dueAt, timeout } = yield* task
        assert.deepStrictEqual([timeout, DateTime.distance(createdAt, dueAt)], [Duration.millis(1), Duration.millis(1)])
      }).pipe(Effect.provide(layer)))

    it.live("says within which time a task should start, and reads how it stands to that", () =>
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        const leftMs = (id: string) =>
          Effect.map(
            queue.get(id),
            ({ dueAt, startBy }) => startBy && startBy.epochMilliseconds - dueAt.epochMilliseconds
          )
        const { id } = yield* Prompt.enqueue(undefined, { delay: "1 hour" })
        assert.strictEqual(yield* leftMs(id), 30_000)
        const other = yield* Prompt.enqueue(undefined, { delay: "1 hour", startWithin: 0.5 })
        assert.strictEqual(yield* leftMs(other.id), 1)
        assert.isNull(yield* leftMs((yield* Never.enqueue(undefined, { delay: "1 hour" })).id))
        yield* queue.reschedule(id, { startWithin: "2 minutes" })
        assert.strictEqual(yield* leftMs(id), 120_000)
        const { deadline } = yield* queue.explain(id)
        assert.deepStrictEqual(deadline?.startBy, (yield* queue.get(id)).startBy)
        assert.isBelow(deadline!.lateMs, -3_600_000)
        assert.deepStrictEqual((yield* queue.verdict()).starts, { timed: 0, late: 0, maxLateMs: 0 })
        for (const startWithin of [0, -1, Infinity, "3651 days"] as const) {
          const refused = { _tag: "InvalidOption", option: "startWithin" } as const
          assert.include(yield* Effect.flip(Prompt.enqueue(undefined, { startWithin })), refused)
          assert.include(yield* Effect.flip(queue.reschedule(id, { startWithin })), refused)
        }
      }).pipe(Effect.provide(layer)))

    it.live("awaits many tasks at once", () =>
      Effect.gen(function*() {
        const texts = Array.from({ length: 200 }, (_, index) => `t${index}`)
        const handles = yield* Shout.enqueueAll(texts.map((text) => ({ text, at })))
        const results = yield* Effect.forEach(handles, ({ result }) => result, { concurrency: "unbounded" })
        assert.deepStrictEqual(results.map(({ loud }) => loud), texts.map((text) => text.toUpperCase()))
      }).pipe(Effect.provide(layer)))

    it.live("cancels, retries, removes and finds tasks", () =>
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        const later = yield* Never.enqueue(undefined, { delay: "1 hour", id: "a/b ?%", timeout: "90 seconds" })
        assert.deepInclude(yield* later.task, { state: "scheduled", timeout: Duration.seconds(90), maxRetries: 3 })
        assert.instanceOf(yield* Effect.flip(queue.remove(later.id)), StateConflict)
        assert.strictEqual((yield* later.task).state, "scheduled")
        assert.strictEqual(yield* later.cancel, "cancelled")
        assert.strictEqual(yield* later.cancel, "finished")
        assert.instanceOf(yield* Effect.flip(later.result), TaskCancelled)
        yield* queue.rerun(later.id)
        assert.instanceOf(yield* Effect.flip(queue.rerun(later.id)), StateConflict)
        yield* Effect.repeat(later.task, { until: ({ state }) => state === "running", schedule: Schedule.spaced(10) })
        assert.strictEqual(yield* later.cancel, "requested")
        assert.instanceOf(yield* Effect.flip(later.result), TaskCancelled)
        yield* queue.remove(later.id)
        assert.instanceOf(yield* Effect.flip(later.task), TaskNotFound)
        assert.instanceOf(yield* Effect.flip(queue.remove(later.id)), TaskNotFound)
        assert.instanceOf(yield* Effect.flip(later.cancel), TaskNotFound)
        for (const text of ["", ".", "..", "a\u0000", "\ud800", "x".repeat(256)]) {
          assert.deepStrictEqual(yield* queue.results([text, later.id]), [null, null])
          assert.instanceOf(yield* Effect.flip(queue.get(text)), TaskNotFound)
          assert.instanceOf(yield* Effect.flip(queue.rerun(text)), TaskNotFound)
          assert.instanceOf(yield* Effect.flip(queue.cancel(text)), TaskNotFound)
          assert.instanceOf(yield* Effect.flip(queue.remove(text)), TaskNotFound)
          assert.instanceOf(yield* Effect.flip(queue.outcome(text)), TaskNotFound)
        }
        for (const text of ["", "a\u0000", "\ud800"]) {
          assert.instanceOf(yield* Effect.flip(queue.pause(text)), InvalidOption)
          assert.instanceOf(yield* Effect.flip(queue.resume(text)), InvalidOption)
        }
        assert.instanceOf(yield* Effect.flip(later.result), TaskNotFound)
      }).pipe(Effect.provide(layer)))

    it.live("does the same to many tasks at once, and answers for each", () =>
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        const ids = ["one", "two", "three"]
        yield* Effect.forEach(ids, (id) => Never.enqueue(undefined, { id, delay: "1 hour" }))
        assert.deepStrictEqual(yield* queue.remove(["one", "nobody"]), ["unfinished", "unknown"])
        const cancelled = yield* queue.cancel(["one", "nobody", "two", "one", "", "\ud800", "x".repeat(256)])
        const unknown = "unknown"
        assert.deepStrictEqual(cancelled, ["cancelled", unknown, "cancelled", "cancelled", unknown, unknown, unknown])
        assert.deepStrictEqual(yield* queue.cancel(["two"]), ["finished"])
        assert.deepStrictEqual(yield* queue.rerun(["two", "three", "nobody"]), [
          { _tag: "rerun" },
          { _tag: "conflict", state: "scheduled" },
          { _tag: unknown }
        ])
        yield* Effect.repeat(queue.get("two"), {
          until: ({ state }) => state === "running",
          schedule: Schedule.spaced(10)
        })
        assert.deepStrictEqual(yield* queue.cancel(["two", "three"]), ["requested", "cancelled"])
        yield* Effect.exit(queue.outcome("two"))
        assert.deepStrictEqual(yield* queue.remove(["one", "two", "three"]), ["removed", "removed", "removed"])
        assert.deepStrictEqual(yield* queue.remove([]), [])
        const many = Array.from({ length: 1001 }, (_, index) => `${index}`)
        assert.deepStrictEqual(new Set(yield* queue.cancel(many)), new Set([unknown]))
      }).pipe(Effect.provide(layer)))

    it.live("pauses queues, lists pages and counts", () =>
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        yield* queue.pause("voices", { by: "ada", reason: "Too loud", for: "1 hour" })
        yield* queue.pause("a/b")
        const [quiet, voicesPause] = yield* queue.paused
        assert.deepInclude(quiet, { queue: "a/b", by: null, reason: null, until: null })
        assert.deepInclude(voicesPause, { queue: "voices", by: "ada", reason: "Too loud" })
        assert.strictEqual(
          DateTime.toEpochMillis(voicesPause!.until!) - DateTime.toEpochMillis(voicesPause!.since),
          3_600_000
        )
        assert.instanceOf(yield* Effect.flip(queue.pause("voices", { reason: "x".repeat(1001) })), InvalidOption)
        const past = yield* Effect.flip(queue.pause("voices", { until: voicesPause!.since }))
        assert.include(past, { _tag: "InvalidOption", option: "until", found: DateTime.formatIso(voicesPause!.since) })
        assert.match(past.message, /; expected a time after now, which is \S+Z$/)
        const distant = yield* Never.enqueue(undefined, { delay: "1 day", queue: "voices" })
        const why = yield* queue.explain(distant.id)
        assert.includeMembers(why.reasons.map(({ code }) => code), ["not_due", "queue_paused"])
        assert.deepInclude(why, { id: distant.id, state: "scheduled", summary: why.reasons[0]!.text })
        assert.deepInclude(why.reasons[0], { dueAt: (yield* queue.get(distant.id)).dueAt })
        assert.instanceOf(yield* Effect.flip(queue.explain("nobody")), TaskNotFound)
        assert.deepInclude(yield* queue.verdict(), { queue: null })
        assert.deepInclude(yield* queue.verdict("mail"), { queue: "mail", pending: 0, causes: [], action: null })
        assert.instanceOf(yield* Effect.flip(queue.verdict("")), InvalidOption)
        yield* queue.cancel(distant.id)
        yield* queue.remove(distant.id)
        const pauseOf = ({ by, reason, since, until }: PausedQueue) => ({ by, reason, since, until })
        const [first, second] = yield* Shout.enqueueAll([{ text: "one", at }, { text: "two", at }])
        yield* Never.enqueue(undefined, { delay: 60_000 })
        assert.deepInclude(yield* queue.counts, { pending: 2, scheduled: 1, capacity: 300 })
        const voice = { queues: ["voices"], states: ["pending"], types: ["shout"] } as const
        const page = yield* queue.list({ ...voice, limit: 1 })
        assert.deepStrictEqual(page.tasks.map(({ id }) => id), [second!.id])
        const { next, tasks } = yield* queue.list({ ...voice, limit: 1, cursor: page.next! })
        assert.deepStrictEqual([tasks.map(({ id }) => id), next], [[first!.id], null])
        assert.instanceOf(
          yield* Effect.flip(queue.list({ queues: ["voices", "b"], cursor: page.next! })),
          InvalidOption
        )
        const comma = yield* Never.enqueue(undefined, { queue: " a,b\"", delay: 60_000 })
        assert.deepStrictEqual((yield* queue.list({ queues: [" a,b\""] })).tasks.map(({ id }) => id), [comma.id])
        yield* queue.cancel(comma.id)
        yield* queue.remove(comma.id)
        const read = Effect.map(queue.results([first!.id, "nobody"]), ([outcome, unknown]) => {
          assert.isNull(unknown)
          return outcome
        })
        assert.isUndefined(yield* read)
        const { next: nextQueue, now, queues } = yield* queue.queues({ limit: 2 })
        assert.isTrue(DateTime.isGreaterThanOrEqualTo(now, tasks[0]!.createdAt))
        const none = { scheduled: 0, pending: 0, running: 0, waitingSince: null }
        assert.deepStrictEqual(queues, [
          { queue: "a/b", pause: pauseOf(quiet!), ...none, typeCount: 0, types: [] },
          {
            queue: "default",
            pause: null,
            ...none,
            scheduled: 1,
            typeCount: 1,
            types: [{ type: "never", ...none, scheduled: 1 }]
          }
        ])
        const waiting = { ...none, pending: 2, waitingSince: tasks[0]!.dueAt }
        const voices = {
          queue: "voices",
          pause: pauseOf(voicesPause!),
          ...waiting,
          typeCount: 1,
          types: [{ type: "shout", ...waiting }]
        }
        const rest = yield* queue.queues({ limit: 2, cursor: nextQueue! })
        assert.deepStrictEqual([rest.queues, rest.next], [[voices], null])
        assert.deepInclude(yield* queue.queue("voices"), { ...voices, next: null })
        assert.deepInclude(yield* queue.queue("a/b", { limit: 1 }), { queue: "a/b", typeCount: 0 })
        const byType = yield* queue.types({ limit: 1 })
        assert.deepStrictEqual(byType.types.map(({ type }) => type), ["never"])
        assert.deepStrictEqual((yield* queue.types({ cursor: byType.next! })).types, voices.types)
        assert.lengthOf((yield* queue.types({ limit: 1e9 })).types, 2)
        assert.instanceOf(yield* Effect.flip(queue.queues({ cursor: byType.next! })), InvalidOption)
        assert.instanceOf(yield* Effect.flip(queue.queue("")), InvalidOption)
        yield* queue.resume("voices")
        assert.deepStrictEqual(yield* queue.paused, [quiet!])
        yield* first!.result
        assert.deepInclude(yield* read, { state: "completed", failure: null })
      }).pipe(Effect.provide(layer)))

    it.live("shows the instances and what they run", () =>
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        const { instances: [instance], now } = yield* Effect.repeat(queue.instances, {
          until: ({ instances }) => instances.length === 1,
          schedule: Schedule.spaced(10)
        })
        assert.deepInclude(instance, { pid: process.pid, version, capacity: 4, leads: ["maintenance"] })
        assert.sameMembers([...instance!.types], ["shout", "never", "broken"])
        assert.isTrue(DateTime.isLessThanOrEqualTo(instance!.startedAt, instance!.seenAt))
        assert.isTrue(DateTime.isLessThanOrEqualTo(instance!.seenAt, now))
      }).pipe(Effect.provide(layer)))

    it.live("tells instances what to do, and learns how many slots are needed", () =>
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        const { instances: [instance] } = yield* Effect.repeat(queue.instances, {
          until: ({ instances }) => instances.length === 1,
          schedule: Schedule.spaced(10)
        })
        const { id } = instance!
        assert.deepStrictEqual(instance!.sizing, { by: "start", min: null, max: 100, draining: false })
        yield* queue.setSlots(id, 7)
        yield* queue.drain(id)
        yield* queue.undrain(id)
        yield* queue.unsetSlots(id)
        assert.deepStrictEqual(yield* Effect.flip(queue.drain("nobody")), new InstanceNotFound({ id: "nobody" }))
        assert.deepStrictEqual(yield* Effect.flip(queue.setSlots("nobody", 3)), new InstanceNotFound({ id: "nobody" }))
        for (const slots of [0, 1.5, 101, NaN]) {
          const invalid = yield* Effect.flip(queue.setSlots(id, slots))
          assert.instanceOf(invalid, InvalidOption)
          assert.deepInclude(invalid, { option: "slots", found: String(slots) })
        }
        assert.instanceOf(yield* Effect.flip(queue.drain("")), InvalidOption)
        assert.instanceOf(yield* Effect.flip(queue.scaling({ within: 0 })), InvalidOption)
        yield* Effect.repeat(Never.enqueue(), { times: 5 })
        const need = yield* Effect.repeat(queue.scaling({ queue: "default", within: "30 seconds" }), {
          until: ({ waiting }) => waiting === 2,
          schedule: Schedule.spaced(10)
        })
        assert.deepInclude(need, { slots: 4, waiting: 2 })
        assert.isTrue(DateTime.isLessThanOrEqualTo(need.waitingSince!, need.now))
      }).pipe(Effect.provide(layer)))

    it.live("is told about duplicates and conflicts", () =>
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        const payload = { text: "hello", at }
        const one = yield* Shout.enqueue(payload, { id: "one", delay: "1 hour" })
        assert.isFalse(one.duplicate)
        assert.isTrue((yield* Shout.enqueue(payload, { id: "one" })).duplicate)
        const keyed = yield* Shout.enqueue(payload, { key: "k", delay: "1 hour" })
        const again = yield* Shout.enqueue(payload, { key: "k" })
        assert.deepStrictEqual([again.id, again.duplicate], [keyed.id, true])
        const [first, second] = yield* Once.enqueueAll([{ n: 1 }, { n: 1 }])
        const third = yield* Once.enqueue({ n: 1 })
        assert.deepStrictEqual([second!.id, third.id, third.duplicate], [first!.id, first!.id, true])
        assert.strictEqual((yield* third.task).key, "n1")
        const conflict = yield* Effect.flip(Shout.enqueue({ text: "other", at }, { key: "k" }))
        assert.instanceOf(conflict, KeyConflict)
        assert.deepInclude(conflict, { type: "shout", key: "k", id: keyed.id, index: 0 })
        const submission = (id: string) => ({ definition: Never, payload: "null", options: { id, delay: 60_000 } })
        const mixed = yield* queue.submit(["one", "two", "three"].map(submission))
        assert.deepStrictEqual(mixed.map(({ duplicate, id }) => [id, duplicate]), [
          ["one", true],
          ["two", false],
          ["three", false]
        ])
        const created = yield* queue.create([submission("three"), submission("four")])
        assert.deepStrictEqual(created.map(({ duplicate, task }) => [task?.id, duplicate, task?.state]), [
          ["three", true, "scheduled"],
          ["four", false, "scheduled"]
        ])
        assert.deepStrictEqual(yield* queue.submit([]), [])
        const spoken = JSON.stringify({ text: "hi", at: DateTime.formatIso(at) })
        const [task] = yield* queue.create([{ ...submission("five"), definition: Shout, payload: spoken }])
        const { createdAt, dueAt, payload: read } = task!.task!
        assert.deepStrictEqual([read, DateTime.distance(createdAt, dueAt)], [JSON.parse(spoken), Duration.minutes(1)])
        assert.deepStrictEqual(yield* queue.get("five"), task!.task)
      }).pipe(Effect.provide(layer)))

    it.live("merges, refuses and postpones tasks with one key", () =>
      Effect.gen(function*() {
        const spoken = (text: string) => ({ text, at })
        const windows = ["waiting", "unfinished", "kept", "1 hour", 1000.5] as const
        for (const [number, window] of windows.entries()) {
          const unique = { key: `u${number}`, window }
          const first = yield* Shout.enqueue(spoken("1"), { unique, delay: "1 hour" })
          assert.deepStrictEqual([first.duplicate, first.merge], [false, undefined])
          const again = yield* Shout.enqueue(spoken("2"), { unique })
          assert.deepStrictEqual([again.id, again.duplicate, again.merge], [first.id, true, undefined])
          const refused = yield* Effect.flip(
            Shout.enqueue(spoken("3"), { unique: { ...unique, onConflict: "refuse" } })
          )
          assert.instanceOf(refused, KeyConflict)
          assert.deepInclude(refused, { type: "shout", key: unique.key, id: first.id, state: "scheduled" })
          const replaced = yield* Shout.enqueue(spoken("4"), { unique: { ...unique, onConflict: "replace" } })
          assert.deepStrictEqual([replaced.id, replaced.merge], [first.id, "replaced"])
          const postpone = { by: "2 hours", maxDelay: "150 minutes" } as const
          for (const [text, latest] of [["5", "2 hours"], ["6", "2 hours"]] as const) {
            const postponed = yield* Shout.enqueue(spoken(text), { unique: { ...unique, postpone } })
            assert.deepStrictEqual([postponed.id, postponed.merge], [first.id, "postponed"])
            const { createdAt, dueAt, payload } = yield* first.task
            assert.strictEqual(payload.text, text)
            const waits = Duration.toMillis(DateTime.distance(createdAt, dueAt))
            assert.isAtLeast(waits, Duration.toMillis(latest))
            assert.isAtMost(waits, Duration.toMillis(postpone.maxDelay))
          }
          const batch = yield* Shout.enqueueAll([spoken("7"), spoken("8")], {
            each: () => ({ unique: { ...unique, onConflict: "replace" } })
          })
          assert.deepStrictEqual(batch.map(({ id, merge }) => [id, merge]), [
            [first.id, "replaced"],
            [first.id, "replaced"]
          ])
        }
        for (
          const [option, unique] of [
            ["unique.key", { key: "" }],
            ["unique.window", { key: "k", window: 0 }],
            ["unique.postpone.maxDelay", { key: "k", postpone: { by: "2 seconds", maxDelay: "1 second" } }]
          ] as const
        ) {
          const invalid = yield* Effect.flip(Shout.enqueue(spoken("9"), { unique }))
          assert.instanceOf(invalid, InvalidOption)
          assert.strictEqual(invalid.option, option)
        }
      }).pipe(Effect.provide(layer)))

    it.live("lets tasks of a key follow one another, and reruns none whose key a later one has", () =>
      Effect.gen(function*() {
        const unique = { key: "loud" }
        const first = yield* Shout.enqueue({ text: "too long", at }, { unique })
        yield* Effect.flip(first.result)
        const second = yield* Shout.enqueue({ text: "hi", at }, { unique, delay: "1 hour" })
        assert.isFalse(second.duplicate)
        const queue = yield* TaskQueue
        assert.deepStrictEqual(yield* queue.rerun([first.id]), [{ _tag: "superseded" }])
        assert.strictEqual((yield* Effect.flip(queue.rerun(first.id)))._tag, "TaskSuperseded")
      }).pipe(Effect.provide(layer)))

    it.live("changes a task that waits, and none that has started", () =>
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        const handle = yield* Shout.enqueue({ text: "hello", at }, { delay: "1 hour" })
        yield* handle.reschedule({ priority: "critical", delay: "2 hours" })
        const { createdAt, dueAt, priority } = yield* handle.task
        assert.strictEqual(priority, 3)
        assert.isAtLeast(Duration.toHours(DateTime.distance(createdAt, dueAt)), 2)
        const runAt = DateTime.makeUnsafe("2040-01-02T03:04:05.678Z")
        yield* queue.reschedule(handle.id, { runAt })
        assert.deepStrictEqual((yield* handle.task).dueAt, runAt)
        yield* handle.reschedule({ payload: { text: "you", at }, delay: 0 })
        assert.deepStrictEqual(yield* handle.result, { loud: "YOU", at })
        const conflict = yield* Effect.flip(handle.reschedule({ delay: 0 }))
        assert.instanceOf(conflict, StateConflict)
        assert.deepInclude(conflict, { id: handle.id, operation: "reschedule", state: "completed" })
        const running = yield* Never.enqueue()
        yield* Effect.repeat(running.task, { until: ({ state }) => state === "running", schedule: Schedule.spaced(20) })
        assert.instanceOf(yield* Effect.flip(running.reschedule({ priority: 0 })), StateConflict)
        yield* running.cancel
        assert.instanceOf(yield* Effect.flip(queue.reschedule("none", { delay: 0 })), TaskNotFound)
        const keyed = yield* Once.enqueue({ n: 1 }, { delay: "1 hour" })
        for (
          const [option, change] of [
            ["payload", { payload: { n: 2 } }],
            ["payload", {}],
            ["priority", { priority: 10 }],
            ["delay", { delay: 0, runAt }]
          ] as const
        ) {
          const invalid = yield* Effect.flip(keyed.reschedule(change))
          assert.instanceOf(invalid, InvalidOption, JSON.stringify(change))
          assert.strictEqual(invalid.option, option)
        }
      }).pipe(Effect.provide(layer)))

    it.live("is told that the queue is full, or waits for room", () =>
      Effect.gen(function*() {
        const queue = yield* TaskQueue
        yield* queue.pause("voices")
        const payloads = Array.from({ length: 299 }, () => ({ text: "x", at }))
        yield* Shout.enqueueAll(payloads)
        const two = [{ text: "y", at }, { text: "z", at }]
        const full = yield* Effect.flip(Shout.enqueueAll(two))
        assert.instanceOf(full, QueueFull)
        assert.deepInclude(full, { capacity: 300, unfinished: 299, offered: 2 })
        const [handles] = yield* Effect.all([
          Shout.enqueueAll(two, { whenFull: "wait" }),
          Effect.delay(queue.resume("voices"), 50)
        ], { concurrency: 2 })
        assert.deepStrictEqual((yield* handles[1]!.result).loud, "Z")
        const never = yield* Effect.flip(Shout.enqueueAll([...payloads, ...two], { whenFull: "wait" }))
        assert.instanceOf(never, QueueFull)
        assert.deepInclude(never, { capacity: 300, offered: 301 })
        assert.isTrue(full.mayFitLater)
        assert.isFalse(never.mayFitLater)
      }).pipe(Effect.provide(layer)))
  })
}

describe("a remote queue", () => {
  const over = (client: Layer.Layer<HttpClient.HttpClient>, options?: Partial<HttpTaskQueue.Options>) =>
    remote(options).pipe(Layer.provide(client), Layer.provide(Layer.fresh(server)))

  it.live("is told what the server's own definitions do not take", () =>
    Effect.gen(function*() {
      const unknown = yield* Effect.flip(Foreign.enqueue(undefined))
      assert.instanceOf(unknown, UnknownTaskType)
      assert.deepStrictEqual(unknown.known, ["broken", "never", "once", "shout", "strict"])
      const invalid = yield* Effect.flip(Strict.enqueueAll([{ n: 1 }, { n: 11 }]))
      assert.instanceOf(invalid, InvalidPayload)
      assert.strictEqual(invalid.index, 1)
    }).pipe(Effect.provide(over(FetchHttpClient.layer))))

  /** Lets requests through, but loses the replies whose turn it is. */
  const losing = (isLost: (request: number) => boolean) => {
    const requests: Array<string> = []
    const layer = Layer.effect(
      HttpClient.HttpClient,
      Effect.map(HttpClient.HttpClient, (client) =>
        HttpClient.transform(client, (response, request) => {
          requests.push(`${request.method} ${new URL(request.url).pathname}`)
          return isLost(requests.length)
            ? Effect.andThen(
              response,
              new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request }) })
            )
            : response
        }))
    ).pipe(Layer.provide(FetchHttpClient.layer))
    return { layer, requests }
  }
  const retry = Schedule.recurs(2)

  it.live("does not repeat what no server would take", () => {
    const { layer, requests } = losing(() => false)
    return Effect.gen(function*() {
      const large = yield* Effect.flip(Foreign.enqueue(undefined, { key: "k".repeat(256) }))
      assert.instanceOf(large, InvalidOption)
      const heavy = yield* Effect.flip(
        Shout.enqueueAll(Array.from({ length: 100 }, () => ({ text: "x".repeat(20_000), at })))
      )
      assert.instanceOf(heavy, StoreError)
      assert.include(heavy.message, "larger than 1048576 bytes")
      assert.isAtMost(requests.length, 2)
    }).pipe(Effect.provide(over(layer, { retry })))
  })

  it.live("stores a task once although replies are lost", () => {
    const { layer, requests } = losing((request) => request <= 2)
    return Effect.gen(function*() {
      const handle = yield* Never.enqueue(undefined, { delay: "1 hour" })
      assert.isFalse(handle.duplicate)
      assert.deepStrictEqual(requests, Array.from({ length: 3 }, () => "POST /api/v1/tasks"))
      assert.strictEqual((yield* (yield* TaskQueue).counts).totals.created, 1)
    }).pipe(Effect.provide(over(layer, { retry })))
  })

  it.live("sends one request for many tasks", () => {
    const { layer, requests } = losing(() => false)
    return Effect.gen(function*() {
      const queue = yield* TaskQueue
      const ids = Array.from({ length: 300 }, (_, index) => `${index}`)
      yield* queue.cancel(ids)
      yield* queue.rerun(ids)
      yield* queue.remove(ids)
      assert.deepStrictEqual(requests, ["cancel", "rerun", "remove"].map((name) => `POST /api/v1/${name}`))
    }).pipe(Effect.provide(over(layer)))
  })

  it.live("gives up after as many times as its schedule says", () => {
    const { layer, requests } = losing(() => true)
    return Effect.gen(function*() {
      const error = yield* Effect.flip(Never.enqueue(undefined))
      assert.instanceOf(error, StoreError)
      assert.strictEqual(requests.length, 3)
    }).pipe(Effect.provide(over(layer, { retry })))
  })

  it.live("never repeats what a second time would change", () => {
    const { layer, requests } = losing((request) => request > 2)
    return Effect.gen(function*() {
      const queue = yield* TaskQueue
      const { cancel, id } = yield* Never.enqueue(undefined, { delay: "1 hour" })
      yield* cancel
      assert.instanceOf(yield* Effect.flip(queue.rerun(id)), StoreError)
      assert.strictEqual(requests.length, 3)
    }).pipe(Effect.provide(over(layer, { retry })))
  })

  it.live("says which server cannot be reached", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Never.enqueue(undefined))
      assert.instanceOf(error, StoreError)
      assert.match(
        error.message,
        /failed to store tasks: http:\/\/127\.0\.0\.1:1\/base\/api\/v1\/tasks cannot be reached: /
      )
    }).pipe(Effect.provide(HttpTaskQueue.layer({ url: "http://127.0.0.1:1/base/", retry: Schedule.recurs(0) }))))

  it.live.each(["http://ada:hunter2@127.0.0.1:1", "http://127.0.0.1:1/?token=hunter2"])(
    "keeps the secrets in its URL to itself: %s",
    (url) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(Never.enqueue(undefined))
        assert.instanceOf(error, StoreError)
        assert.notInclude(error.message, "hunter2")
        assert.include(error.message, "***")
      }).pipe(Effect.provide(HttpTaskQueue.layer({ url, retry: Schedule.recurs(0) })))
  )

  it.live("sends its key as a bearer token", () => {
    const seen: Array<string | undefined> = []
    const layer = Layer.effect(
      HttpClient.HttpClient,
      Effect.map(
        HttpClient.HttpClient,
        HttpClient.transform((response, request) => {
          seen.push(request.headers["authorization"])
          return response
        })
      )
    ).pipe(Layer.provide(FetchHttpClient.layer))
    return Effect.gen(function*() {
      const refused = yield* Effect.flip((yield* TaskQueue).counts)
      assert.include(refused.message, "401")
      assert.deepStrictEqual(seen, ["Bearer secret"])
    }).pipe(Effect.provide(over(layer, { apiKey: "secret" })))
  })

  it.live("says what a refusal of the server means", () => {
    const answering = (status: number) =>
      Layer.succeed(
        HttpClient.HttpClient,
        HttpClient.make((request) =>
          Effect.succeed(HttpClientResponse.fromWeb(request, new Response("{}", { status })))
        )
      )
    const refusedWith = (status: number) =>
      Effect.map(
        Effect.flip(Never.enqueue(undefined)).pipe(
          Effect.provide(over(answering(status), { retry: Schedule.recurs(0) }))
        ),
        ({ message }) => message
      )
    return Effect.gen(function*() {
      assert.match(yield* refusedWith(401), /answered with 401: the server needs an API key/)
      assert.match(yield* refusedWith(403), /answered with 403: the role/)
      assert.match(yield* refusedWith(429), /answered with 429: too many requests/)
      assert.match(yield* refusedWith(418), /answered with 418$/)
    })
  })
})
