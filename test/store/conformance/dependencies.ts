import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { Dependencies, type NewTask, RecordStore, TaskStore } from "taskforge/store"
import { type Driver, scenario } from "./driver.ts"
import {
  add,
  addAll,
  addGroup,
  addOne,
  again,
  cancel,
  complete,
  counts,
  fail,
  hour,
  minute,
  pause,
  record,
  release,
  request,
  rerun,
  rescue,
  retention,
  running,
  second,
  setLimit,
  settle,
  settled,
  snooze,
  stateOf,
  stop,
  take,
  takeIds,
  takeOne,
  task,
  through
} from "./fixtures.ts"

const policies = ["fail", "cancel", "run"] as const

/** Ends a stored task that waits in each of the ways in which one can end. */
const ends = {
  completed: (id: string) => Effect.flatMap(claimOf(id), (ref) => settled(complete(ref))),
  failed: (id: string) => Effect.flatMap(claimOf(id), (ref) => settled(fail(ref))),
  cancelled: (id: string) => Effect.asVoid(cancel(id)),
  expired: (id: string) => Effect.flatMap(claimOf(id), (ref) => settled(again(ref, 2 * hour)))
}

type End = keyof typeof ends
const endings = Object.keys(ends) as ReadonlyArray<End>

/** Claims what there is, which has to be this task. */
const claimOf = Effect.fnUntraced(function*(id: string) {
  const claimed = yield* takeOne()
  assert.strictEqual(claimed.id, id)
  return claimed
})

/** Stores groups and answers what became of the first. */
const enqueue = (...group: ReadonlyArray<Partial<NewTask>>) =>
  Effect.map(TaskStore.use((store) => store.enqueue([group.map(task)])), ([answer]) => answer!)

/** Goes on with what ended until all have been told. */
const tellAll = Effect.gen(function*() {
  const store = yield* TaskStore
  let calls = 0
  while (yield* store.tell) assert.isBelow(++calls, 1000, "there is always more to tell")
})

const statesOf = (ids: ReadonlyArray<string>) => Effect.forEach(ids, stateOf)
const waitsFor = (id: string) => Effect.map(record(id), (found) => found.waitsFor)
const edges = (id: string) => TaskStore.use((store) => store.edges(id))
const after = (id: string) => Effect.map(edges(id), (found) => found?.after.map(({ id }) => id))

export const dependencies = (driver: Driver) => {
  if (driver.without?.includes("dependencies") === true) return

  describe("a task that depends on others", () => {
    scenario(driver, "waits until the last of them has ended, and starts then", () =>
      Effect.gen(function*() {
        const [a, b] = yield* add({}, {})
        const id = yield* addOne({ after: [a, b] })
        assert.deepInclude(yield* record(id), { state: "scheduled", waitsFor: 2, onFailure: "fail" })
        const [first, second] = yield* take()
        assert.deepStrictEqual([first!.id, second!.id], [a, b])
        yield* settled(complete(first!))
        assert.deepInclude(yield* record(id), { state: "scheduled", waitsFor: 1 })
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* settled(complete(second!))
        assert.deepInclude(yield* record(id), { state: "pending", waitsFor: 0 })
        assert.deepStrictEqual(yield* takeIds(), [id])
      }))

    scenario(driver, "is released by ends that come in one write", () =>
      Effect.gen(function*() {
        const members = yield* addAll(Array.from({ length: 20 }, () => ({})))
        const id = yield* addOne({ after: members })
        const store = yield* TaskStore
        const claimed = yield* take()
        yield* store.settle(claimed.slice(0, 19).map((ref) => complete(ref)))
        assert.strictEqual(yield* waitsFor(id), 1)
        yield* store.settle(claimed.map((ref) => complete(ref)))
        assert.deepStrictEqual(yield* takeIds(), [id])
      }))

    scenario(driver, "is nothing that a claim would look forward to", () =>
      Effect.gen(function*() {
        const first = yield* running()
        yield* addOne({ after: [first.id] })
        const store = yield* TaskStore
        assert.deepInclude(yield* store.claim(request()), { tasks: [], nextDueAt: null })
        assert.deepStrictEqual(yield* store.stranded([], 10), [])
        yield* driver.advance("1 hour")
        assert.deepInclude(yield* store.claim(request()), { tasks: [], nextDueAt: null })
      }))

    scenario(driver, "starts at once after those that have been completed", () =>
      Effect.gen(function*() {
        const done = yield* addOne()
        yield* ends.completed(done)
        const id = yield* addOne({ after: [done] })
        assert.deepInclude(yield* record(id), { state: "pending", waitsFor: 0, onFailure: "fail" })
        assert.deepStrictEqual(yield* takeIds(), [id])
      }))

    for (const onFailure of policies) {
      for (const end of endings) {
        const becomes = end === "completed" || onFailure === "run"
          ? "pending"
          : onFailure === "fail"
          ? "failed"
          : "cancelled"
        const holds = Effect.fnUntraced(function*(id: string, dependency: string) {
          const { completedAt, failure, state } = yield* record(id)
          assert.strictEqual(state, becomes)
          assert.strictEqual(completedAt === null, becomes === "pending")
          if (becomes === "pending") return assert.isNull(failure)
          assert.deepInclude(failure, { kind: "dependency", dependency: { id: dependency, state: end } })
          assert.include(failure!.message, dependency)
        })

        scenario(driver, `is ${becomes} with "${onFailure}" when one of them is ${end}`, () =>
          Effect.gen(function*() {
            const dependency = yield* addOne({ expiresInMs: hour })
            const id = yield* addOne({ after: [dependency], onFailure })
            yield* ends[end](dependency)
            yield* holds(id, dependency)
          }))

        scenario(
          driver,
          `is ${becomes} with "${onFailure}" when one of them was ${end} before`,
          () =>
            Effect.gen(function*() {
              const dependency = yield* addOne({ expiresInMs: hour })
              yield* ends[end](dependency)
              const id = yield* addOne({ after: [dependency], onFailure })
              yield* holds(id, dependency)
            })
        )
      }
    }

    scenario(
      driver,
      "ends with the first that does not complete, and is told of no other",
      () =>
        Effect.gen(function*() {
          const [a, b] = yield* add({}, {})
          const id = yield* addOne({ after: [a, b] })
          const [first, second] = yield* take()
          yield* settled(fail(first!))
          const before = yield* record(id)
          assert.strictEqual(before.state, "failed")
          yield* settled(fail(second!))
          assert.deepStrictEqual(yield* record(id), before)
          assert.deepInclude((yield* counts).totals, { failed: 3, completed: 0 })
        })
    )

    scenario(driver, "waits for one that is retried, snoozed, released or taken back", () =>
      Effect.gen(function*() {
        const dependency = yield* addOne()
        const id = yield* addOne({ after: [dependency] })
        yield* settled(again(yield* takeOne()))
        yield* settled(snooze(yield* takeOne()))
        yield* settled(release(yield* takeOne()))
        const lost = yield* takeOne({ leaseForMs: second })
        yield* driver.advance("2 seconds")
        yield* rescue()
        assert.strictEqual(yield* settle(complete(lost)), "stale")
        assert.deepInclude(yield* record(id), { state: "scheduled", waitsFor: 1 })
        yield* ends.completed(dependency)
        assert.deepStrictEqual(yield* takeIds(), [id])
      }))

    scenario(driver, "fails with one that is quarantined", () =>
      Effect.gen(function*() {
        const dependency = yield* addOne()
        const id = yield* addOne({ after: [dependency] })
        yield* takeOne({ leaseForMs: second })
        yield* driver.advance("2 seconds")
        yield* rescue()
        assert.deepStrictEqual(yield* statesOf([dependency, id]), ["failed", "failed"])
      }), { maxCrashes: 0 })

    scenario(driver, "fails with one that is cancelled while it runs, once it has ended", () =>
      Effect.gen(function*() {
        const dependency = yield* running()
        const id = yield* addOne({ after: [dependency.id] })
        assert.strictEqual(yield* cancel(dependency.id), "requested")
        assert.strictEqual(yield* stateOf(id), "scheduled")
        yield* settled(stop(dependency))
        assert.strictEqual(yield* stateOf(id), "failed")
      }))

    scenario(driver, "fails with one that expires while it waits", () =>
      Effect.gen(function*() {
        const dependency = yield* addOne({ expiresInMs: minute })
        const id = yield* addOne({ after: [dependency] })
        yield* driver.advance("2 minutes")
        const store = yield* TaskStore
        assert.lengthOf(yield* store.expire(10), 1)
        assert.deepStrictEqual(yield* statesOf([dependency, id]), ["expired", "failed"])
      }))

    scenario(driver, "fails with one that a claim finds to have expired", () =>
      Effect.gen(function*() {
        const dependency = yield* addOne({ expiresInMs: minute })
        const [failing, running] = yield* add({ after: [dependency] }, { after: [dependency], onFailure: "run" })
        yield* driver.advance("2 minutes")
        assert.deepStrictEqual([...yield* takeIds(), ...yield* takeIds()], [running])
        assert.deepStrictEqual(yield* statesOf([dependency, failing]), ["expired", "failed"])
      }))

    scenario(driver, "is refused where one of them is not stored, with all of its group", () =>
      Effect.gen(function*() {
        const known = yield* addOne()
        assert.deepStrictEqual(
          yield* enqueue({}, { after: [known, "nothing"] }),
          { _tag: "UnknownDependency", index: 1, id: "nothing" }
        )
        const store = yield* TaskStore
        yield* cancel(known)
        yield* store.remove([known])
        assert.deepInclude(yield* enqueue({ after: [known] }), { _tag: "UnknownDependency", index: 0, id: known })
        assert.deepInclude(yield* counts, { pending: 0, scheduled: 0 })
        assert.strictEqual((yield* counts).totals.created, 1)
      }))

    scenario(
      driver,
      "is refused where it depends on itself, or others on each other in a circle",
      () =>
        Effect.gen(function*() {
          assert.deepStrictEqual(
            yield* enqueue({ id: "self", after: ["self"] }),
            { _tag: "DependencyCycle", index: 0, ids: ["self"] }
          )
          const circle = yield* enqueue(
            { id: "start" },
            { id: "a", after: ["start", "c"] },
            { id: "b", after: ["a"] },
            { id: "c", after: ["start", "b"] }
          )
          assert.strictEqual(circle._tag, "DependencyCycle")
          if (circle._tag === "DependencyCycle") assert.sameMembers([...circle.ids], ["a", "b", "c"])
          assert.strictEqual((yield* counts).totals.created, 0)
        })
    )

    scenario(driver, "may come before those of its group that it depends on", () =>
      Effect.gen(function*() {
        const [last, middle, first] = yield* add(
          { id: "last", after: ["middle"] },
          { id: "middle", after: ["first"] },
          { id: "first" }
        )
        for (const id of [first, middle, last]) yield* ends.completed(id)
        assert.deepStrictEqual(yield* statesOf([first, middle, last]), ["completed", "completed", "completed"])
      }))

    scenario(driver, "runs once in a diamond", () =>
      Effect.gen(function*() {
        const [top, left, right, bottom] = yield* add(
          { id: "top" },
          { id: "left", after: ["top"] },
          { id: "right", after: ["top"] },
          { id: "bottom", after: ["left", "right", "top"] }
        )
        yield* ends.completed(top)
        const [one, other] = yield* take()
        assert.sameMembers([one!.id, other!.id], [left, right])
        yield* settled(complete(other!))
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* settled(complete(one!))
        assert.deepStrictEqual(yield* takeIds(), [bottom])
        assert.deepStrictEqual(yield* takeIds(), [])
      }))

    scenario(driver, "passes an end on to those that depend on it", () =>
      Effect.gen(function*() {
        const [first, failing, cancelled, runs, late] = yield* add(
          { id: "first" },
          { id: "failing", after: ["first"] },
          { id: "cancelled", after: ["failing"], onFailure: "cancel" },
          { id: "runs", after: ["cancelled"], onFailure: "run" },
          { id: "late", after: ["first", "runs"] }
        )
        yield* ends.failed(first)
        assert.deepStrictEqual(
          yield* statesOf([first, failing, cancelled, runs, late]),
          ["failed", "failed", "cancelled", "pending", "failed"]
        )
        assert.deepInclude((yield* record(cancelled)).failure, { dependency: { id: failing, state: "failed" } })
        assert.deepInclude(yield* counts, { pending: 1, scheduled: 0, failed: 3, cancelled: 1 })
        assert.deepInclude((yield* counts).totals, { failed: 3, cancelled: 1 })
      }))

    scenario(driver, "fails at once together with those of its group that depend on it", () =>
      Effect.gen(function*() {
        const bad = yield* addOne()
        yield* ends.failed(bad)
        const ids = yield* add({ id: "after that", after: ["then"] }, { id: "then", after: [bad] })
        assert.deepStrictEqual(yield* statesOf(ids), ["failed", "failed"])
        assert.deepInclude(yield* counts, { scheduled: 0, pending: 0, failed: 3 })
      }))

    scenario(driver, "is told in the end, however long the chain before it is", () =>
      Effect.gen(function*() {
        const chain = Array.from({ length: 2500 }, (_, index) => ({
          id: `link-${index}`,
          ...(index === 0 ? {} : { after: [`link-${index - 1}`] })
        }))
        yield* addGroup(chain)
        yield* ends.cancelled("link-0")
        yield* tellAll
        assert.deepInclude(yield* counts, { scheduled: 0, cancelled: 1, failed: 2499 })
        assert.deepInclude((yield* record("link-2499")).failure, { dependency: { id: "link-2498", state: "failed" } })
      }), { capacity: 10_000 })

    scenario(driver, "is one of many that one end releases, bit by bit", () =>
      Effect.gen(function*() {
        const first = yield* running()
        const many = Dependencies.maxTold * 2 + 500
        const ids = yield* addAll(Array.from({ length: many }, () => ({ after: [first.id] })))
        yield* settled(complete(first))
        const { pending } = yield* counts
        assert.isAtLeast(pending, 1)
        assert.isAtMost(pending, many - 500)
        const given: Array<string> = []
        const store = yield* TaskStore
        // claims go on with it, and ask to be repeated while there is more
        for (let calls = 0; given.length < many && calls < 100; calls++) {
          const { nextDueAt, now, tasks } = yield* store.claim(request({ limit: 100 }))
          given.push(...tasks.map(({ id }) => id))
          if (tasks.length === 0) assert.isAtMost(nextDueAt ?? Infinity, now)
        }
        assert.lengthOf(given, many)
        assert.sameMembers(given, [...ids])
        assert.isFalse(yield* store.tell)
      }), { capacity: 10_000 })

    scenario(driver, "that joins when an end is still being told is told of it too", () =>
      Effect.gen(function*() {
        const first = yield* running()
        const many = Dependencies.maxTold * 3
        yield* addAll(Array.from({ length: many }, () => ({ after: [first.id] })))
        yield* settled(complete(first))
        const late = yield* addOne({ after: [first.id] })
        yield* tellAll
        assert.strictEqual(yield* stateOf(late), "pending")
        assert.deepInclude(yield* counts, { pending: many + 1, scheduled: 0 })
      }), { capacity: 10_000 })

    scenario(driver, "counts each of them once, however often it is named", () =>
      Effect.gen(function*() {
        const [a, b] = yield* add({}, {})
        const id = yield* addOne({ after: [a, b, a, a] })
        assert.strictEqual(yield* waitsFor(id), 2)
        yield* ends.completed(a)
        assert.strictEqual(yield* stateOf(id), "scheduled")
        yield* ends.completed(b)
        assert.deepStrictEqual(yield* takeIds(), [id])
        assert.deepStrictEqual(yield* after(id), [a, b])
      }))

    scenario(driver, "depends on none where it names none", () =>
      Effect.gen(function*() {
        const id = yield* addOne({ after: [], onFailure: "cancel" })
        assert.deepInclude(yield* record(id), { state: "pending", waitsFor: 0, onFailure: null })
      }))

    scenario(driver, "stays cancelled, and those that depend on it end", () =>
      Effect.gen(function*() {
        const first = yield* running()
        const id = yield* addOne({ after: [first.id] })
        const next = yield* addOne({ after: [id] })
        assert.strictEqual(yield* cancel(id), "cancelled")
        assert.deepInclude(yield* record(id), { state: "cancelled", waitsFor: 0, failure: null })
        assert.strictEqual(yield* stateOf(next), "failed")
        yield* settled(complete(first))
        assert.deepStrictEqual(yield* statesOf([id, next]), ["cancelled", "failed"])
        assert.deepStrictEqual(yield* takeIds(), [])
        assert.deepInclude(yield* counts, { scheduled: 0, pending: 0, running: 0 })
      }))

    scenario(driver, "waits for its queue once it is released", () =>
      Effect.gen(function*() {
        const dependency = yield* addOne()
        yield* pause("slow", true)
        const id = yield* addOne({ queue: "slow", after: [dependency] })
        yield* ends.completed(dependency)
        assert.strictEqual(yield* stateOf(id), "pending")
        assert.deepStrictEqual(yield* takeIds({ queues: ["slow"] }), [])
        yield* pause("slow", false)
        assert.deepStrictEqual(yield* takeIds({ queues: ["slow"] }), [id])
      }))

    scenario(driver, "waits for its limit once it is released", () =>
      Effect.gen(function*() {
        yield* setLimit("#tenant", { max: 1 })
        const gated = through("#tenant=a")
        const dependency = yield* addOne(gated)
        const [one, other] = yield* add({ ...gated, after: [dependency] }, { ...gated, after: [dependency] })
        yield* ends.completed(dependency)
        const first = yield* takeOne()
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* settled(complete(first))
        assert.sameMembers([first.id, ...yield* takeIds()], [one, other])
      }))

    scenario(driver, "waits for its own time too, whichever is later", () =>
      Effect.gen(function*() {
        const dependency = yield* running({}, { leaseForMs: 10 * hour })
        const [soon, later] = yield* add(
          { after: [dependency.id], delayMs: minute },
          { after: [dependency.id], delayMs: 2 * hour }
        )
        yield* driver.advance("1 hour")
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* settled(complete(dependency))
        assert.deepStrictEqual(yield* statesOf([soon, later]), ["pending", "scheduled"])
        const store = yield* TaskStore
        const { nextDueAt, tasks } = yield* store.claim(request())
        assert.deepStrictEqual(tasks.map(({ id }) => id), [soon])
        assert.strictEqual(nextDueAt, (yield* record(later)).dueAt)
        yield* driver.advance("1 hour")
        assert.deepStrictEqual(yield* takeIds(), [later])
      }))

    scenario(driver, "is due when it is released: those that were due before go first", () =>
      Effect.gen(function*() {
        const dependency = yield* running({}, { leaseForMs: 10 * hour })
        const id = yield* addOne({ after: [dependency.id], startWithinMs: minute })
        yield* driver.advance("1 hour")
        const before = yield* addOne({ startWithinMs: minute })
        yield* driver.advance("1 second")
        yield* settled(complete(dependency))
        const { createdAt, dueAt, startBy } = yield* record(id)
        assert.isAtLeast(dueAt, createdAt + hour)
        assert.strictEqual(startBy, dueAt + minute)
        assert.deepStrictEqual(yield* takeIds(), [before, id])
      }))

    scenario(driver, "expires while it waits", () =>
      Effect.gen(function*() {
        const dependency = yield* running({}, { leaseForMs: 10 * hour })
        const id = yield* addOne({ after: [dependency.id], expiresInMs: minute })
        const next = yield* addOne({ after: [id], onFailure: "run" })
        yield* driver.advance("2 minutes")
        const store = yield* TaskStore
        const expired = yield* store.expire(10)
        assert.deepStrictEqual(expired.map(({ id }) => id), [id])
        assert.deepInclude(yield* record(id), { state: "expired", waitsFor: 0 })
        yield* settled(complete(dependency))
        assert.strictEqual(yield* stateOf(id), "expired")
        assert.deepStrictEqual(yield* takeIds(), [next])
      }))

    scenario(driver, "is not stored where its group meets a conflict", () =>
      Effect.gen(function*() {
        const [owner] = yield* add({ key: "k", payload: "1" })
        const answer = yield* enqueue({ id: "new", after: [owner] }, { key: "k", payload: "2", after: ["new"] })
        assert.deepInclude(answer, { _tag: "Conflict", index: 1, id: owner })
        yield* ends.completed(owner)
        assert.deepStrictEqual(yield* takeIds(), [])
        assert.deepStrictEqual((yield* edges(owner))?.before, [])
      }))

    scenario(
      driver,
      "depends on the task that has the key, where it names one that was the same",
      () =>
        Effect.gen(function*() {
          const owner = yield* addOne({ key: "k" })
          const [same, id] = yield* add({ id: "again", key: "k" }, { id: "next", after: ["again"] })
          assert.strictEqual(same, owner)
          assert.deepStrictEqual(yield* after(id), [owner])
          yield* ends.completed(owner)
          assert.deepStrictEqual(yield* takeIds(), [id])
        })
    )

    scenario(
      driver,
      "waits for what it waited for when it is stored again, or changed by one with its key",
      () =>
        Effect.gen(function*() {
          const [a, b] = yield* add({}, {})
          const id = yield* addOne({ id: "once", key: "k", after: [a] })
          assert.deepInclude(yield* enqueue({ id: "once", key: "k", after: [a, b, "unknown"] }), { _tag: "Accepted" })
          const unique = { window: "waiting", byMs: hour, maxMs: null } as const
          yield* addOne({ key: "k", payload: "1", after: [b], unique: { ...unique, onConflict: "replace" } })
          assert.deepInclude(yield* record(id), { state: "scheduled", waitsFor: 1, payload: "1" })
          assert.deepStrictEqual(yield* after(id), [a])
          const [first] = yield* take()
          yield* settled(complete(first!))
          assert.deepStrictEqual(yield* takeIds(), [id])
        })
    )

    scenario(driver, "waits all the same when it is rescheduled", () =>
      Effect.gen(function*() {
        const dependency = yield* running({}, { leaseForMs: 10 * hour })
        const id = yield* addOne({ after: [dependency.id] })
        const store = yield* TaskStore
        const change = { id, type: "work", queue: "default" }
        assert.deepStrictEqual(yield* store.reschedule([{ ...change, delayMs: 0, priority: 5 }]), [{
          _tag: "rescheduled"
        }])
        assert.deepInclude(yield* record(id), { state: "scheduled", waitsFor: 1, priority: 5 })
        assert.deepStrictEqual(yield* takeIds(), [])
        yield* store.reschedule([{ ...change, delayMs: hour, payload: "2" }])
        yield* settled(complete(dependency))
        assert.deepInclude(yield* record(id), { state: "scheduled", waitsFor: 0 })
        yield* driver.advance("1 hour")
        assert.deepStrictEqual(yield* takeIds(), [id])
      }))

    scenario(driver, "keeps those that it depends on until it has ended", () =>
      Effect.gen(function*() {
        const done = yield* addOne()
        yield* ends.completed(done)
        const other = yield* addOne()
        yield* ends.completed(other)
        const open = yield* addOne({ delayMs: hour })
        const id = yield* addOne({ after: [done, open] })
        yield* driver.advance("30 minutes")
        const store = yield* TaskStore
        const all = retention({ finishedForMs: 0, failedForMs: 0 })
        assert.strictEqual(yield* store.prune(all, 10), 1)
        assert.isUndefined(yield* store.get(other))
        assert.strictEqual(yield* store.prune(retention({ maxFinished: 0 }), 10), 0)
        assert.deepStrictEqual(yield* store.remove([done]), ["awaited"])
        assert.strictEqual(yield* stateOf(done), "completed")
        yield* driver.advance("1 hour")
        yield* ends.completed(open)
        const last = yield* takeOne()
        assert.strictEqual(last.id, id)
        assert.strictEqual(yield* store.prune(all, 10), 0)
        yield* settled(complete(last))
        assert.strictEqual(yield* store.prune(all, 10), 3)
      }))

    scenario(driver, "keeps no others from being pruned", () =>
      Effect.gen(function*() {
        const [a, b] = yield* add({}, {})
        yield* ends.completed(a)
        yield* ends.completed(b)
        yield* addOne({ after: [a, b], delayMs: hour })
        const others = yield* add({}, {}, {})
        for (const id of others) yield* ends.completed(id)
        const store = yield* TaskStore
        assert.strictEqual(yield* store.prune(retention({ maxFinished: 2 }), 10), 1)
        assert.deepInclude(yield* counts, { completed: 4 })
        assert.strictEqual(yield* store.prune(retention({ maxFinished: 2 }), 10), 0)
      }))

    scenario(driver, "stays failed when what it depended on is run again", () =>
      Effect.gen(function*() {
        const dependency = yield* addOne()
        const id = yield* addOne({ after: [dependency] })
        yield* ends.failed(dependency)
        assert.deepStrictEqual(yield* rerun(dependency), { _tag: "rerun" })
        yield* ends.completed(dependency)
        assert.strictEqual(yield* stateOf(id), "failed")
        assert.deepStrictEqual(yield* takeIds(), [])
      }))

    scenario(
      driver,
      "runs again without those that have ended, and waits for those that have not",
      () =>
        Effect.gen(function*() {
          const [a, b] = yield* add({}, {})
          const id = yield* addOne({ after: [a, b] })
          const [first, second] = yield* take()
          yield* settled(fail(first!))
          assert.deepStrictEqual(yield* rerun(id), { _tag: "rerun" })
          assert.deepInclude(yield* record(id), { state: "scheduled", waitsFor: 1, failure: null, completedAt: null })
          yield* settled(complete(second!))
          assert.deepStrictEqual(yield* takeIds(), [id])
        })
    )

    scenario(
      driver,
      "waits once more for one that runs again before it, and is told once of each end",
      () =>
        Effect.gen(function*() {
          const [a, b] = yield* add({}, {})
          const id = yield* addOne({ after: [a, b] })
          const [first, second] = yield* take()
          yield* settled(fail(first!))
          assert.deepStrictEqual(yield* rerun(a), { _tag: "rerun" })
          assert.deepStrictEqual(yield* rerun(id), { _tag: "rerun" })
          assert.strictEqual(yield* waitsFor(id), 2)
          assert.strictEqual(yield* cancel(id), "cancelled")
          assert.deepStrictEqual(yield* rerun(id), { _tag: "rerun" })
          assert.strictEqual(yield* waitsFor(id), 2)
          yield* settled(complete(second!))
          assert.deepInclude(yield* record(id), { state: "scheduled", waitsFor: 1 })
          yield* ends.completed(a)
          assert.deepStrictEqual(yield* takeIds(), [id])
          assert.deepStrictEqual(yield* after(id), [a, b])
          assert.deepStrictEqual((yield* edges(a))?.before, [id])
        })
    )

    for (const order of [["a", "b", "c", "d"], ["d", "c", "b", "a"], ["b", "d", "a", "c"]]) {
      scenario(
        driver,
        `runs again after those that are run again in the same write, named as ${order.join(", ")}`,
        () =>
          Effect.gen(function*() {
            const store = yield* TaskStore
            yield* add(
              { id: "a" },
              { id: "b", after: ["a"] },
              { id: "c", after: ["a"], onFailure: "run" },
              { id: "d", after: ["b", "c"], onFailure: "cancel" }
            )
            yield* cancel("c")
            yield* ends.failed("a")
            assert.deepStrictEqual(yield* statesOf(["a", "b", "c", "d"]), [
              "failed",
              "failed",
              "cancelled",
              "cancelled"
            ])
            assert.deepStrictEqual(yield* store.rerun(order), order.map(() => ({ _tag: "rerun" })))
            assert.deepStrictEqual(yield* Effect.forEach(["a", "b", "c", "d"], waitsFor), [0, 1, 1, 2])
            assert.deepInclude(yield* counts, { pending: 1, scheduled: 3, failed: 0, cancelled: 0 })
            yield* ends.completed("a")
            const [b, c] = yield* take()
            assert.sameMembers([b!.id, c!.id], ["b", "c"])
            yield* settled(complete(b!))
            yield* settled(complete(c!))
            yield* ends.completed("d")
            assert.deepStrictEqual(yield* takeIds(), [])
            assert.deepStrictEqual(yield* after("d"), ["b", "c"])
            assert.sameMembers([...(yield* edges("a"))!.before], ["b", "c"])
          })
      )
    }

    scenario(
      driver,
      "fails again with one that is run again in the same write and fails again",
      () =>
        Effect.gen(function*() {
          const store = yield* TaskStore
          yield* add({ id: "a" }, { id: "b", after: ["a"] })
          yield* ends.failed("a")
          yield* store.rerun(["b", "a"])
          yield* ends.failed("a")
          assert.strictEqual(yield* stateOf("b"), "failed")
          assert.deepStrictEqual(yield* takeIds(), [])
        })
    )

    scenario(driver, "waits for none that is named with it and is not run again", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        yield* add({ id: "a" }, { id: "b" }, { id: "c", after: ["a", "b"] })
        const [first, second] = yield* take()
        yield* settled(complete(first!))
        yield* settled(fail(second!))
        assert.deepStrictEqual(
          yield* store.rerun(["c", "none", "a", "c"]),
          [
            { _tag: "rerun" },
            { _tag: "unknown" },
            { _tag: "conflict", state: "completed" },
            { _tag: "conflict", state: "pending" }
          ]
        )
        assert.deepStrictEqual(yield* takeIds(), ["c"])
      }))

    scenario(
      driver,
      "waits once for each that is run again, however often both are named",
      () =>
        Effect.gen(function*() {
          const store = yield* TaskStore
          yield* add({ id: "a" }, { id: "b", after: ["a"] })
          yield* ends.failed("a")
          const answers = yield* store.rerun(["b", "a", "b", "a"])
          assert.deepStrictEqual(answers.map(({ _tag }) => _tag), ["rerun", "rerun", "conflict", "conflict"])
          assert.strictEqual(yield* waitsFor("b"), 1)
          yield* ends.completed("a")
          yield* ends.completed("b")
        })
    )

    scenario(
      driver,
      "is one of very many that are run again with the one that they depend on",
      () =>
        Effect.gen(function*() {
          const store = yield* TaskStore
          yield* addOne({ id: "top" })
          const many = yield* addAll(Array.from({ length: 999 }, () => ({ after: ["top"] })))
          yield* ends.failed("top")
          yield* tellAll
          const answers = yield* store.rerun([...many, "top"])
          assert.isTrue(answers.every(({ _tag }) => _tag === "rerun"))
          assert.deepInclude(yield* counts, { pending: 1, scheduled: 999, failed: 0 })
          yield* ends.completed("top")
          yield* tellAll
          assert.deepInclude(yield* counts, { pending: 999, scheduled: 0 })
        }),
      { capacity: 10_000 }
    )

    scenario(
      driver,
      "is not told again of one that counted, was run again and ends once more",
      () =>
        Effect.gen(function*() {
          const [a, b] = yield* add({}, {})
          const id = yield* addOne({ after: [a, b], onFailure: "run" })
          const [first, second] = yield* take()
          yield* settled(fail(first!))
          assert.deepStrictEqual(yield* rerun(a), { _tag: "rerun" })
          yield* ends.completed(a)
          assert.deepInclude(yield* record(id), { state: "scheduled", waitsFor: 1 })
          yield* settled(complete(second!))
          assert.strictEqual(yield* stateOf(id), "pending")
        })
    )

    scenario(driver, "may depend on a task that ends in the same write", () =>
      Effect.gen(function*() {
        const attempt = yield* running()
        const [next, failing] = [task({ after: [attempt.id] }), task({ after: ["unknown"] })]
        const records = yield* RecordStore
        const refused = yield* Effect.flip(
          records.atomically("refused", { tasks: [failing], settlements: [complete(attempt)] })
        )
        assert.strictEqual(refused._tag, "UnknownDependency")
        assert.strictEqual(yield* stateOf(attempt.id), "running")
        const other = yield* addOne({ after: [attempt.id] })
        yield* records.atomically("once", { tasks: [next], settlements: [complete(attempt)] })
        assert.sameMembers([...yield* takeIds()], [next.id, other])
      }))

    scenario(driver, "takes its place among the unfinished, and may be refused for room", () =>
      Effect.gen(function*() {
        const first = yield* running()
        const id = yield* addOne({ after: [first.id] })
        assert.deepInclude(yield* counts, { scheduled: 1, running: 1 })
        assert.deepInclude(yield* enqueue({ after: [id] }), { _tag: "Full", unfinished: 2 })
        const store = yield* TaskStore
        const { lanes } = yield* store.laneCounts({ limit: 10 })
        assert.deepInclude(lanes[0], { scheduled: 1, pending: 0, running: 1 })
        yield* settled(complete(first))
        assert.deepInclude((yield* store.laneCounts({ limit: 10 })).lanes[0], { scheduled: 0, pending: 1 })
      }), { capacity: 2 })

    scenario(driver, "tells what it depends on, and what depends on it", () =>
      Effect.gen(function*() {
        const [a, b] = yield* add({}, {})
        const [one, other] = yield* add({ after: [b, a] }, { after: [a] })
        assert.deepStrictEqual((yield* edges(one))?.after, [{ id: b, type: "work" }, { id: a, type: "work" }])
        assert.sameMembers([...(yield* edges(a))!.before], [one, other])
        assert.deepStrictEqual((yield* edges(b))?.before, [one])
        yield* ends.completed(a)
        assert.sameMembers([...(yield* edges(a))!.before], [one, other])
        assert.deepStrictEqual(yield* edges(yield* addOne()), { after: [], before: [] })
        assert.isUndefined(yield* edges("unknown"))
      }))

    scenario(driver, "goes with its edges: an id that is stored again has none of them", () =>
      Effect.gen(function*() {
        const dependency = yield* addOne({ id: "again" })
        const id = yield* addOne({ id: "next", after: [dependency] })
        const store = yield* TaskStore
        yield* ends.cancelled(dependency)
        assert.deepStrictEqual(yield* store.remove([dependency, id]), ["removed", "removed"])
        yield* add({ id: "again" }, { id: "next" })
        assert.deepStrictEqual(yield* edges("again"), { after: [], before: [] })
        assert.deepStrictEqual(yield* edges("next"), { after: [], before: [] })
        yield* ends.completed("again")
        assert.deepStrictEqual(yield* takeIds(), ["next"])
      }))

    scenario(driver, "is told of by the process whose write released or ended it", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const dependency = yield* addOne()
        const [failing, running] = yield* add({ after: [dependency] }, { after: [dependency], onFailure: "run" })
        assert.deepStrictEqual(store.consequences(), Dependencies.noConsequences)
        yield* ends.failed(dependency)
        const { dropped, more, released } = store.consequences()
        assert.deepStrictEqual([released, more], [true, false])
        assert.lengthOf(dropped, 1)
        assert.deepInclude(dropped[0], { id: failing, type: "work", queue: "default", state: "failed", attempt: 0 })
        assert.deepStrictEqual(store.consequences(), Dependencies.noConsequences)
        assert.deepStrictEqual(yield* takeIds(), [running])
      }))
  })
}
