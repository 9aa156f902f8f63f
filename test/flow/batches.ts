/** What must hold of batches on every store: attempts are made by hand, in every order, and again after a crash. */
import { assert, describe } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Schema } from "effect"
import { BatchFinished, BatchNotFound } from "../../src/domain/BatchErrors.ts"
import type { ClaimedTask } from "../../src/domain/TaskRecord.ts"
import * as PooledRandom from "../../src/engine/PooledRandom.ts"
import * as BatchRecords from "../../src/flow/BatchRecords.ts"
import * as BatchSweep from "../../src/flow/BatchSweep.ts"
import { Supervisor } from "../../src/observability/Supervisor.ts"
import * as LocalTaskQueue from "../../src/queue/LocalTaskQueue.ts"
import { type EnqueueOptions, fromPayload, type Submission } from "../../src/queue/Submission.ts"
import { TaskQueue } from "../../src/queue/TaskQueue.ts"
import type { StoreServices } from "../../src/store/Driver.ts"
import { RecordStore } from "../../src/store/RecordStore.ts"
import { TaskStore } from "../../src/store/TaskStore.ts"
import * as Task from "../../src/Task.ts"
import { Snoozed } from "../../src/worker/Attempt.ts"
import * as BatchTasks from "../../src/worker/BatchTasks.ts"
import { type Driver, scenario as onDriver } from "../store/conformance/driver.ts"
import {
  cancel,
  complete,
  counts,
  fail,
  hour,
  record,
  request,
  rerun,
  settled,
  snooze,
  stateOf,
  stop
} from "../store/conformance/fixtures.ts"

const Member = Task.make("member", { payload: { fails: Schema.Boolean }, retry: { times: 0 } })
const Callback = Task.make("callback", { payload: { on: Schema.String } })

const submission = (exit: ReturnType<typeof fromPayload>): Submission =>
  Exit.isSuccess(exit) ? exit.value : assert.fail(String(exit.cause))

const member = (options: EnqueueOptions = {}, fails = false) => submission(fromPayload(Member, { fails }, options, 0))
const failing = (options: EnqueueOptions = {}) => member(options, true)
const members = (count: number) => Array.from({ length: count }, () => member())
const callback = (on: string) => submission(fromPayload(Callback, { on }, { id: on }, 0))
const callbacks = { onSuccess: callback("success"), onFailure: callback("failure"), onFinished: callback("finished") }
const everyCallback = ["success", "failure", "finished"]

/** One attempt at a task. */
const attempt = Effect.fnUntraced(function*(task: ClaimedTask) {
  if (task.type !== BatchRecords.type) {
    return yield* settled(task.payload.includes("true") ? fail(task) : complete(task))
  }
  const exit = yield* perform(task)
  if (Exit.isSuccess(exit)) return yield* settled(complete(task, JSON.stringify(exit.value)))
  const reason = exit.cause.reasons[0]
  yield* settled(
    reason?._tag === "Die" && reason.defect instanceof Snoozed
      ? snooze(task, reason.defect.delayMs)
      : fail(task)
  )
})

/** The work of one of the engine's own tasks, without the write that ends the attempt. */
const perform = ({ claim, id, payload }: ClaimedTask) =>
  Effect.exit(BatchTasks.run(JSON.parse(payload), {
    id,
    claim,
    snooze: (delay) => Effect.andThen(Snoozed.now(delay), Effect.never)
  }))

/** Claims what is due, all or what is wanted of it; the rest is given back. */
const claim = Effect.fnUntraced(function*(wanted: (task: ClaimedTask) => boolean = () => true, limit = 1000) {
  const { tasks } = yield* TaskStore.use((store) =>
    store.claim(request({ types: [BatchRecords.type, "member", "callback"], limit }))
  )
  for (const task of tasks) if (!wanted(task)) yield* settled({ _tag: "Release", id: task.id, claim: task.claim })
  return tasks.filter(wanted)
})

/** Attempts until nothing is due any more that is wanted. Answers the callbacks that have run, in their order. */
const drain = Effect.fnUntraced(function*(wanted: (task: ClaimedTask) => boolean = () => true) {
  const started: Array<string> = []
  for (let round = 0; round < 500; round++) {
    const tasks = yield* claim(wanted)
    if (tasks.length === 0) return started
    for (const task of tasks) {
      if (task.type === "callback") started.push(task.id)
      yield* attempt(task)
    }
  }
  return assert.fail("There is no end to it")
})

const batches = Effect.map(TaskQueue, ({ batches }) => batches)
const create = (batch: Parameters<TaskQueue["Service"]["batches"]["create"]>[0] = {}) =>
  Effect.flatMap(batches, (all) => all.create({ id: "b", ...batch }))
const add = (...members: ReadonlyArray<Submission>) => Effect.flatMap(batches, (all) => all.add("b", members))
const seal = Effect.flatMap(batches, (all) => all.seal("b"))
const view = Effect.flatMap(batches, (all) => all.get("b"))
const states = (...ids: ReadonlyArray<string>) => Effect.forEach(ids, stateOf)

export const keepsBatches = (name: string, driver: Driver) =>
  describe(name, () => {
    const scenario = (
      title: string,
      body: () => Effect.Effect<void, unknown, TaskQueue | StoreServices>,
      settings = {}
    ) =>
      onDriver(driver, title, () =>
        Effect.provide(
          body(),
          LocalTaskQueue.layer().pipe(Layer.provide([Supervisor.layer, PooledRandom.layer]))
        ), settings)

    scenario("starts what follows once, when all members have completed and it is sealed", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* create({ name: "letters", ...callbacks }), { id: "b", duplicate: false })
        yield* add(member(), member())
        assert.deepStrictEqual(yield* drain(), [])
        assert.deepInclude(yield* view, {
          name: "letters",
          state: "open",
          total: 2,
          completed: 2,
          percent: 100,
          finishedAt: null
        })
        yield* add(member())
        assert.deepStrictEqual(yield* states(...everyCallback), ["scheduled", "scheduled", "scheduled"])
        yield* seal
        yield* seal
        assert.sameMembers(yield* drain(), ["success", "finished"])
        assert.deepStrictEqual(yield* states(...everyCallback), ["completed", "cancelled", "completed"])
        assert.deepInclude(yield* view, { state: "completed", total: 3, completed: 3, failed: 0, percent: 100 })
        assert.isNotNull((yield* view).finishedAt)
        assert.deepStrictEqual(JSON.parse((yield* record("b")).result!), {
          batch: "b",
          total: 3,
          completed: 3,
          failed: 0,
          cancelled: 0,
          expired: 0
        })
        assert.deepInclude(yield* counts, { scheduled: 0, pending: 0, running: 0 })
      }))

    scenario("starts what follows a failure with the first member that fails, and the rest when all have ended", () =>
      Effect.gen(function*() {
        yield* create(callbacks)
        yield* add(failing({ id: "bad" }), failing({ id: "worse" }), member({ id: "slow", delay: "1 hour" }))
        yield* seal
        assert.deepStrictEqual(yield* drain(), ["failure"])
        assert.deepInclude(yield* view, { state: "sealed", total: 3, failed: 2, completed: 0, percent: 66 })
        assert.deepStrictEqual(yield* states(...everyCallback), ["scheduled", "completed", "scheduled"])
        yield* driver.advance("1 hour")
        assert.deepStrictEqual(yield* drain(), ["finished"])
        assert.deepStrictEqual(yield* states(...everyCallback), ["cancelled", "completed", "completed"])
        assert.deepInclude(yield* view, { state: "failed", total: 3, completed: 1, failed: 2, percent: 100 })
        assert.strictEqual((yield* record("success")).failure?.dependency?.id, "b")
      }))

    scenario("counts members by how they ended", () =>
      Effect.gen(function*() {
        yield* create(callbacks)
        yield* add(
          member(),
          failing(),
          member({ id: "stopped", delay: "1 hour" }),
          member({ id: "stale", delay: "1 hour", expiresIn: "1 minute" })
        )
        yield* add(member({ after: ["stopped"] }))
        yield* seal
        yield* drain()
        yield* cancel("stopped")
        yield* driver.advance("2 hours")
        const started = yield* drain()
        assert.include(started, "finished")
        const ends = { total: 5, completed: 1, failed: 2, cancelled: 1, expired: 1 }
        assert.deepInclude(yield* view, { state: "failed", ...ends, percent: 100 })
        assert.deepInclude((yield* record("b")).failure, { kind: "error" })
      }))

    scenario("is explained by what it waits for", () =>
      Effect.gen(function*() {
        const explained = Effect.gen(function*() {
          const { mayStartAt, reasons: [reason] } = yield* TaskQueue.use((queue) =>
            queue.explain("b")
          )
          assert.isTrue(Option.isNone(mayStartAt))
          return reason
        })
        yield* create()
        yield* add(...members(3))
        const open = yield* explained
        assert.deepInclude(open, { code: "dependency_open", open: 1, tasks: [] })
        assert.match(open!.text, /waits until it is sealed: 0 of its 3 members/)
        yield* seal
        assert.match((yield* explained)!.text, /waits until its members have ended: 0 of its 3 members/)
      }))

    scenario("finishes at once when it is sealed without members", () =>
      Effect.gen(function*() {
        yield* create(callbacks)
        assert.deepInclude(yield* view, { state: "open", total: 0, percent: 0 })
        yield* seal
        assert.sameMembers(yield* drain(), ["success", "finished"])
        assert.deepInclude(yield* view, { state: "completed", total: 0, percent: 100 })
      }))

    scenario("takes members until it has finished, and waits for all of them", () =>
      Effect.gen(function*() {
        yield* create({ onFinished: callbacks.onFinished })
        yield* add(member({ id: "first" }))
        yield* seal
        const [first] = yield* claim()
        // as its handler does
        yield* add(member({ id: "second" }))
        yield* attempt(first!)
        const [part] = yield* claim(({ type }) => type !== "member")
        yield* add(member({ id: "third" }))
        yield* attempt(part!)
        assert.deepStrictEqual(yield* states("finished", "second", "third"), ["scheduled", "pending", "pending"])
        assert.deepStrictEqual(yield* drain(), ["finished"])
        assert.deepInclude(yield* view, { total: 3, completed: 3 })
        const refused = yield* Effect.flip(add(member({ id: "late" })))
        assert.deepStrictEqual(refused, new BatchFinished({ batch: "b", reason: "finished" }))
        assert.isUndefined(yield* TaskStore.use((store) => store.get("late")))
      }))

    scenario("does not finish when a member joins right before the last part is counted", () =>
      Effect.gen(function*() {
        yield* create(callbacks)
        yield* add(member())
        yield* seal
        yield* drain(({ type }) => type === "member")
        const records = yield* RecordStore
        const all = yield* batches
        const [part] = yield* claim()
        let joined = false
        const late: RecordStore["Service"] = {
          ...records,
          atomically: (nonce, parts) =>
            Effect.suspend(() => {
              if (joined) return records.atomically(nonce, parts)
              joined = true
              return Effect.andThen(
                Effect.orDie(all.add("b", [member({ id: "late" })])),
                records.atomically(nonce, parts)
              )
            })
        }
        yield* Effect.provideService(attempt(part!), RecordStore, late)
        assert.isTrue(joined)
        assert.strictEqual(yield* stateOf("success"), "scheduled")
        assert.sameMembers(yield* drain(), ["success", "finished"])
        assert.deepInclude(yield* view, { total: 2, completed: 2 })
      }))

    scenario("starts each callback once, wherever an attempt crashes", () =>
      Effect.gen(function*() {
        yield* create(callbacks)
        yield* add(failing({ id: "bad" }), member())
        yield* seal
        const started: Array<string> = []
        for (let round = 0; round < 100; round++) {
          const tasks = yield* claim()
          if (tasks.length === 0) break
          for (const task of tasks) {
            if (task.type === "callback") started.push(task.id)
            // all is done but the write that ends the attempt, and the task is run again
            if (task.type === BatchRecords.type) {
              yield* perform(task)
              yield* settled({ _tag: "Release", id: task.id, claim: task.claim })
            }
          }
          for (const task of tasks.filter(({ type }) => type === BatchRecords.type)) {
            const again = yield* claim(({ id }) => id === task.id)
            for (const one of again) yield* attempt(one)
          }
          for (const task of tasks.filter(({ type }) => type !== BatchRecords.type)) yield* attempt(task)
        }
        assert.sameMembers(started, ["failure", "finished"])
        assert.deepInclude(yield* view, { state: "failed", total: 2, completed: 1, failed: 1 })
      }))

    scenario("waits for members that are run again before it has finished", () =>
      Effect.gen(function*() {
        yield* create({ onSuccess: callbacks.onSuccess })
        yield* add(member({ id: "again", delay: "1 hour" }), member())
        yield* seal
        yield* drain()
        yield* cancel("again")
        assert.deepStrictEqual(yield* rerun("again"), { _tag: "rerun" })
        const [part] = yield* claim(({ type }) => type !== "member")
        yield* attempt(part!)
        assert.deepInclude(yield* view, { state: "sealed", total: 2, completed: 1, percent: 50 })
        assert.deepStrictEqual(yield* drain(), ["success"])
        assert.deepInclude(yield* view, { state: "completed", total: 2, completed: 2 })
      }))

    scenario("is cancelled with its members, and takes no more", () =>
      Effect.gen(function*() {
        yield* create(callbacks)
        yield* add(member({ id: "done" }))
        yield* drain()
        yield* add(member({ id: "runs" }))
        const [runs] = yield* claim()
        yield* add(member({ id: "waits", delay: "1 hour" }), member({ id: "later", delay: "2 hours" }))
        const all = yield* batches
        yield* all.cancel("b")
        yield* all.cancel("b")
        const refused = yield* Effect.flip(add(member()))
        assert.deepStrictEqual(refused, new BatchFinished({ batch: "b", reason: "cancelled" }))
        yield* drain()
        assert.deepStrictEqual(yield* states("waits", "later"), ["cancelled", "cancelled"])
        assert.isTrue((yield* record("runs")).cancelRequested)
        assert.strictEqual(yield* stateOf("finished"), "scheduled")
        yield* settled(stop(runs!))
        assert.sameMembers(yield* drain(), ["finished"])
        assert.deepInclude(yield* view, {
          state: "cancelled",
          total: 4,
          completed: 1,
          cancelled: 3,
          failed: 0,
          percent: 100
        })
        assert.deepStrictEqual(yield* states(...everyCallback), ["cancelled", "completed", "completed"])
      }))

    scenario("is cancelled before it has members", () =>
      Effect.gen(function*() {
        yield* create(callbacks)
        yield* Effect.flatMap(batches, (all) => all.cancel("b"))
        assert.deepStrictEqual(yield* drain(), ["finished"])
        assert.deepInclude(yield* view, { state: "cancelled", total: 0 })
        assert.deepStrictEqual(yield* states(...everyCallback), ["cancelled", "cancelled", "completed"])
      }))

    scenario("is one batch however often it is made, and an addition with a name one addition", () =>
      Effect.gen(function*() {
        yield* create(callbacks)
        assert.deepStrictEqual(yield* create(callbacks), { id: "b", duplicate: true })
        const all = yield* batches
        const many = members(1500)
        const first = yield* all.add("b", many, { addition: "file" })
        const again = yield* all.add("b", many, { addition: "file" })
        assert.deepStrictEqual(
          again.map(({ id }) =>
            id
          ),
          first.map(({ id }) => id)
        )
        assert.isTrue(again.every(({ duplicate }) => duplicate))
        assert.deepInclude(yield* view, { total: 1500, percent: 0 })
        yield* drain()
        yield* all.add("b", many, { addition: "file" })
        assert.deepInclude(yield* view, { total: 1500, completed: 1500, state: "open" })
        yield* seal
        assert.sameMembers(yield* drain(), ["success", "finished"])
      }), { capacity: 10_000 })

    scenario("shows what has ended in parts that are open", () =>
      Effect.gen(function*() {
        yield* create()
        yield* add(...members(1200), failing())
        const tasks = yield* claim(undefined, 900)
        yield* TaskStore.use((store) =>
          store.settle(tasks.map((task) =>
            complete(task)
          ))
        )
        assert.deepInclude(yield* view, { total: 1201, completed: 900, failed: 0, percent: 74 })
        yield* drain()
        assert.deepInclude(yield* view, { total: 1201, completed: 1200, failed: 1, percent: 100 })
      }), { capacity: 10_000 })

    scenario("counts a task that is added twice in one part once, and what was stored before", () =>
      Effect.gen(function*() {
        yield* create({ onFinished: callbacks.onFinished })
        const queue = yield* TaskQueue
        yield* queue.submit([member({ id: "known" })])
        yield* add(member({ id: "twice" }), member({ id: "twice" }), member({ id: "known" }))
        yield* seal
        assert.deepStrictEqual(yield* drain(), ["finished"])
        assert.deepInclude(yield* view, { total: 2, completed: 2, percent: 100 })
      }))

    scenario("waits for room, and what was stored before a refusal stays", () =>
      Effect.gen(function*() {
        yield* create()
        const refused = yield* Effect.flip(add(...members(1500)))
        assert.strictEqual(refused._tag, "QueueFull")
        assert.deepInclude(yield* view, { total: 1000 })
        yield* drain()
        yield* add(...members(500))
        assert.deepInclude(yield* view, { total: 1500, completed: 1000 })
      }), { capacity: 1200 })

    scenario("is sealed in a full queue, whatever fills it", () =>
      Effect.gen(function*() {
        yield* create()
        yield* add(member())
        yield* drain()
        const others = ["other", "another"].map((id) =>
          member({ id, delay: "1 hour" })
        )
        yield* TaskQueue.use((queue) => queue.submit(others))
        yield* seal
        yield* seal
        yield* drain()
        assert.deepInclude(yield* view, { state: "completed", total: 1 })
        assert.deepStrictEqual(yield* states("other", "another"), ["scheduled", "scheduled"])
      }), { capacity: 3 })

    scenario("is cancelled although its own members fill the queue", () =>
      Effect.gen(function*() {
        yield* create()
        yield* add(member({ id: "one" }), member({ id: "two" }))
        yield* Effect.flatMap(batches, (all) => all.cancel("b"))
        yield* drain()
        assert.deepStrictEqual(yield* states("one", "two"), ["cancelled", "cancelled"])
        assert.deepInclude(yield* view, { state: "cancelled" })
      }), { capacity: 4 })

    scenario("sleeps on when its end is brought forward, and finishes all the same", () =>
      Effect.gen(function*() {
        yield* create(callbacks)
        yield* add(member())
        yield* TaskQueue.use((queue) => queue.reschedule("b", { delay: 0 }))
        assert.deepStrictEqual(yield* drain(), [])
        assert.deepInclude(yield* record("b"), { state: "scheduled" })
        yield* seal
        assert.sameMembers(yield* drain(), ["success", "finished"])
      }))

    scenario("is known by its id, in pages, and forgotten once its end has been removed", () =>
      Effect.gen(function*() {
        const all = yield* batches
        assert.deepStrictEqual(yield* Effect.flip(all.get("b")), new BatchNotFound({ batch: "b" }))
        const failing: ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string }>> = [
          all.add("b", []),
          all.add("b", [member()]),
          all.seal("b"),
          all.cancel("b"),
          all.get("a/b")
        ]
        for (const one of failing) assert.strictEqual((yield* Effect.flip(one))._tag, "BatchNotFound")
        for (const id of ["c", "b", "a"]) {
          yield* all.create({ id, onFailure: submission(fromPayload(Callback, { on: id }, {}, 0)) })
        }
        const first = yield* all.list({ limit: 2 })
        assert.deepStrictEqual(
          first.batches.map(({ id }) => id),
          ["a", "b"]
        )
        const second = yield* all.list({ limit: 2, cursor: first.next! })
        assert.deepStrictEqual([second.batches.map(({ id }) => id), second.next], [["c"], null])
        yield* add(member({ delay: "1 day" }))
        yield* all.cancel("a")
        yield* drain()
        yield* TaskStore.use((store) => store.remove(["a"]))
        yield* driver.advance("2 hours")
        yield* TaskStore.use((store) => BatchSweep.sweep(store, hour))
        assert.deepStrictEqual((yield* all.list()).batches.map(({ id }) => id), ["b", "c"])
      }))

    for (
      const [what, ends, state] of [["sealed", "seal", "completed"], ["cancelled", "cancel", "cancelled"]] as const
    ) {
      scenario(`finishes in the end, though who has ${what} it died right then`, () =>
        Effect.gen(function*() {
          yield* create({ onFinished: callbacks.onFinished })
          yield* add(member())
          yield* drain()
          const killed = () => Effect.die("killed")
          const dying = Layer.effect(
            TaskStore,
            Effect.map(TaskStore, (store) => TaskStore.of({ ...store, cancel: killed, reschedule: killed }))
          )
          const exit = yield* Effect.exit(Effect.provide(
            Effect.flatMap(batches, (all) => all[ends]("b")),
            LocalTaskQueue.layer().pipe(Layer.provide([Supervisor.layer, PooledRandom.layer, dying]), Layer.fresh)
          ))
          assert.isTrue(Exit.hasDies(exit))
          assert.deepStrictEqual(yield* drain(), [])
          yield* driver.advance("2 minutes")
          // and who goes on with it dies as well
          const sweep = TaskStore.use((store) => BatchSweep.sweep(store, 6 * hour))
          assert.isTrue(Exit.hasDies(yield* Effect.exit(Effect.provide(sweep, dying))))
          assert.deepStrictEqual(yield* drain(), [])
          yield* driver.advance("2 minutes")
          yield* sweep
          assert.deepStrictEqual(yield* drain(), ["finished"])
          yield* driver.advance("2 minutes")
          assert.isAbove(yield* sweep, hour)
          assert.deepInclude(yield* view, { state, total: 1, completed: 1 })
        }))
    }

    scenario("finishes in the end, though a task of the engine's own was cancelled by hand", () =>
      Effect.gen(function*() {
        yield* create(callbacks)
        yield* add(member(), member({ id: "late", delay: "1 hour" }))
        yield* seal
        const part = "b/1"
        assert.strictEqual(yield* cancel(part), "cancelled")
        assert.deepStrictEqual(yield* drain(), [])
        yield* driver.advance("2 hours")
        const sweep = TaskStore.use((store) =>
          BatchSweep.sweep(store, hour)
        )
        yield* sweep
        // it waits for the members that have not ended
        assert.strictEqual(yield* stateOf(part), "scheduled")
        assert.deepStrictEqual(yield* drain(), ["success", "finished"])
        yield* driver.advance("2 hours")
        yield* sweep
        assert.deepStrictEqual(yield* drain(), [])
        assert.deepInclude(yield* view, { state: "completed", completed: 2 })
      }))

    for (
      const [option, batch] of [
        ["id", { id: "a/b" }],
        ["id", { id: "x".repeat(161) }],
        ["name", { name: "" }],
        ["queue", { queue: "" }],
        ["onSucess", { onSucess: callback("success") } as object],
        ["onSuccess.key", { onSuccess: submission(fromPayload(Callback, { on: "" }, { key: "k" }, 0)) }],
        ["onFailure.onFailure", { onFailure: submission(fromPayload(Callback, { on: "" }, { onFailure: "run" }, 0)) }]
      ] as const
    ) {
      scenario(`is refused with ${option} as ${JSON.stringify(batch).slice(0, 40)}`, () =>
        Effect.gen(function*() {
          assert.deepInclude(yield* Effect.flip(create(batch)), { _tag: "InvalidOption", option })
        }))
    }
  })
