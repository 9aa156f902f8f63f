import { assert, describe, it } from "@effect/vitest"
import { Context, DateTime, Effect } from "effect"
import { TestClock } from "effect/testing"
import * as Bounds from "../../src/domain/Bounds.ts"
import * as Cursor from "../../src/domain/Cursor.ts"
import { InvalidOption } from "../../src/domain/Errors.ts"
import type { NewTask } from "../../src/domain/TaskRecord.ts"
import type { PauseOptions } from "../../src/queue/Pauses.ts"
import { maxListedTypes, maxTypes, type QueueCounts, type TypeCounts } from "../../src/queue/Queues.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import { InstanceStore } from "../../src/store/InstanceStore.ts"
import * as PausedQueues from "../../src/store/PausedQueues.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import * as Task from "../../src/Task.ts"
import { pass, start, withEngine, withStore } from "../engine/TestEngine.ts"
import { add, complete, hour, second, settled, take, takeOne } from "../store/conformance/fixtures.ts"

const Work = Task.make("work")

/** An engine that runs nothing: the test does. */
const idle = { store: { capacity: 20_000 }, worker: { concurrency: 1 } }

const ask = <A, E>(about: (queue: TaskQueue["Service"]) => Effect.Effect<A, E>) => TaskQueue.use(about)

const namesOf = (queues: ReadonlyArray<QueueCounts>) => queues.map(({ queue }) => queue)
const typesOf = (types: ReadonlyArray<TypeCounts>) => types.map(({ type }) => type)

/** All pages of something. */
const allPages = Effect.fnUntraced(function*<A, E, R>(
  page: (cursor: string | undefined) => Effect.Effect<{ readonly items: ReadonlyArray<A>; next: string | null }, E, R>
) {
  const all: Array<A> = []
  const sizes: Array<number> = []
  let cursor: string | undefined
  do {
    const { items, next } = yield* page(cursor)
    all.push(...items)
    sizes.push(items.length)
    cursor = next ?? undefined
  } while (cursor !== undefined)
  return { all, sizes }
})

const pagesOfQueues = (limit: number) =>
  allPages((cursor) =>
    Effect.map(ask((queue) => queue.queues({ limit, cursor })), ({ next, queues }) => ({ items: queues, next }))
  )

const many = (count: number) => Array.from({ length: count }, (_, index) => index)

describe("the queues of a TaskQueue", () => {
  it.effect("are those that have tasks or are paused, with what waits and runs by type", () =>
    withEngine(
      idle,
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* ask((queue) => queue.queues()), {
          queues: [],
          next: null,
          now: yield* DateTime.now
        })
        const ids = yield* add(
          { queue: "mail", type: "welcome" },
          { queue: "mail", type: "welcome" },
          { queue: "mail", type: "invoice" },
          { queue: "mail", type: "invoice", delayMs: hour },
          { queue: "done", type: "once" }
        )
        const since = (yield* ask((queue) => queue.get(ids[0]))).dueAt
        yield* settled(complete(yield* takeOne({ queues: ["done"], types: ["once"] })))
        yield* takeOne({ queues: ["mail"], types: ["welcome"] })
        yield* TestClock.adjust(20 * second)
        yield* ask((queue) => queue.pause("later"))
        yield* ask((queue) => queue.pause("mail"))
        const none = { scheduled: 0, pending: 0, running: 0, waitingSince: null }
        const pause = { by: null, reason: null, since: DateTime.addDuration(since, 20 * second), until: null }
        const mail = {
          queue: "mail",
          pause,
          scheduled: 1,
          pending: 2,
          running: 1,
          waitingSince: since,
          typeCount: 2,
          types: [
            { type: "invoice", scheduled: 1, pending: 1, running: 0, waitingSince: since },
            { type: "welcome", scheduled: 0, pending: 1, running: 1, waitingSince: since }
          ]
        }
        assert.deepStrictEqual(yield* ask((queue) => queue.queues()), {
          queues: [
            { queue: "done", pause: null, ...none, typeCount: 1, types: [{ type: "once", ...none }] },
            { queue: "later", pause, ...none, typeCount: 0, types: [] },
            mail
          ],
          next: null,
          now: DateTime.addDuration(since, 20 * second)
        })
        assert.deepStrictEqual(yield* ask((queue) => queue.queue("mail")), {
          ...mail,
          next: null,
          now: DateTime.addDuration(since, 20 * second)
        })
        assert.deepStrictEqual(yield* ask((queue) => queue.types()), {
          types: [...mail.types.slice(0, 1), { type: "once", ...none }, ...mail.types.slice(1)],
          next: null,
          now: DateTime.addDuration(since, 20 * second)
        })
        yield* ask((queue) => queue.remove(ids[4]))
        yield* ask((queue) => queue.resume("later"))
        assert.deepStrictEqual(namesOf((yield* ask((queue) => queue.queues())).queues), ["mail"])
        assert.deepStrictEqual(yield* ask((queue) => queue.queue("done")), {
          queue: "done",
          pause: null,
          ...none,
          typeCount: 0,
          types: [],
          next: null,
          now: DateTime.addDuration(since, 20 * second)
        })
      })
    ))

  it.effect("agree with the counts by state, the paused queues, and what nothing can run", () =>
    withEngine(
      idle,
      Effect.gen(function*() {
        yield* add(
          ...many(300).map((index) => ({
            queue: `q${index % 17}`,
            type: `t${index % 5}`,
            delayMs: index % 4 === 0 ? hour : 0
          }))
        )
        const claimed = yield* take({ queues: undefined, types: ["t1", "t2"], limit: 60 })
        yield* Effect.forEach(claimed.slice(0, 20), (one) => settled(complete(one)))
        yield* Effect.forEach(["q3", "q5", "zero"], (queue) => ask(({ pause }) => pause(queue)))
        const { queues } = yield* ask((queue) => queue.queues())
        const { types } = yield* ask((queue) => queue.types())
        const counts = yield* ask((queue) => queue.counts)
        for (const state of ["scheduled", "pending", "running"] as const) {
          const sum = (all: ReadonlyArray<Record<typeof state, number>>) =>
            all.reduce((total, one) => total + one[state], 0)
          assert.strictEqual(sum(queues), counts[state])
          assert.strictEqual(sum(queues.flatMap(({ types }) => types)), counts[state])
          assert.strictEqual(sum(types), counts[state])
        }
        assert.deepStrictEqual(
          queues.flatMap(({ pause, queue }) => pause === null ? [] : [{ queue, ...pause }]),
          [...yield* ask((queue) => queue.paused)]
        )
        const stranded = yield* TaskStore.use((store) => store.stranded([], 1000))
        assert.sameMembers(
          stranded.map(({ queue, type }) => `${queue} ${type}`),
          queues.flatMap(({ queue, types }) =>
            types.filter(({ pending }) => pending > 0).map(({ type }) => `${queue} ${type}`)
          )
        )
        for (const { queue, ...listed } of queues) {
          assert.deepInclude(yield* ask((all) => all.queue(queue)), listed)
        }
      })
    ))

  it.effect("are paused up to a number, one of them again and again", () =>
    withEngine(
      idle,
      Effect.gen(function*() {
        const pause = (name: string) => ask((queue) => queue.pause(name))
        yield* Effect.forEach(many(PausedQueues.maxPaused), (index) => pause(`q${index}`))
        const refused = yield* Effect.flip(pause("one more"))
        assert.instanceOf(refused, InvalidOption)
        assert.include(refused.message, "resume another one first")
        yield* pause("q7")
        assert.lengthOf(yield* ask((queue) => queue.paused), PausedQueues.maxPaused)
        yield* ask((queue) => queue.resume("q7"))
        yield* pause("one more")
        assert.include((yield* ask((queue) => queue.paused)).map(({ queue }) => queue), "one more")
      })
    ))

  it.effect("say who paused them, why, and until when", () =>
    withEngine(
      idle,
      Effect.gen(function*() {
        const since = yield* DateTime.now
        const pause = (options?: PauseOptions) => ask((queue) => queue.pause("mail", options))
        yield* pause({ by: "ada", reason: "The mail server is being moved", for: "2 hours" })
        const said = {
          by: "ada",
          reason: "The mail server is being moved",
          since,
          until: DateTime.addDuration(since, "2 hours")
        }
        assert.deepStrictEqual(yield* ask((queue) => queue.paused), [{ queue: "mail", ...said }])
        assert.deepStrictEqual((yield* ask((queue) => queue.queue("mail"))).pause, said)
        yield* TestClock.adjust("1 minute")
        // What is said last counts
        yield* pause({ until: DateTime.addDuration(since, "1 day") })
        assert.deepStrictEqual((yield* ask((queue) => queue.queue("mail"))).pause, {
          by: null,
          reason: null,
          since: DateTime.addDuration(since, "1 minute"),
          until: DateTime.addDuration(since, "1 day")
        })
        const refused: ReadonlyArray<readonly [option: string, options: object]> = [
          ["reason", { reason: "" }],
          ["reason", { reason: "x".repeat(Bounds.maxReasonLength + 1) }],
          ["by", { by: "a\u0000" }],
          ["for", { for: 0 }],
          ["for", { for: Infinity }],
          ["for", { for: 1, until: since }],
          ["until", { until: "tomorrow" }],
          ["because", { because: "of you" }]
        ]
        for (const [option, options] of refused) {
          assert.propertyVal(yield* Effect.flip(pause(options)), "option", option)
        }
        assert.isNotNull((yield* ask((queue) => queue.queue("mail"))).pause?.until)
      })
    ))

  it.effect("go on by themselves when the instance that saw to it has died", () =>
    withStore(
      {},
      Effect.gen(function*() {
        yield* InstanceStore.use((store) => store.lead("maintenance", "dead", 15_000))
        const { close, context } = yield* start({ handlers: Work.toLayer(() => Effect.void) })
        const queue = Context.get(context, TaskQueue)
        yield* queue.pause("default", { for: "1 second" })
        yield* pass("10 seconds")
        assert.lengthOf(yield* queue.paused, 1)
        yield* pass("35 seconds")
        assert.deepStrictEqual(yield* queue.paused, [])
        yield* close
      })
    ))

  it.effect("go on by themselves when their time has come, and not before", () =>
    withEngine(
      { handlers: Work.toLayer(() => Effect.void), worker: { pollInterval: "1 hour" } },
      Effect.gen(function*() {
        yield* ask((queue) => queue.pause("default", { for: "1 minute" }))
        yield* ask((queue) => queue.pause("other", { for: "1 hour" }))
        const task = yield* Work.enqueue()
        yield* TestClock.adjust("59 seconds")
        assert.deepInclude(yield* task.task, { state: "pending" })
        yield* TestClock.adjust("3 seconds")
        assert.deepInclude(yield* task.task, { state: "completed" })
        assert.deepStrictEqual((yield* ask((queue) => queue.paused)).map(({ queue }) => queue), ["other"])
        // A pause that is prolonged in time ends later
        yield* ask((queue) => queue.pause("default", { for: "1 minute" }))
        yield* TestClock.adjust("30 seconds")
        yield* ask((queue) => queue.pause("default", { for: "1 minute" }))
        const later = yield* Work.enqueue()
        yield* TestClock.adjust("45 seconds")
        assert.deepInclude(yield* later.task, { state: "pending" })
        yield* TestClock.adjust("20 seconds")
        assert.deepInclude(yield* later.task, { state: "completed" })
      })
    ))

  const names = ["!", "A", "__proto__", "a", "a/b", "aa", "constructor", "ä", "\uffff", "\u{1F600}"]

  it.effect("come in pages that together are all of them, whatever the size", () =>
    withEngine(
      idle,
      Effect.gen(function*() {
        const tasks = names.flatMap((queue, index) =>
          index % 3 === 0 ? [] : names.slice(0, index).map((type): Partial<NewTask> => ({ queue, type }))
        )
        yield* add(...tasks.toReversed())
        yield* Effect.forEach(names.filter((_, index) => index % 2 === 0), (queue) => ask(({ pause }) => pause(queue)))
        const { all } = yield* pagesOfQueues(1000)
        // the fourth and the last one have no tasks and are not paused
        assert.deepStrictEqual(namesOf(all), names.filter((_, index) => index % 3 !== 0 || index % 2 === 0))
        for (const { queue, typeCount, types } of all) {
          const index = names.indexOf(queue)
          assert.deepStrictEqual(typesOf(types), index % 3 === 0 ? [] : names.slice(0, index))
          assert.strictEqual(typeCount, types.length)
        }
        for (const limit of [1, 2, 3, 4, 7, 8]) {
          const { all: paged, sizes } = yield* pagesOfQueues(limit)
          assert.deepStrictEqual(paged, all)
          assert.isTrue(sizes.slice(0, -1).every((size) => size === limit), sizes.join())
        }
        const { types } = yield* ask((queue) => queue.types())
        assert.deepStrictEqual(typesOf(types), names.slice(0, -2))
        for (const limit of [1, 3, 8, 9]) {
          const paged = yield* allPages((cursor) =>
            Effect.map(ask((queue) => queue.types({ limit, cursor })), ({ next, types }) => ({ items: types, next }))
          )
          assert.deepStrictEqual(paged.all, types)
          const own = yield* allPages((cursor) =>
            Effect.map(
              ask((queue) => queue.queue("\uffff", { limit, cursor })),
              ({ next, pending, typeCount, types }) => {
                assert.deepStrictEqual([pending, typeCount], [8, 8])
                return { items: types, next }
              }
            )
          )
          assert.deepStrictEqual(own.all, all.at(-1)!.types)
        }
      })
    ))

  it.effect("go on after a queue that has gone, and show what came behind it", () =>
    withEngine(
      idle,
      Effect.gen(function*() {
        const ids = yield* add({ queue: "a" }, { queue: "b" }, { queue: "d" })
        const first = yield* ask((queue) => queue.queues({ limit: 2 }))
        assert.deepStrictEqual(namesOf(first.queues), ["a", "b"])
        yield* ask((queue) => queue.cancel(ids[1]))
        yield* ask((queue) => queue.remove(ids[1]))
        yield* add({ queue: "c" }, { queue: "aa" })
        const second = yield* ask((queue) => queue.queues({ limit: 2, cursor: first.next! }))
        assert.deepStrictEqual([namesOf(second.queues), second.next], [["c", "d"], null])
      })
    ))

  it.effect("show a hundred types each, and end a page after a thousand", () =>
    withEngine(
      idle,
      Effect.gen(function*() {
        yield* add(
          ...many(30).flatMap((queue) => many(101).map((type) => ({ queue: `q${10 + queue}`, type: `t${100 + type}` })))
        )
        const { all, sizes } = yield* pagesOfQueues(50)
        assert.deepStrictEqual(sizes, [10, 10, 10])
        for (const { pending, typeCount, types } of all) {
          assert.deepStrictEqual([pending, typeCount, types.length], [101, 101, maxListedTypes])
          assert.strictEqual(types.at(-1)!.type, "t199")
        }
        assert.isAtMost(all.slice(0, 10).flatMap(({ types }) => types).length, maxTypes)
        yield* add(...many(5000).map((index) => ({ queue: "q25", type: `u${index}` })))
        const [wide] = (yield* ask((queue) => queue.queues({ cursor: Cursor.encodeName("queue", "q24") }))).queues
        assert.deepInclude(wide, { queue: "q25", pending: 5101, typeCount: 5101 })
        assert.lengthOf(wide!.types, maxListedTypes)
        const detail = yield* ask((queue) => queue.queue("q25", { limit: 1000 }))
        assert.lengthOf(detail.types, 1000)
        assert.strictEqual(detail.pending, 5101)
        assert.isNotNull(detail.next)
        const types = yield* allPages((cursor) =>
          Effect.map(
            ask((queue) => queue.types({ limit: 1000, cursor })),
            ({ next, types }) => ({ items: types, next })
          )
        )
        assert.deepStrictEqual(types.sizes, [1000, 1000, 1000, 1000, 1000, 101])
        assert.deepInclude(types.all[0], { type: "t100", pending: 30 })
      })
    ))

  it.effect("refuse cursors that no page of theirs gave, unknown options, and what is no name", () =>
    withEngine(
      idle,
      Effect.gen(function*() {
        yield* add({ queue: "a", type: "t" }, { queue: "a", type: "u" }, { queue: "b" })
        const ofQueues = (yield* ask((queue) => queue.queues({ limit: 1 }))).next!
        const ofTypes = (yield* ask((queue) => queue.types({ limit: 1 }))).next!
        const ofTasks = (yield* ask((queue) => queue.list({ limit: 1 }))).next!
        assert.match(ofQueues, /^[\w.-]+$/)
        const wrong = ["", "1", "queue.", "type.", "queue.AA", "queue.w4", "queue.YQ==", "queue.7aCA", "queue.YQ ", "a"]
        const tooLong = Cursor.encodeName("queue", "x".repeat(256))
        for (const cursor of [...wrong, ofTasks, ofTypes, tooLong, ofQueues.toUpperCase()]) {
          const error = yield* Effect.flip(ask((queue) => queue.queues({ cursor })))
          assert.instanceOf(error, InvalidOption, cursor)
          assert.strictEqual(error.option, "cursor")
        }
        for (const cursor of [...wrong, ofTasks, ofQueues]) {
          assert.instanceOf(yield* Effect.flip(ask((queue) => queue.queue("a", { cursor }))), InvalidOption, cursor)
          assert.instanceOf(yield* Effect.flip(ask((queue) => queue.types({ cursor }))), InvalidOption, cursor)
        }
        for (const name of ["", "a\u0000", "\ud800", "x".repeat(256)]) {
          assert.instanceOf(yield* Effect.flip(ask((queue) => queue.queue(name))), InvalidOption)
        }
        const unknown = { size: 3 } as object
        assert.instanceOf(yield* Effect.flip(ask((queue) => queue.queues(unknown))), InvalidOption)
        for (const limit of [0, -1, NaN, 0.5]) {
          assert.lengthOf((yield* ask((queue) => queue.queues({ limit }))).queues, 1, String(limit))
        }
        for (const limit of [1e9, Infinity, 2.9]) {
          assert.lengthOf((yield* ask((queue) => queue.queues({ limit }))).queues, 2, String(limit))
        }
      })
    ))
})
